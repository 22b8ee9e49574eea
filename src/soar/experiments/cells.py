"""A cell of an experiment: one search of one arm and seed. What names it, its line of JSON, and what a search came to.

Reads a run's archive; knows neither how cells are run nor how they are compared.
"""

import fcntl
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.ensemble import Answering
from soar.errors import DataError, StoreError
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
    of two counts. A last line without its end is still being written, by another process; `DataError` names any other
    line that is no cell."""
    found: dict[Cell, Row] = {}
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        try:
            row = json.loads(line)
            cell = Cell(row["arm"], row["seed"], row["search"], row["tasks"])
            ours = row["experiment"] == digest_of(cell.arm)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number} is not a result ({error!r}): remove that line, and what it held is done again"
            ) from None
        if ours:
            found.setdefault(cell, row)
    return found


def append_cell(path: Path, experiment: str, cell: Cell, result: Row) -> None:
    """Append a cell's line: a kill, or a full disk (`StoreError`), leaves the lines before it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"experiment": experiment, **asdict(cell), **result}, separators=(",", ":")).encode() + b"\n"
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # so that what has no end is the rest of a process that was killed
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
        try:
            written = file.write(line)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from None
        if written != len(line):
            file.truncate(end)
            raise StoreError(f"{path} cannot be written: the disk is full")


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
