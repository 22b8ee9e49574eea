"""How the completions of each search ended: with a program that ran, or how it failed. Knows records; draws nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from soar.report.figures.figure import Figure, Panel, Series, cell, counted, lines, searches, stages
from soar.report.figures.point import Drawn, Mean, Means, Place, Point, long_form, means, point

SAYS = (
    "Percent of a search's completions. ok: a program that gave an output for every input; failed, syntax-error,"
    " nondeterministic: a program that did not; the others hold no program.",
)
NONE = Mean(0.0, None, 0)


def ending_points(run: Drawn, records: Sequence[Mapping[str, Any]], kinds: Iterable[str]) -> Iterator[Point]:
    """Yield how a run's completions ended, in percent: a value for every kind in every search that has completions,
    even if it is 0, so that a mean over seeds counts it."""
    kinds = list(kinds)
    for record in records:
        total = sum(record["status"].values())
        for kind in kinds if total else ():
            value = 100 * record["status"].get(kind, 0) / total
            yield point(run, (record["stage"], record["iteration"]), kind, value)


def kinds_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all ways in which completions ended: "ok" first, then by name."""
    found = {status for record in records for status in record["status"]}
    return sorted(found, key=lambda kind: (kind != "ok", kind))


def ending_figure(points: Sequence[Point]) -> Figure:
    """Return the figure of endings: bars per search, a row of panels per line of runs."""
    found = means(points)
    kinds = list(dict.fromkeys(place.measure for place in found))
    rows = [
        [line, stage, str(iteration), *(cell(found.get(Place(line, stage, iteration, kind))) for kind in kinds)]
        for line, stage, iteration in searches(found)
    ]
    panels = [[_panel(found, line, stage, kinds) for stage in stages(found)] for line in lines(found)]
    headings = ("runs", "stage", "iteration", *kinds)
    says = SAYS if points else ("No finished search has completions.",)
    return Figure("endings", "How completions ended", "none", says, headings, rows, long_form(points), panels=panels)


def _panel(found: Means, line: str, stage: str, kinds: Sequence[str]) -> Panel:
    its = [iteration for name, its_stage, iteration in searches(found) if (name, its_stage) == (line, stage)]
    layers = [[found.get(Place(line, stage, iteration, kind), NONE) for iteration in its] for kind in kinds]
    series = [
        Series(kind, range(len(its)), [each.value for each in layer], [None] * len(its), colour=number)
        for number, (kind, layer) in enumerate(zip(kinds, layers, strict=True))
    ]
    title = f"{line}, stage {stage} ({counted(each for layer in layers for each in layer)})"
    return Panel(title, "iteration", "completions, %", series, ticks=[str(each) for each in its], stacked=True)
