"""Estimates how long a run still takes, from what its searches and finetunings have taken so far: pure arithmetic.

Knows steps, counts and seconds; reads no clock and no archive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soar.archive.rows import IterationRow
from soar.run import Step

EARLY = 0.1
"""Below this share of its completions a search is estimated from earlier ones: its first completions wait for the
model."""


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """The step in progress: its completions so far and their rate per second (None: not known yet). During the
    finetuning before its search, `finetuning` is the seconds since that began, and `finetune_left` those left by its
    own steps, None until they are known."""

    step: Step
    completions: int
    rate: float | None
    finetuning: float | None = None
    finetune_left: float | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds left of the current phase, and of the run; None if nothing has been measured yet. `whole` is false if the
    run's seconds leave out finetunings because none has been timed yet."""

    phase: float | None
    run: float | None
    whole: bool = True


def time_left(
    plan: Sequence[Step],
    tasks: Mapping[str, int],
    per_task: int,
    rows: Sequence[IterationRow],
    current: CurrentStep,
    limit: float | None = None,
) -> Left:
    """Return how long the current phase and the run still take, at most `limit` seconds.

    `tasks` counts the tasks of each stage, `per_task` is the completions that each may take, `rows` are the archive's,
    without that of an import, which says nothing of the model's speed. Later searches are taken to be as fast as the
    finished ones, or as the current one if none is finished; finetunings to take as long as the last one timed.
    """
    following = [step for step in plan if step.number > current.step.number]
    each = _seconds_per_task([row for row in rows if row.finished], tasks, per_task, current.rate)
    size, timed = tasks[current.step.stage.name], _timed(rows, current)
    tuning, search = _finetuning_left(current, timed), _times(each, size)
    if current.finetuning is None:
        most = max(1, size * per_task)
        left = max(0, most - current.completions)
        early = current.completions < EARLY * most and any(row.finished for row in rows)
        search = left / current.rate if current.rate and not early else _times(each, size * left / most)
    to_come = sum(step.learns for step in following)
    parts = [
        search,
        *(_times(each, tasks[step.stage.name]) for step in following),
        *([timed[-1] * to_come] if timed else []),
        *([tuning] if tuning is not None else []),
    ]
    known = [part for part in parts if part is not None]
    run = sum(known) if len(known) == len(parts) else None
    whole = bool(timed or not (to_come or current.finetuning is not None))
    phase = search if current.finetuning is None else tuning
    return Left(_within(phase, limit), _within(run, limit), whole)


def _timed(rows: Sequence[IterationRow], current: CurrentStep) -> list[float]:
    """Return the seconds of each finetuning; the current one is last, if its length is known."""
    timed = [row.finetune_seconds for row in rows if row.finetune_seconds and row.finished]
    if current.finetuning is not None:
        return [*timed, current.finetuning + current.finetune_left] if current.finetune_left is not None else timed
    own = [row.finetune_seconds for row in rows if (row.stage, row.iteration) == current.step.key]
    return [*timed, *(seconds for seconds in own if seconds)]


def _finetuning_left(current: CurrentStep, timed: Sequence[float]) -> float | None:
    """Return how long the current finetuning still takes: by its own steps, else by the length of the last one."""
    if current.finetuning is None or current.finetune_left is not None:
        return current.finetune_left
    return max(0.0, timed[-1] - current.finetuning) if timed else None


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
