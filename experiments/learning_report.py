"""The learning experiment's statistics and tables, from its cells alone. Cells that are not there are shown as missing,
and what needs them is not computed. Knows nothing of how a cell came about.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.learning_cells import BASE, Cell, Row
from experiments.solved import interval

SIZES = (16, 64)
MISSING = "missing"

Found = Mapping[Cell, Row]
Values = Mapping[str, float]
"""What was reached on each task; a task that is not named has 0."""

Measure = Callable[[Sequence[Row]], Values]
"""What an arm reached by its searches up to some iteration, given their rows in order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference in tasks: its mean over seeds, the 95 % interval over tasks, and each seed's."""

    mean: float
    low: float
    high: float
    by_seed: Mapping[int, float]

    @property
    def positive(self) -> bool:
        """Whether the lower end is above 0 and every seed's difference is positive."""
        return self.low > 0 and all(each > 0 for each in self.by_seed.values())


def cell_row(found: Found, experiment: str, arm: str, seed: int, iteration: int) -> Row | None:
    """Return a cell's row; iteration 0 of the arms that learn is the base's, which they share."""
    shared = iteration == 0 and arm != "sampling"
    return found.get(Cell(experiment, BASE if shared else arm, seed, iteration))


def solved(row: Row) -> set[str]:
    """Return the tasks for which some program is right on all training pairs and all test outputs."""
    return set(row["right"])


def first_solved(rows: Sequence[Row]) -> set[str]:
    """Return the tasks that the last search is the first to solve."""
    return solved(rows[-1]).difference(*map(solved, rows[:-1]))


def by_refinement(row: Row) -> set[str]:
    """Return the tasks that no sample solves, only refinements."""
    return {task for task, (_, place) in row["right"].items() if place is None}


def gained(rows: Sequence[Row]) -> Values:
    """Return 1 for each task that is unsolved in the first search and solved in a later one."""
    later: set[str] = set().union(*map(solved, rows[1:]))
    return dict.fromkeys(later - solved(rows[0]), 1.0)


def per_search(rows: Sequence[Row]) -> Values:
    """Return for each task how large a part of the searches after the first solve it."""
    counts = Counter(task for row in rows[1:] for task in solved(row))
    return {task: count / (len(rows) - 1) for task, count in counts.items()}


def pass_at(row: Row, k: int) -> Values:
    """Return 1 for each task that the first k samples solve, refinements aside; samples are no random order."""
    return {task: 1.0 for task, (_, place) in row["right"].items() if place is not None and place < k}


def difference(left: Mapping[int, Values], right: Mapping[int, Values], tasks: int) -> Difference:
    """Return the paired difference left − right over the seeds that both have, out of so many tasks."""
    seeds = sorted(left.keys() & right.keys())
    names = sorted({task for side in (left, right) for seed in seeds for task in side[seed]})
    matrix = np.zeros((len(seeds), tasks))
    for line, seed in enumerate(seeds):
        matrix[line, : len(names)] = [left[seed].get(name, 0.0) - right[seed].get(name, 0.0) for name in names]
    low, high = interval(matrix.mean(axis=0))
    by_seed = dict(zip(seeds, matrix.sum(axis=1).tolist(), strict=True))
    return Difference(sum(by_seed.values()) / len(seeds), low, high, by_seed)


def compare(left: Mapping[int, Values | None], right: Mapping[int, Values | None], tasks: int) -> str:
    """Return one line on a paired difference: over the seeds that are complete, and which are missing."""
    whole = [seed for seed in left if left[seed] is not None and right[seed] is not None]
    lacking = [str(seed) for seed in left if seed not in whole]
    note = f"; {MISSING}: seed {', '.join(lacking)}" if lacking else ""
    if not whole:
        return note.removeprefix("; ")
    found = difference(_of(left, whole), _of(right, whole), tasks)
    by_seed = ", ".join(f"{value:+.3g}" for value in found.by_seed.values())
    verdict = "" if lacking else f"; lower end above 0 and every seed positive: {'yes' if found.positive else 'no'}"
    estimate = f"{found.mean:+.2f} of {tasks} tasks, 95 % {found.low:+.2f} to {found.high:+.2f}"
    return f"{estimate}, by seed {by_seed}{verdict}{note}"


def _of(values: Mapping[int, Values | None], seeds: Sequence[int]) -> dict[int, Values]:
    return {seed: value for seed in seeds if (value := values[seed]) is not None}


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an experiment is reported: arms, seeds, the iterations 0 to `last`, and pass@k for the k in `sizes`."""

    found: Found
    experiment: str
    arms: Sequence[str]
    seeds: Sequence[int]
    last: int
    tasks: int
    sizes: Sequence[int] = SIZES

    def rows(self, arm: str, seed: int, last: int) -> list[Row] | None:
        """Return an arm's rows up to an iteration, None if one is missing."""
        rows = [cell_row(self.found, self.experiment, arm, seed, i) for i in range(last + 1)]
        whole = [row for row in rows if row is not None]
        return whole if len(whole) == len(rows) else None

    def by_seed(self, measure: Measure, arm: str, last: int) -> dict[int, Values | None]:
        """Return a measure of an arm by seed, None where a row is missing."""
        return {seed: measure(rows) if (rows := self.rows(arm, seed, last)) else None for seed in self.seeds}


def table(shown: Shown, title: str, value: Callable[[Sequence[Row]], str]) -> Table:
    """Return a table of arms and seeds by iterations; `value` is given the rows of an arm up to the iteration."""
    made = Table(title=title, box=box.SIMPLE, padding=(0, 1), title_justify="left")
    made.add_column("arm")
    made.add_column("seed", justify="right")
    for iteration in range(shown.last + 1):
        made.add_column(f"iteration {iteration}", justify="right")
    for arm in shown.arms:
        for seed in shown.seeds:
            iterations = range(1 if arm == "sampling" else shown.last + 1)
            rows = [shown.rows(arm, seed, iteration) for iteration in iterations]
            made.add_row(arm, str(seed), *(value(each) if each else MISSING for each in rows))
    return made


def compared(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of arms to compare: soar with each other one, and those with frozen."""
    whole = [arm for arm in arms if arm != "sampling"]
    pairs = [("soar", arm) for arm in whole if arm != "soar" and "soar" in whole]
    return pairs + [(arm, "frozen") for arm in whole if arm not in ("soar", "frozen") and "frozen" in whole]


def show_search(shown: Shown, console: Console) -> None:
    """Print the tables of an experiment's searches, the first measure with its controls, and the other comparisons."""
    console.print(table(shown, "tasks solved (+ for the first time)", _solved))
    console.print(table(shown, "of them by refinements alone (+ for the first time)", _refined))
    console.print(table(shown, "tasks solved by one of two voted answers", lambda rows: str(len(rows[-1]["voted"]))))
    console.print(table(shown, _named("tasks solved,", shown.sizes), partial(_passes, sizes=shown.sizes)))
    console.print(table(shown, "examples learnt from (from right programs)", _learnt))
    console.print(table(shown, "seconds, finetuning + search", _seconds))
    title = f"first solved in iterations 1 to {shown.last} among the tasks unsolved in iteration 0"
    each = f"solved by a search, mean of iterations 1 to {shown.last}"
    measures: list[tuple[str, Measure]] = [(title, gained), (each, per_search)]
    measures += [(f"pass@{k} of samples in iteration {shown.last}", partial(_chances, k=k)) for k in shown.sizes]
    pairs = compared(shown.arms)
    for title, measure in measures if pairs else []:
        console.print(f"{title}:", highlight=False)
        for arm, control in pairs:
            _say(console, f"{arm} − {control}", shown, (measure, arm, shown.last), (measure, control, shown.last))
    if "sampling" in shown.arms:
        console.print("solved in iteration 0, by equal programs:", highlight=False)
        _say(console, "sample & refine − sampling", shown, (_reached, BASE, 0), (_reached, "sampling", 0))


def show_transfer(shown: Shown, console: Console) -> None:
    """Print what searches with the weights of each iteration solve of tasks that are never learnt from, and compare the
    last with θ0."""
    console.print(table(shown, "tasks solved", lambda rows: str(len(solved(rows[-1])))))
    console.print(table(shown, _named("tasks solved,", shown.sizes), partial(_passes, sizes=shown.sizes)))
    console.print(f"solved with the weights of iteration {shown.last} and with θ0:", highlight=False)
    for arm in shown.arms:
        _say(console, f"{arm} − θ0", shown, (_reached, arm, shown.last), (_reached, arm, 0))


def _say(
    console: Console, name: str, shown: Shown, left: tuple[Measure, str, int], right: tuple[Measure, str, int]
) -> None:
    """Print the difference between two measures, each of an arm up to an iteration."""
    line = compare(shown.by_seed(*left), shown.by_seed(*right), shown.tasks)
    console.print(f"  {name}: {line}", soft_wrap=True, highlight=False)


def _named(what: str, sizes: Sequence[int]) -> str:
    return f"{what} {' / '.join(f'pass@{k}' for k in sizes)} of samples"


def _solved(rows: Sequence[Row]) -> str:
    return _counted(solved(rows[-1]), rows)


def _refined(rows: Sequence[Row]) -> str:
    return _counted(by_refinement(rows[-1]), rows)


def _counted(tasks: set[str], rows: Sequence[Row]) -> str:
    """Return how many of the last search's tasks there are, and how many of them no search before solved."""
    new = f" (+{len(tasks & first_solved(rows))})" if len(rows) > 1 else ""
    return f"{len(tasks)}{new}"


def _passes(rows: Sequence[Row], sizes: Sequence[int]) -> str:
    return " / ".join(f"{sum(pass_at(rows[-1], k).values()):.1f}" for k in sizes)


def _learnt(rows: Sequence[Row]) -> str:
    return f"{rows[-1]['examples']} ({rows[-1]['examples_right']})"


def _seconds(rows: Sequence[Row]) -> str:
    return f"{rows[-1]['finetune_seconds']:.0f} + {rows[-1]['seconds']:.0f}"


def _reached(rows: Sequence[Row]) -> Values:
    return dict.fromkeys(solved(rows[-1]), 1.0)


def _chances(rows: Sequence[Row], k: int) -> Values:
    return pass_at(rows[-1], k)
