"""The scores of a comparison, search after search: for every arm and search the mean over seeds, and how many there are
(Tables 2 to 5 and 7, Figures 2 and 3).

Knows cells; a line needs no other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from soar.experiments.cells import Cell, Row
from soar.experiments.compare import Comparison
from soar.experiments.settings import BASE
from soar.experiments.statistics import Found
from soar.experiments.tabled import Tabled, counted_text, mean_series
from soar.report.figures.figure import Panel

MEASURES: dict[str, Callable[[Row], float | None]] = {
    "score": lambda row: None if row.get("scores") is None else sum(row["scores"].values()) / row["count"],
    "solved": lambda row: len(row["solved"]) / row["count"],
    "by samples": lambda row: None if row.get("sampled") is None else len(row["sampled"]) / row["count"],
}
"""What a search reached, as a share of its tasks: the paper's score, the mean fraction of test outputs that either of
two answers gives (§5); tasks with a program that is right on all pairs; tasks with a sample that is."""


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one search of an arm: its values by seed, in percent."""

    arm: str
    search: int
    measure: str
    values: Mapping[int, float]


def lines(comparison: Comparison, found: Found, seeds: Sequence[int]) -> list[Line]:
    """Return a line for each arm, search and measure that any seed has; the first search, shared, first."""
    experiment = comparison.experiment
    made = []
    for arm in (BASE, *experiment.settings.arms):
        for search in _searches(comparison, arm):
            rows = {seed: row for seed in seeds if (row := found.get(Cell(arm, seed, search, comparison.tasks)))}
            for measure, of in MEASURES.items():
                values = {seed: 100 * value for seed, row in rows.items() if (value := of(row)) is not None}
                made += [Line(arm, search, measure, values)] if values else []
    return made


def _searches(comparison: Comparison, arm: str) -> list[int]:
    """Return the searches of an arm that are compared: its own, or on tasks never learnt from its last model's."""
    number = comparison.experiment.searches(arm)
    return [number - 1] if comparison.tasks == "never" else list(range(0 if arm == BASE else 1, number))


def scores_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return the table of scores, an arm's search in a row, and their picture where searches follow each other."""
    made = lines(comparison, found, seeds)
    header, rows = _table(comparison, made, seeds)
    values = [
        [line.arm, seed, line.search, line.measure, f"{value:.4f}"]
        for line in made
        for seed, value in line.values.items()
    ]
    columns = ["arm", "seed", "search", "measure", "percent"]
    return Tabled(
        _about(comparison), header, rows, columns, values, _panels(comparison, made) if comparison.drawn else []
    )


def _table(comparison: Comparison, made: Sequence[Line], seeds: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    by_place: dict[tuple[str, int, str], Line] = {(line.arm, line.search, line.measure): line for line in made}
    rows = []
    for arm in (BASE, *comparison.experiment.settings.arms):
        last = comparison.experiment.searches(arm) - 1
        for search in _searches(comparison, arm):
            own = [by_place.get((arm, search, measure)) for measure in MEASURES]
            there = max((len(line.values) for line in own if line), default=0)
            paper = comparison.paper.get(arm) if search == last else None
            texts = ["missing" if line is None else counted_text([*line.values.values()], there) for line in own]
            column = ["" if paper is None else f"{paper:.2f}"] if comparison.paper else []
            rows.append([arm, str(search), *texts, f"{there} of {len(seeds)}", *column])
    last_column = ["paper's score"] if comparison.paper else []
    return ["arm", "search", *(f"{name}, %" for name in MEASURES), "seeds", *last_column], rows


def _about(comparison: Comparison) -> str:
    """Return what must be known to read the table."""
    said = (
        "Means over seeds, ± half of the 95 % interval by Student's t; search 0 is shared by the arms of a seed. score:"
        " the mean share of test outputs that one of two voted answers has right; solved: tasks with a program that is"
        " right on all pairs; by samples: those with a sample that is."
    )
    return said + (f" The paper's scores are of {comparison.paper_on}." if comparison.paper_on else "")


def _panels(comparison: Comparison, made: Sequence[Line]) -> list[list[Panel]]:
    """Return the scores of arms that search more than once on their own, the shared search first."""
    first = {line.measure: line for line in made if line.arm == BASE}
    panels = []
    for measure in ("score", "solved"):
        series = []
        for colour, arm in enumerate(comparison.experiment.settings.arms):
            own = [line for line in made if (line.arm, line.measure) == (arm, measure)]
            if len(own) > 1 and measure in first:
                way = {line.search: [*line.values.values()] for line in (first[measure], *own)}
                series.append(mean_series(arm, way, colour))
        panels += [Panel(measure, "search", f"{measure}, %", series)] if series else []
    return [panels] if panels else []
