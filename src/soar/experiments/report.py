"""An experiment's tables, from its cells alone: what is missing is shown as missing, what needs it is not computed."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from soar.experiments.cells import Cell, Row
from soar.experiments.settings import BASE, Experiment
from soar.experiments.statistics import (
    Difference,
    Found,
    Values,
    by_searches,
    difference,
    finetuning,
    first_solved,
    handed_on,
    price,
    rows_of,
)

MISSING = "missing"


@dataclass(frozen=True)
class Shown:
    """What is reported: an experiment's cells, its seeds with their tasks, and the tasks' groups."""

    experiment: Experiment
    found: Found
    seeds: Sequence[int]
    tasks: Mapping[int, Sequence[str]]
    groups: Mapping[str, str]

    def rows(self, arm: str, seed: int) -> list[Row] | None:
        """Return an arm's rows up to the experiment's last search, None if one is missing."""
        return rows_of(self.found, arm, seed, self.experiment.settings.searches)

    @property
    def searched(self) -> list[str]:
        """The arms that search."""
        return [name for name, arm in self.experiment.settings.arms.items() if arm.searching]


def show(shown: Shown, console: Console) -> None:
    """Print everything."""
    console.print(f"experiment {shown.experiment.digest}: {shown.experiment.path}", highlight=False, soft_wrap=True)
    views = {"solved": "own program", "pooled": "any task's program", "voted": "one of two answers"}
    for view, title in views.items():
        console.print(_table(shown, f"tasks solved, {title} (+ first solved after the first search)", view))
    console.print(_costs(shown))
    _handed_on(shown, console)
    for left, right in shown.experiment.settings.compare:
        for view, title in views.items():
            _say(console, f"{left} − {right}, equal searches, {title}", equal_searches(shown, left, right, view))
        for view, title in views.items():
            _say(console, f"{left} − {right}, equal CPU, {title}", equal_cpu(shown, left, right, view))
        _say(console, f"{left} − {right}, a quarter more searches for it", more_searches(shown, left, right, 1.25))
    _never(shown, console)
    _functions(shown, console)


def equal_searches(shown: Shown, left: str, right: str, view: str = "solved") -> Difference | None:
    """Return the difference in tasks first solved by as many searches, over the seeds that are complete."""
    ours, theirs = _first(shown, left, view), _first(shown, right, view)
    return _difference(shown, ours, theirs)


def equal_cpu(shown: Shown, left: str, right: str, view: str = "solved") -> Difference | None:
    """Return the difference in tasks first solved where the right arm searches on for the CPU time that the left spent
    on finetuning, a search priced alike."""

    def searches(seed: int, rows: Sequence[Row]) -> float | None:
        each, spent = price(shown.found, seed), finetuning(rows)
        return None if each is None or spent is None else len(rows) - 1 + spent / each

    return _searching_on(shown, left, right, view, searches)


def more_searches(shown: Shown, left: str, right: str, times: float, view: str = "solved") -> Difference | None:
    """Return the difference in tasks first solved where the right arm has so many times as many searches."""
    return _searching_on(shown, left, right, view, lambda _, rows: times * (len(rows) - 1))


def _searching_on(
    shown: Shown, left: str, right: str, view: str, searches: Callable[[int, Sequence[Row]], float | None]
) -> Difference | None:
    """Return the difference where the right arm has as many `searches` as a seed and the left's rows say; over the
    seeds where both went far enough."""
    ours: dict[int, Values] = {}
    theirs: dict[int, Values] = {}
    for seed in shown.seeds:
        rows = shown.rows(left, seed)
        number = searches(seed, rows) if rows and rows[0][view] is not None else None
        reached = None if number is None else by_searches(_whole(shown, right, seed), number, view)
        if rows and reached is not None:
            ours[seed], theirs[seed] = first_solved(rows, view), reached
    return _difference(shown, ours, theirs)


def _whole(shown: Shown, arm: str, seed: int) -> list[Row]:
    """Return an arm's rows up to the first that is missing: it is compared as soon as it has searched far enough."""
    for searches in range(shown.experiment.searches(arm), 0, -1):
        if rows := rows_of(shown.found, arm, seed, searches):
            return rows
    return []


def _first(shown: Shown, arm: str, view: str) -> dict[int, Values]:
    found = {seed: shown.rows(arm, seed) for seed in shown.seeds}
    return {seed: first_solved(rows, view) for seed, rows in found.items() if rows and rows[0][view] is not None}


def _difference(shown: Shown, left: Mapping[int, Values], right: Mapping[int, Values]) -> Difference | None:
    return difference(left, right, shown.groups, shown.tasks) if left.keys() & right.keys() else None


def _say(console: Console, name: str, found: Difference | None) -> None:
    if found is None:
        console.print(f"{name}: {MISSING}", highlight=False, soft_wrap=True)
        return
    seeds = ", ".join(f"{seed}: {value:+.3g}" for seed, value in found.by_seed.items())
    verdict = "above 0, every seed too" if found.shown else "not shown"
    interval = f"{found.total:+.1f} (95 % {found.low:+.1f} to {found.high:+.1f})"
    console.print(f"{name}: {interval}; by seed {seeds}; {verdict}", highlight=False, soft_wrap=True)


def _table(shown: Shown, title: str, view: str) -> Table:
    made = Table(title=title, box=box.SIMPLE, padding=(0, 1), title_justify="left")
    most = max(map(shown.experiment.searches, shown.searched), default=1)
    for name in ("arm", "seed", *map(str, range(most)), "first"):
        made.add_column(name, justify="left" if name == "arm" else "right")
    for arm in shown.searched:
        for seed in shown.seeds:
            rows = [shown.found.get(Cell(arm if n else BASE, seed, n)) for n in range(shown.experiment.searches(arm))]
            made.add_row(
                arm, str(seed), *(_cells(rows, view) + [""] * (most - len(rows))), _gained(shown, arm, seed, view)
            )
    return made


def _cells(rows: Sequence[Row | None], view: str) -> list[str]:
    return ["–" if row is None else "" if row[view] is None else str(len(row[view])) for row in rows]


def _gained(shown: Shown, arm: str, seed: int, view: str) -> str:
    rows = shown.rows(arm, seed)
    return MISSING if rows is None else "" if rows[0][view] is None else f"+{len(first_solved(rows, view))}"


def _costs(shown: Shown) -> Table:
    made = Table(title="CPU seconds, examples, behaviours", box=box.SIMPLE, padding=(0, 1), title_justify="left")
    for name in ("arm", "seed", "finetuning", "searches", "examples", "behaviours"):
        made.add_column(name, justify="left" if name == "arm" else "right")
    for arm in shown.searched:
        for seed in shown.seeds:
            if rows := shown.rows(arm, seed):
                listed = [[row.get(name, math.nan) for row in rows[1:]] for name in ("finetune_cpu", "search_cpu")]
                examples = " ".join(str(row.get("examples", "")) for row in rows[1:])
                texts = [" ".join(f"{value:.0f}" for value in values) for values in listed]
                made.add_row(arm, str(seed), *texts, examples, " ".join(str(row["behaviours"]) for row in rows))
    return made


def _handed_on(shown: Shown, console: Console) -> None:
    """Print how many of the tasks first solved had been solved before, by a program written for another task."""
    for arm in shown.searched:
        counted = [rows for seed in shown.seeds if (rows := shown.rows(arm, seed))]
        found = [handed_on(rows) for rows in counted if all(row["pooled"] is not None for row in rows)]
        if found:
            said = f"{arm}: of those first solved, another task's program had solved {sum(map(len, found))} before"
            console.print(said, highlight=False, soft_wrap=True)


def _never(shown: Shown, console: Console) -> None:
    """Print what the last models solve of tasks never learnt from, and the difference to θ0."""
    if not shown.experiment.settings.never_searched:
        return
    first = {seed: row for seed in shown.seeds if (row := shown.found.get(Cell(BASE, seed, 0, "never")))}
    for arm in shown.searched:
        last = shown.experiment.searches(arm) - 1
        found = {seed: row for seed in first if (row := shown.found.get(Cell(arm, seed, last, "never")))}
        if not found:
            continue
        ids = {seed: shown.experiment.ids(shown.experiment.settings.never_searched, seed) for seed in found}
        last_ones, first_ones = (
            {seed: dict.fromkeys(rows[seed]["solved"], 1.0) for seed in found} for rows in (found, first)
        )
        counts = ", ".join(f"{seed}: {len(first[seed]['solved'])} → {len(found[seed]['solved'])}" for seed in found)
        console.print(f"never learnt from, θ0 → {arm}: {counts}", highlight=False, soft_wrap=True)
        _say(console, f"  {arm} − θ0", difference(last_ones, first_ones, shown.groups, ids))


def _functions(shown: Shown, console: Console) -> None:
    for name, arm in shown.experiment.settings.arms.items():
        for seed in shown.seeds if arm.function else ():
            row = shown.found.get(Cell(name, seed, 0))
            said = MISSING if row is None else f"{len(row['pooled'])} of {row['count']} by {row['programs']} programs"
            console.print(f"{name}, seed {seed}: {said}", highlight=False)
