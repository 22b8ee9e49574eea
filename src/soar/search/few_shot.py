"""Solved tasks that a sampling prompt may show beside its own task (App. D.5). Frozen when an iteration starts, so that
no result depends on the order in which programs arrive."""

from collections.abc import Iterable, Sequence

from soar.archive.reader import ArchiveReader
from soar.scoring import solves
from soar.types import Task


def solved_examples(
    reader: ArchiveReader, searches: Iterable[tuple[tuple[str, int], Sequence[Task]]]
) -> list[tuple[Task, str]]:
    """Return solved tasks, answers removed, each with the first program that is right on all its pairs.

    `searches` are the earlier ones with known answers, in order, with their tasks (with answers).
    """
    found: dict[str, tuple[Task, str]] = {}
    for place, tasks in searches:
        for task in tasks:
            right = (p for p in reader.programs(task.id, *place) if task.answered and solves(task, p))
            if task.id not in found and (program := next(right, None)):
                found[task.id] = (task.without_answers(), program.code)
    return list(found.values())
