"""What can be said of an experiment's cells: tasks first solved after the first search, by equal searches and by equal
CPU, with intervals that resample seeds and groups of tasks. Knows cells, and nothing of how they came about.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import t as student

from soar.experiments.cells import Cell, Row
from soar.experiments.settings import BASE
from soar.seeds import rng

RESAMPLES, AT_ONCE = 10_000, 500

Found = Mapping[Cell, Row]
Values = Mapping[str, float]
"""What was reached on each task; a task that is not named has 0."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference in tasks, summed over seeds: its 95 % interval, and each seed's."""

    total: float
    low: float
    high: float
    by_seed: Mapping[int, float]

    @property
    def shown(self) -> bool:
        """Whether the interval lies above 0 and every seed's difference does."""
        return self.low > 0 and all(each > 0 for each in self.by_seed.values())


def rows_of(found: Found, arm: str, seed: int, searches: int, tasks: str = "searched") -> list[Row] | None:
    """Return the rows of an arm's first `searches`, the shared one first; None if one is missing."""
    rows = [found.get(Cell(arm if number else BASE, seed, number, tasks)) for number in range(searches)]
    whole = [row for row in rows if row is not None]
    return whole if len(whole) == len(rows) else None


def first_solved(rows: Sequence[Row], view: str = "solved") -> Values:
    """Return 1 for each task that the first search did not solve and a later one did."""
    later: set[str] = set().union(*(row[view] for row in rows[1:]))
    return dict.fromkeys(later.difference(rows[0][view]), 1.0)


def handed_on(rows: Sequence[Row]) -> set[str]:
    """Return the tasks first solved after the first search which a program written for another task had solved in an
    earlier one: what a look through all programs would have found without learning."""
    pooled: set[str] = set()
    solved: set[str] = set()
    found: set[str] = set()
    for number, row in enumerate(rows):
        new = set(row["solved"]) - solved
        found |= new & pooled if number else set()
        solved |= new
        pooled |= set(row["pooled"])
    return found


def price(found: Found, seed: int) -> float | None:
    """Return what one search costs, in CPU seconds: the mean over all arms of a seed, so that it is alike for all."""
    costs = [
        row["search_cpu"]
        for cell, row in found.items()
        if cell.seed == seed and cell.tasks == "searched" and "search_cpu" in row and "programs" not in row
    ]
    return float(np.mean(costs)) if costs else None


def finetuning(rows: Sequence[Row]) -> float | None:
    """Return the CPU seconds of an arm's finetunings; one that is not known counts as the mean. None if none of them
    is known."""
    known = [row["finetune_cpu"] for row in rows[1:] if "finetune_cpu" in row]
    if not known:
        return 0.0 if len(rows) == 1 else None
    return float(np.mean(known)) * (len(rows) - 1)


def by_searches(rows: Sequence[Row], searches: float, view: str = "solved") -> Values | None:
    """Return the tasks first solved by so many searches after the first, a part of one counting for as much of what it
    adds; None if an arm has not so many."""
    whole = int(searches)
    if len(rows) - 1 < np.ceil(searches):
        return None
    before = first_solved(rows[: whole + 1], view) if whole else {}
    if searches == whole:
        return before
    after = first_solved(rows[: whole + 2], view)
    return {task: 1.0 if task in before else searches - whole for task in after}


def difference(
    left: Mapping[int, Values],
    right: Mapping[int, Values],
    groups: Mapping[str, str],
    tasks: Mapping[int, Sequence[str]],
) -> Difference:
    """Return the paired difference left − right over the seeds that both have; `tasks` are those of each seed. Seeds
    may share groups: a group is drawn for all of them at once."""
    seeds = sorted(left.keys() & right.keys())
    sums = [_by_group(left[seed], right[seed], groups, tasks[seed]) for seed in seeds]
    names = sorted(set().union(*sums))
    matrix = np.array([[each.get(name, 0.0) for name in names] for each in sums])
    draw = rng(0, "bootstrap", *seeds)
    totals = np.concatenate([_resampled(matrix, AT_ONCE, draw) for _ in range(RESAMPLES // AT_ONCE)])
    low, high = np.quantile(totals, [0.025, 0.975])
    by_seed = dict(zip(seeds, matrix.sum(axis=1).tolist(), strict=True))
    return Difference(sum(by_seed.values()), float(low), float(high), by_seed)


def _resampled(matrix: NDArray[np.float64], number: int, draw: Generator) -> NDArray[np.float64]:
    """Return sums of ``(seeds, groups)`` differences whose rows and columns are drawn with replacement, so many."""
    seeds, groups = (draw.multinomial(n, np.full(n, 1 / n), number) for n in matrix.shape)
    return ((seeds @ matrix) * groups).sum(axis=1)


def _by_group(left: Values, right: Values, groups: Mapping[str, str], tasks: Sequence[str]) -> dict[str, float]:
    """Return the difference summed over the tasks of each group."""
    sums: dict[str, float] = {}
    for task in tasks:
        group = groups.get(task, task)
        sums[group] = sums.get(group, 0.0) + left.get(task, 0.0) - right.get(task, 0.0)
    return sums


def margin(values: Sequence[float]) -> float | None:
    """Return half of the 95 % interval of the mean of some seeds, by Student's t; None for less than two."""
    n = len(values)
    return float(student.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n) if n > 1 else None
