"""A cell of an experiment: one search of one arm and seed. What names it, its line of JSON, and what a search came to.

Reads a run's archive and the answers of its tasks; knows neither how cells are run nor how they are compared.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.domains.complete import ATTEMPTS
from soar.protocols import Parse
from soar.run import RunDirectory, Step
from soar.scoring import Score, score, solves
from soar.types import Task, content_hash

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One search, by its number within its arm; `tasks` are "searched" or "never" (searched, nor learnt from)."""

    arm: str
    seed: int
    search: int
    tasks: str = "searched"


def read_cells(path: Path, digest_of: Callable[[str], str]) -> dict[Cell, Row]:
    """Return an experiment's rows by cell, given the digest of each arm; lines of others are passed over, and the first
    of two counts."""
    found: dict[Cell, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        row = json.loads(line)
        if row["experiment"] == digest_of(row["arm"]):
            found.setdefault(Cell(row["arm"], row["seed"], row["search"], row["tasks"]), row)
    return found


def append_cell(path: Path, experiment: str, cell: Cell, result: Row) -> None:
    """Append a cell's line, in one write: a kill leaves it whole or leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"experiment": experiment, **asdict(cell), **result}, separators=(",", ":")) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def search_result(
    reader: ArchiveReader, directory: RunDirectory | None, step: Step, tasks: Sequence[Task], parse: Parse
) -> dict[str, Any]:
    """Return what one search reached; the tasks come with their answers.

    ``solved`` names the tasks with a program of their own that is right on all pairs, ``sampled`` those with a sample
    that is, ``pooled`` those for which a program written for any task is, ``voted`` those with one right answer of two;
    ``scores`` are the fractions of their test outputs that either answer gives, where above 0 (§5); ``behaviours`` is
    how many different ones there were. Pooled only means something where all tasks have the same inputs; elsewhere it
    is None.
    """
    found = reader.behaviours(*step.key)
    solved, scores = solved_by(reader, step, tasks), None
    if directory is not None:
        answers = json.loads(directory.answers(step.number).read_text(encoding="utf-8"))
        scores = {task.id: _score(task, answers[task.id], parse) for task in tasks}
    same = len({tuple(example.input for example in (*task.train, *task.test)) for task in tasks}) == 1
    return {
        "count": len(tasks),
        "solved": sorted(solved),
        "sampled": sorted(task for task, phases in solved.items() if "sample" in phases),
        "pooled": sorted(task.id for task in tasks if answer_hash(task) in found) if same else None,
        "voted": None if scores is None else sorted(task for task, each in scores.items() if each.solved),
        "scores": None if scores is None else {task: each.mean for task, each in scores.items() if each.mean},
        "behaviours": len(found),
        "statuses": dict(reader.totals(*step.key).statuses),
    }


def solved_by(reader: ArchiveReader, step: Step, tasks: Sequence[Task]) -> dict[str, set[str]]:
    """Return the tasks with a program of their own, of this search, that is right on all pairs, and the phases that
    wrote one."""
    likely, found = reader.right_in_training(), {}
    for task in tasks:
        programs = reader.programs(task.id, *step.key) if task.id in likely else []
        if phases := {program.origin.phase for program in programs if solves(task, program)}:
            found[task.id] = phases
    return found


def answer_hash(task: Task) -> str:
    """Return the behaviour that solves a task, as the archive names behaviours."""
    return content_hash(*(example.output for example in (*task.train, *task.test)))


def _score(task: Task, answers: Sequence[Mapping[str, object]], parse: Parse) -> Score:
    """Return how the two answers to a task do that were written, of which the second may be missing, or both."""
    given = [attempt for attempt in ATTEMPTS if all(answer[attempt] is not None for answer in answers)]
    return score(task, [tuple(parse(answer[attempt]) for answer in answers) for attempt in given])
