"""What is chosen of one small archive, strategy by strategy, held against a file. A change of an algorithm or of its
random draws shows here; where it is meant, `python tests/learning/test_golden.py` writes the file anew."""

import asyncio
import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from made import TASK, acting, teaching

from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, Row, code_hash, execution_row
from soar.archive.writer import ArchiveWriter
from soar.learning.curate import CURATORS, PAIRINGS
from soar.learning.dedup import DEDUPLICATIONS
from soar.learning.select import examples_of
from soar.types import Completion, Execution

GOLDEN = Path(__file__).parent / "golden" / "selection.json"

OFFLINE = [name for name in DEDUPLICATIONS if not name.startswith("embeddings")]
CASES = {
    **{f"curator {name}": {"curator": name} for name in CURATORS},
    **{f"pairing {name}": {"pairing": name, "samples_per_task": 0} for name in PAIRINGS},
    **{f"deduplicate {name}": {"deduplicate": name, "curator": "uniform", "samples_per_task": 50} for name in OFFLINE},
    "pseudo-labels": {"pseudo_labels": True},
    "hindsight": {"samples_per_task": 0, "hindsight_pairs_per_task": 6},
    "copies": {"curator": "correct-only", "true_copies": 3, "across_tasks": True},
}


def forty_programs():
    """Forty programs of many accuracies; every third is the child of one before it, some are written twice."""
    found = []
    for n in range(40):
        parents = (found[n // 2].key,) if n % 3 == 2 else ()
        does = n - n % 2 if n % 8 > 5 and n % 6 != 5 else n  # of these two, both do the same
        train, test = (4, 2) if n % 6 == 5 else (does % 5, does % 3) if does % 4 else (4, 0) if does % 8 else (0, 0)
        code = f"def transform(grid):\n    return{' ' * (1 + (n % 16 == 7))}[{'cell, ' * (does % 6)}{does}]"
        found.append(acting(n, train, test, does % 7, code=code, parents=parents))
    return found


def archived(folder):
    """Return the programs as an archive gives them back."""
    rows: list[Row] = []
    for each in forty_programs():
        completion = Completion(each.code)
        rows.append(CompletionRow(each.origin, completion, "code", code_hash(each.code), each.parents, code=each.code))
        rows.append(execution_row(TASK, each.code, Execution((*each.train, *each.test))))
    with closing(ArchiveWriter(folder / "archive.sqlite")) as writer:
        asyncio.run(writer.begin("s", 0))
        asyncio.run(writer.add(rows))
    with closing(ArchiveReader(folder / "archive.sqlite")) as reader:
        return reader.programs(TASK.id, "s", 0)


def chosen(programs):
    """Return by case what is chosen, in its order: kind, which program, why."""
    number = {program.key: program.origin.index for program in programs}
    found = {}
    for name, case in CASES.items():
        limits = {
            "samples_per_task": 8,
            "refinements_per_task": 3,
            "deduplicate": "none",
            "pseudo_labels": False,
            **case,
        }
        for known, task in (("known", TASK), ("hidden", TASK.without_answers())):
            rows = examples_of(teaching(**limits), task, programs, seed=5)
            found[f"{name}, {known}"] = [f"{row['kind']} {number[str(row['program'])]}: {row['why']}" for row in rows]
    return found


def test_what_is_chosen_of_a_small_archive_is_what_was_chosen_before(tmp_path):
    assert chosen(archived(tmp_path)) == json.loads(GOLDEN.read_text())


def test_the_file_holds_every_strategy_and_none_chooses_alike():
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == {f"{name}, {known}" for name in CASES for known in ("known", "hidden")}
    for kind in ("curator", "pairing", "deduplicate"):
        listed = [tuple(rows) for name, rows in golden.items() if name.startswith(kind) and name.endswith(", known")]
        assert len(set(listed)) == len(listed), kind
        assert all(listed), kind


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(chosen(archived(Path(made_in))), indent=1) + "\n")
    sys.stdout.write(f"{GOLDEN} written\n")
