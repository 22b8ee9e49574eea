"""Jobs to decode, and which of their samples continue with which token.

Samples of a job with the same tokens so far are one branch. Knows tokens and their scores; knows neither how a model
computes those nor where it stores what it has read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, groupby, islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soar.lm.embedded.draw import Field, Runner, draw, race, start
from soar.lm.embedded.kernels import uniforms
from soar.lm.embedded.prefill import Prefix


@dataclass(frozen=True, eq=False)
class Job:
    """Samples of one prompt to decode: its token ids, a seed for each sample, and how their tokens are drawn. If
    `distinct`, no two have the same tokens, and all follow from the first seed. ``tag`` is the caller's."""

    prompt: tuple[int, ...]
    seeds: tuple[int, ...]
    temperature: float
    min_p: float
    max_new_tokens: int
    distinct: bool = False
    tag: Any = None


@dataclass(frozen=True)
class Done:
    """A decoded sample, number `index` of its job: its tokens without the one that ended it, and whether it ended
    itself ("stop") or was cut off ("length")."""

    job: Job
    index: int
    tokens: tuple[int, ...]
    finish_reason: str


Samples: TypeAlias = tuple[int, ...] | Runner
"""Samples of a job: their numbers or, for distinct samples, a prefix in their race."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Samples that have their last token, or are cut off."""

    samples: Samples
    tokens: tuple[int, ...]
    finish_reason: str


@dataclass(eq=False, slots=True)
class Run:
    """A job being decoded; `ended` holds the samples not handed over yet. Distinct samples are handed over together:
    until all are there, one that arrives earlier may displace the last."""

    job: Job
    prefix: Prefix
    ended: list[Ended] = field(default_factory=list)

    def hand_over(self) -> list[Done]:
        """Return the samples that ended, and forget them. If min-p leaves fewer distinct ones than requested, they are
        repeated."""
        ended, self.ended = self.ended, []
        if not self.job.distinct:
            return [
                Done(self.job, i, each.tokens, each.finish_reason) for each in ended for i in _numbers(each.samples)
            ]
        first = sorted(ended, key=lambda each: _runner(each.samples))
        numbered = enumerate(islice(cycle(first), len(self.job.seeds)))
        return [Done(self.job, i, each.tokens, each.finish_reason) for i, each in numbered]


@dataclass(frozen=True, slots=True)
class Branch:
    """Samples of one job with the same tokens so far, and the slot of these tokens in the samples' cache."""

    run: Run
    slot: int
    samples: Samples
    tokens: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many samples it stands for now."""
        return 1 if isinstance(self.samples, Runner) else len(self.samples)


def all_samples(job: Job) -> Samples:
    """Return all samples of a job, before their first token."""
    return start(job.seeds[0]) if job.distinct else tuple(range(len(job.seeds)))


Growth: TypeAlias = list[tuple[int, Samples]]
"""The tokens that a branch continues with, each with its samples."""


def grow(branches: Sequence[Branch], scores: NDArray[np.float32]) -> list[Growth]:
    """Draw the continuations of each branch from its row of ``scores`` ``(branches, vocabulary)``; none for a branch
    that is no longer among the first of its race. Branches of one job are adjacent."""
    found: list[Growth] = [[] for _ in branches]
    for way, distinct in ((_drawn, False), (_raced, True)):
        places = [place for place, branch in enumerate(branches) if branch.run.job.distinct == distinct]
        if places:
            for place, growth in zip(places, way([branches[i] for i in places], scores[places]), strict=True):
                found[place] = growth
    return found


def _drawn(branches: Sequence[Branch], scores: NDArray[np.float32]) -> Iterator[Growth]:
    """Draw the next token of each sample independently."""
    samples = [(branch, number) for branch in branches for number in _numbers(branch.samples)]
    tokens = draw(
        scores,
        np.repeat(np.arange(len(branches)), [branch.count for branch in branches]),
        uniforms(
            np.array([branch.run.job.seeds[number] for branch, number in samples], dtype=np.uint64),
            np.array([len(branch.tokens) for branch, _ in samples], dtype=np.uint64),
        ),
        np.array([branch.run.job.temperature for branch, _ in samples], np.float32),
        np.array([branch.run.job.min_p for branch, _ in samples], np.float32),
    )
    drawn = iter(tokens.tolist())
    for branch in branches:
        growth: dict[int, list[int]] = {}
        for number, token in zip(_numbers(branch.samples), islice(drawn, branch.count), strict=True):
            growth.setdefault(token, []).append(number)
        yield [(token, tuple(numbers)) for token, numbers in growth.items()]


def _raced(branches: Sequence[Branch], scores: NDArray[np.float32]) -> list[Growth]:
    """Continue races: keep the first to arrive of all continuations and ended samples."""
    runs = [(run, list(members)) for run, members in groupby(branches, key=lambda branch: branch.run)]
    found: list[Growth] = [[] for _ in branches]
    for (run, _), continuations in zip(runs, race(scores, [_field(*each) for each in runs]), strict=True):
        times = sorted([each[2].time for each in continuations] + [_runner(each.samples).time for each in run.ended])
        last = times[: len(run.job.seeds)][-1]
        run.ended = [each for each in run.ended if _runner(each.samples).time <= last]
        for place, token, runner in continuations:
            if runner.time <= last:
                found[place].append((token, runner))
    return found


def _field(run: Run, branches: Sequence[Branch]) -> Field:
    runners, complete = [_runner(each.samples) for each in branches], [_runner(each.samples) for each in run.ended]
    return Field(runners, complete, len(run.job.seeds), run.job.temperature, run.job.min_p)


def _numbers(samples: Samples) -> tuple[int, ...]:
    assert not isinstance(samples, Runner), "distinct samples have no numbers until all are there"
    return samples


def _runner(samples: Samples) -> Runner:
    assert isinstance(samples, Runner), "only distinct samples race"
    return samples
