"""How long a run will take yet, from what its searches and finetunings took so far: pure arithmetic.

Knows steps, counts and seconds; looks at no clock and no archive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soar.archive.rows import IterationRow
from soar.run import Step

EARLY = 0.1
"""Up to which share of its completions a search is judged by those before it: its first ones wait for the model."""


@dataclass(frozen=True, slots=True)
class Present:
    """The step that goes on: its completions so far and how many come per second (None: not known yet). While it is
    being finetuned for, `finetuning` holds the seconds since that began, and `finetune_left` those left of it by its
    own steps, None as long as these do not tell."""

    step: Step
    completions: int
    rate: float | None
    finetuning: float | None = None
    finetune_left: float | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds left of what goes on, and of the run; None where nothing was measured yet. `whole` is false where the
    run's lack finetunings that nobody has timed yet."""

    phase: float | None
    run: float | None
    whole: bool = True


def time_left(
    plan: Sequence[Step],
    tasks: Mapping[str, int],
    per_task: int,
    rows: Sequence[IterationRow],
    present: Present,
    limit: float | None = None,
) -> Left:
    """Return how long the present phase and the run will take yet, no longer than `limit` seconds.

    `tasks` are the tasks of each stage, `per_task` the completions that each may take, `rows` the archive's. Searches
    to come are as fast as those that are finished, before any is, as the present one; finetunings take as long as the
    newest one that was timed.
    """
    following = [step for step in plan if step.number > present.step.number]
    each = _seconds_per_task([row for row in rows if row.finished], tasks, per_task, present.rate)
    size, timed = tasks[present.step.stage.name], _timed(rows, present)
    tuning, search = _finetuning_left(present, timed), _times(each, size)
    if present.finetuning is None:
        most = max(1, size * per_task)
        left = max(0, most - present.completions)
        early = present.completions < EARLY * most and any(row.finished for row in rows)
        search = left / present.rate if present.rate and not early else _times(each, size * left / most)
    to_come = sum(step.learns for step in following)
    parts = [
        search,
        *(_times(each, tasks[step.stage.name]) for step in following),
        *([timed[-1] * to_come] if timed else []),
        *([tuning] if tuning is not None else []),
    ]
    known = [part for part in parts if part is not None]
    run = sum(known) if len(known) == len(parts) else None
    whole = bool(timed or not (to_come or present.finetuning is not None))
    phase = search if present.finetuning is None else tuning
    return Left(_within(phase, limit), _within(run, limit), whole)


def _timed(rows: Sequence[IterationRow], present: Present) -> list[float]:
    """Return what each finetuning took, the present one, if it tells that, last."""
    timed = [row.finetune_seconds for row in rows if row.finetune_seconds and row.finished]
    if present.finetuning is not None:
        return [*timed, present.finetuning + present.finetune_left] if present.finetune_left is not None else timed
    own = [row.finetune_seconds for row in rows if (row.stage, row.iteration) == present.step.key]
    return [*timed, *(seconds for seconds in own if seconds)]


def _finetuning_left(present: Present, timed: Sequence[float]) -> float | None:
    """Return how long the present finetuning will take yet: by its own steps, else by what the last one took."""
    if present.finetuning is None or present.finetune_left is not None:
        return present.finetune_left
    return max(0.0, timed[-1] - present.finetuning) if timed else None


def _seconds_per_task(
    finished: Sequence[IterationRow], tasks: Mapping[str, int], per_task: int, rate: float | None
) -> float | None:
    searched = sum(tasks[row.stage] for row in finished)
    if searched:
        return sum(row.seconds for row in finished) / searched
    return per_task / rate if rate else None


def _times(seconds: float | None, count: float) -> float | None:
    return None if seconds is None else seconds * count


def _within(seconds: float | None, limit: float | None) -> float | None:
    return seconds if seconds is None or limit is None else min(seconds, max(0.0, limit))
