"""A cell of an experiment: one search of one arm and seed. What names it, its line of JSON, and what a search came to.

Reads a run's archive; knows neither how cells are run nor how they are compared.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.ensemble import Answering
from soar.experiments.curves import curves, outcomes
from soar.run import Step
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
    reader: ArchiveReader, plan: Sequence[Step], tasks: Sequence[Task], answering: Answering, budget: int
) -> dict[str, Any]:
    """Return what the last search of `plan` reached; the tasks come with their answers, `budget` is the most programs
    that a task has.

    ``solved`` names the tasks with a program of their own that is right on all pairs, ``sampled`` those with a sample
    that is, ``pooled`` those for which a program written for any task is, ``voted`` those with one right answer of two;
    ``scores`` are the fractions of their test outputs that either answer gives, where above 0 (§5); ``behaviours`` is
    how many different ones there were. Pooled only means something where all tasks have the same inputs; elsewhere it
    is None. ``curve``, ``so_far`` and ``distances``: see `curves`.
    """
    step = plan[-1]
    behaviours, totals = reader.behaviours(*step.key), reader.totals(*step.key)
    found = outcomes(reader, plan[:-1], step, tasks, answering, budget)
    last = {task: each.alone[-1] for task, each in found.items()}
    same = len({tuple(example.input for example in (*task.train, *task.test)) for task in tasks}) == 1
    return {
        "count": len(tasks),
        "solved": sorted(task for task, each in found.items() if each.phases),
        "sampled": sorted(task for task, each in found.items() if "sample" in each.phases),
        "pooled": sorted(task.id for task in tasks if answer_hash(task) in behaviours) if same else None,
        "voted": sorted(task for task, each in last.items() if each.solved),
        "scores": {task: each.share for task, each in last.items() if each.share},
        "behaviours": len(behaviours),
        "statuses": dict(totals.statuses),
        "tokens": [totals.prompt_tokens, totals.completion_tokens],
        **curves(found, budget),
    }


def answer_hash(task: Task) -> str:
    """Return the behaviour that solves a task, as the archive names behaviours."""
    return content_hash(*(example.output for example in (*task.train, *task.test)))
