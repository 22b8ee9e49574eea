"""What a search reaches program by program, and how different its programs are: what the paper's Figures 5 to 9 are
drawn from, kept in a cell so that they need no archive.

Knows programs, votes and tokens of the tasks of one search; the sums are over its tasks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.ensemble import Answering
from soar.report.figures.anytime import Track, at, sizes, track
from soar.report.figures.diversity import KINDS, distance
from soar.run import Step
from soar.scoring import solves
from soar.types import Task

PARTS = 8
"""So many points of one search where its programs vote with those of the searches before it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one search came to on a task: the phases that wrote a program which is right on all pairs; what its first
    programs reach, alone and with those of all searches before it; how different its programs are (None: less than
    two)."""

    phases: frozenset[str]
    alone: Track
    so_far: Track
    apart: float | None


def outcomes(
    reader: ArchiveReader, earlier: Sequence[Step], step: Step, tasks: Iterable[Task], answering: Answering, budget: int
) -> dict[str, Outcome]:
    """Return by task what a search came to, read one task at a time; `budget` is the most programs that a task has."""
    found, counts = {}, parts(budget)
    for task in tasks:
        programs, tokens = reader.programs(task.id, *step.key), reader.tokens(task.id, *step.key)
        before = [program for one in earlier for program in reader.programs(task.id, *one.key)]
        found[task.id] = Outcome(
            phases=frozenset(program.origin.phase for program in programs if solves(task, program)),
            alone=track(task, programs, tokens, answering),
            so_far=track(task, programs, tokens, answering, counts, before),
            apart=distance([program.code for program in programs], *step.key, task.id),
        )
    return found


def parts(budget: int) -> list[int]:
    """Return how many programs a task has after each eighth of a search."""
    return sorted({ceil(budget * part / PARTS) for part in range(1, PARTS + 1)})


def curves(found: Mapping[str, Outcome], budget: int) -> dict[str, Any]:
    """Return the part of a cell's row that tells how a search went: ``curve`` and ``so_far`` by columns, ``distances``
    over tasks that the vote solved and over those that it did not, as their number and the mean."""
    alone = [each.alone for each in found.values()]
    most = max((each[-1].programs for each in alone), default=0)
    apart = {
        name: [each.apart for each in found.values() if each.apart is not None and each.alone[-1].solved == solved]
        for solved, name in KINDS.items()
    }
    return {
        "curve": _columns(alone, sizes(most)),
        "so_far": _columns([each.so_far for each in found.values()], parts(budget)),
        "distances": {name: [len(own), round(sum(own) / len(own), 6)] for name, own in apart.items() if own},
    }


def _columns(tracks: Sequence[Track], counts: Sequence[int]) -> dict[str, list[float]]:
    """Return what all tasks together reach with their first 1, 2, … programs; ``score`` is the sum of their shares."""
    rows = [[at(each, count) for each in tracks] for count in counts]
    return {
        "programs": [*counts],
        "score": [round(sum(each.share for each in row), 6) for row in rows],
        "solved": [sum(each.solved for each in row) for row in rows],
        "oracle": [sum(each.oracle for each in row) for row in rows],
        "tokens": [sum(each.tokens for each in row) for row in rows],
    }
