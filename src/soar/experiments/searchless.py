"""Arms without a search of their own: a function that is given a number of programs, and other arms' programs that vote
together. Knows tasks, archives and votes.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.ensemble import Answering
from soar.experiments.cpu import cpu_seconds
from soar.report.together import Vote, places, task_votes
from soar.run import RunDirectory, Step
from soar.settings import resolve
from soar.types import Task


def by_function(name: str, tasks: Sequence[Task], programs: int) -> dict[str, Any]:
    """Return what a function solves with a number of programs for all tasks together."""
    begun = cpu_seconds()
    solved = resolve(name, {}, "experiment.arms.function")(tasks, programs)
    return {
        "count": len(tasks),
        "solved": [],
        "pooled": sorted(solved),
        "programs": programs,
        "search_cpu": round(cpu_seconds() - begun, 2),
    }


def votes(
    tasks: Sequence[Task], searches: Mapping[str, tuple[RunDirectory, Step]], answering: Answering
) -> dict[str, Any]:
    """Return what the programs of some searches reach when they vote together, for every combination of the searches
    (§5, Figure 10). Reads the programs of one task at a time."""
    names, combined = list(searches), places(len(searches))
    with ExitStack() as opened:
        readers = [(opened.enter_context(closing(ArchiveReader(run.archive))), step) for run, step in searches.values()]
        by_task = [
            task_votes(task, [reader.programs(task.id, *step.key) for reader, step in readers], answering, combined)
            for task in tasks
        ]
    by_combination = zip(*by_task, strict=True)
    found = [_sum([names[place] for place in which], own) for which, own in zip(combined, by_combination, strict=True)]
    return {"count": len(tasks), "solved": [], "votes": found}


def _sum(names: Sequence[str], found: Sequence[Vote]) -> dict[str, Any]:
    """Return the sums over tasks of a combination's votes."""
    return {
        "arms": [*names],
        "score": round(sum(vote.score_mean for vote in found), 6),
        "solved": sum(vote.solved for vote in found),
        "oracle": sum(vote.oracle for vote in found),
        "programs": sum(vote.programs for vote in found),
    }
