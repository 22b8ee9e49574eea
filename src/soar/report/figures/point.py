"""Values of runs as figures show them: one per run and place, and their means over seeds with an interval.

Knows numbers and where they belong; knows neither runs nor drawings.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import t

LEVEL = 0.95
"""Confidence level of the interval."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run in figures: its name, its seed, and its line: the runs that differ from it only in the seed."""

    name: str
    seed: int
    line: str


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a value belongs: a line of runs, a search, a measure; `programs` is how many of each task's programs it
    covers, 0 for all."""

    line: str
    stage: str
    iteration: int
    measure: str
    programs: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one run. `seed` is None for values of several runs together."""

    place: Place
    run: str
    seed: int | None
    value: float


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over seeds, half the width of its 95 % interval (None for one seed, which has no spread), and the number
    of seeds."""

    value: float
    half: float | None
    seeds: int


Means: TypeAlias = Mapping[Place, Mean]

COLUMNS = ("line", "run", "seed", "stage", "iteration", "programs", "measure", "value")
"""Columns of the long form. `programs` is empty if a value covers all."""


def point(run: Drawn, search: tuple[str, int], measure: str, value: float, programs: int = 0) -> Point:
    """Return a value of one run at its place; `search` is its stage and iteration."""
    return Point(Place(run.line, *search, measure, programs), run.name, run.seed, value)


def means(points: Iterable[Point]) -> dict[Place, Mean]:
    """Return the mean of each place over the runs of its line, places in the order of the points."""
    values: defaultdict[Place, list[float]] = defaultdict(list)
    for each in points:
        values[each.place].append(each.value)
    return {place: mean(found) for place, found in values.items()}


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of values, one per seed, with Student's t interval: ± t · s / √n, n − 1 degrees of freedom."""
    count = len(values)
    if count == 1:
        return Mean(float(values[0]), None, 1)
    half = t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count)
    return Mean(float(np.mean(values)), float(half), count)


def long_form(points: Iterable[Point]) -> list[tuple[object, ...]]:
    """Return a row per value, in `COLUMNS`."""
    rows = []
    for each in points:
        line, stage, iteration, measure, programs = astuple(each.place)
        seed = "" if each.seed is None else each.seed
        rows.append((line, each.run, seed, stage, iteration, programs or "", measure, each.value))
    return rows
