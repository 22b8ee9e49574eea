"""Score per search, and the vote against the oracle (Figures 2 and 3). Knows records of reports; draws nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from soar.report.figures.figure import Figure, Panel, Series, cell, counted, lines, searches, stages
from soar.report.figures.point import Drawn, Means, Place, Point, long_form, means, point

MEASURES = ("score_mean", "solved", "oracle", "gap")
SAYS = (
    "Values are percent of the tasks whose answers are known. score_mean: the mean share of test outputs that one of"
    " the two voted answers has right, as in the paper's tables; solved: one of them has all test outputs of a task"
    " right; oracle: some program has; gap: oracle − solved, what a perfect vote would add.",
)


def score_points(run: Drawn, records: Iterable[Mapping[str, Any]], answered: Mapping[str, int]) -> Iterator[Point]:
    """Yield the scores of a run's searches in percent. `answered`: by stage, the tasks whose answers are known."""
    for record in records:
        search, known = (record["stage"], record["iteration"]), answered[record["stage"]]
        if known:
            values = {name: 100 * record[name] / known for name in ("score_mean", "solved", "oracle")}
            values["gap"] = values["oracle"] - values["solved"]
            yield from (point(run, search, name, values[name]) for name in MEASURES)


def score_figure(points: Sequence[Point]) -> Figure:
    """Return the figure of scores against iterations, a column per stage."""
    found = means(points)
    says = SAYS if points else ("No finished search has tasks whose answers are known.",)
    rows = [
        [line, stage, str(iteration), *(cell(found.get(Place(line, stage, iteration, name))) for name in MEASURES)]
        for line, stage, iteration in searches(found)
    ]
    panels = [
        [_panel(found, stage, "score_mean, %", {"score_mean": False}) for stage in stages(found)],
        [_panel(found, stage, "solved and oracle, %", {"solved": False, "oracle": True}) for stage in stages(found)],
    ]
    headings = ("runs", "stage", "iteration", *MEASURES)
    return Figure(
        "score", "Score per search", "Figures 2 and 3", says, headings, rows, long_form(points), panels=panels
    )


def _panel(found: Means, stage: str, up: str, measures: Mapping[str, bool]) -> Panel:
    """Return a panel of measures against iterations, a line for each line of runs; `measures` says which are dashed."""
    series = [
        iterations(found, line, stage, measure, colour=number, dashed=dashed)
        for number, line in enumerate(lines(found))
        for measure, dashed in measures.items()
    ]
    return Panel(f"stage {stage}", "iteration", up, [each for each in series if each.xs])


def iterations(found: Means, line: str, stage: str, measure: str, *, colour: int, dashed: bool = False) -> Series:
    """Return one measure of a line of runs against the iterations of a stage."""
    places = [p for p in found if (p.line, p.stage, p.measure) == (line, stage, measure)]
    values = [found[place] for place in places]
    return Series(
        label=f"{line}: {measure} ({counted(values)})",
        xs=[place.iteration for place in places],
        ys=[value.value for value in values],
        halves=[value.half for value in values],
        colour=colour,
        dashed=dashed,
    )
