"""The score of a run against its programs, by phase and iteration. Knows what is counted; `chart` draws it."""

from collections.abc import Mapping, Sequence

from soar.report.html.chart import Line, chart
from soar.report.html.markup import Html, element, joined
from soar.report.overview import Curve

COLOURS = 6
"""How many iterations the style sheet has colours for."""

UP = {
    False: "tasks with a program right on all training pairs",
    True: "tasks with a program right on all training and test pairs",
}


def scores(curves: Mapping[str, Sequence[Curve]]) -> Html:
    """Return the charts of every stage: one for the training pairs, one for all pairs if these are known."""
    return joined(_stage(name, found) for name, found in curves.items())


def _stage(name: str, curves: Sequence[Curve]) -> Html:
    figures = [_figure([each for each in curves if each.known == known], UP[known]) for known in (False, True)]
    return joined([element("h3", f"stage {name}"), element("div", *figures, class_="charts")])


def _figure(curves: Sequence[Curve], up: str) -> Html | None:
    if not curves:
        return None
    lines = [Line(each.points, f"s{each.iteration % COLOURS} {each.phase}", _name(each)) for each in curves]
    iterations = dict.fromkeys(each.iteration for each in curves)
    key = [element("li", element("span", "━", class_=f"s{n % COLOURS}"), f" iteration {n}") for n in iterations]
    phases = "sampling ━━, then refinement ╍╍" if len({each.phase for each in curves}) > 1 else None
    return element(
        "figure",
        element("figcaption", up),
        chart(lines, "programs per task", up),
        element("ul", *key, element("li", phases) if phases else None, class_="key"),
    )


def _name(curve: Curve) -> str:
    last = curve.points[-1]
    phase = "sampling" if curve.phase == "sample" else "refinement"
    return f"iteration {curve.iteration}, {phase}: {last[1]} tasks after {last[0]} programs each"
