"""Draws figures as SVG and PDF by matplotlib, imported only here. Knows panels and series; computes no value."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soar.files import growing
from soar.report.figures.figure import Figure, Panel, Series
from soar.report.foreign import visible
from soar.settings import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""The palette of Okabe and Ito, which most people can tell apart."""

PANEL = 3.6, 2.7
"""Width and height of one panel, in inches."""

TICKS = 12
"""How many named places one panel holds; with more it gets wider."""

STYLE: dict[str, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "soar",
    "text.parse_math": False,
}
"""Text stays text, names are not parsed as mathematics, and the same values give the same bytes."""

FORMATS = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The file formats of a figure, with the metadata that keeps the current time out of them."""


def matplotlib_or_error() -> None:
    """Raise `ConfigError` with the install command if matplotlib is missing."""
    require("a figure", "figures", "matplotlib")


def draw(figure: Figure, folder: Path) -> None:
    """Write a figure's panels into a folder as SVG and PDF."""
    from matplotlib import style

    with style.context(["default", STYLE]), warnings.catch_warnings():  # whatever the user's settings are
        # A run's name may have letters that the font lacks: still text in the SVG, boxes in the PDF.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        canvas = _canvas(figure.panels)
        for suffix, metadata in FORMATS.items():
            with growing(folder / f"{figure.name}.{suffix}", binary=True) as sink:
                canvas.savefig(sink, format=suffix, metadata=metadata)


def _canvas(panels: Sequence[Sequence[Panel]]) -> "Canvas":
    """Return all panels, with one legend below them."""
    from matplotlib.figure import Figure as Canvas

    columns = max(map(len, panels))
    wide = max(1.0, max(len(panel.ticks) for row in panels for panel in row) / TICKS)
    canvas = Canvas(figsize=(PANEL[0] * columns * wide, PANEL[1] * len(panels)), layout="constrained")
    axes = canvas.subplots(len(panels), columns, squeeze=False)
    named: dict[str, Any] = {}
    for row, places in zip(panels, axes, strict=True):
        for panel, place in zip(row, places, strict=False):
            named |= _panel(panel, place)
        for place in places[len(row) :]:
            place.set_axis_off()
    canvas.legend(list(named.values()), list(named), loc="outside lower center", ncols=2 * columns)
    return canvas


def _panel(panel: Panel, axes: "Axes") -> dict[str, Any]:
    """Draw a panel; return the legend handle of each of its series."""
    named = {}
    for each, floor in zip(panel.series, _floors(panel), strict=True):
        if panel.stacked:
            named[_label(each)] = axes.bar(each.xs, each.ys, bottom=floor, width=0.6, color=_colour(each))
        else:
            named[_label(each)] = _line(each, axes, panel)
    axes.set_title(visible(panel.title))
    axes.set_xlabel(panel.across)
    axes.set_ylabel(panel.up)
    axes.set_ylim(0, _top(panel))
    axes.tick_params(gridOn=True, grid_alpha=0.3)
    _ticks(panel, axes)
    return named


def _ticks(panel: Panel, axes: "Axes") -> None:
    """Label the places on the x axis."""
    from matplotlib.ticker import LogLocator, NullLocator

    if panel.log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(LogLocator(base=2, numticks=7))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}" if value >= 1 else f"{value:.2g}")
    elif panel.ticks:
        axes.set_xlim(-0.6, len(panel.ticks) - 0.4)
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=90 if max(map(len, panel.ticks)) > 2 else 0)
    else:
        axes.set_xticks(sorted({x for each in panel.series for x in each.xs}))


def _line(series: Series, axes: "Axes", panel: Panel) -> Any:
    """Draw a series as a line, or only as markers if places have names, with intervals if there are any."""
    halves = [half or 0.0 for half in series.halves]
    look = {"color": _colour(series), "alpha": 0.3 + 0.7 * series.shade}
    (line,) = axes.plot(
        series.xs,
        series.ys,
        linestyle="none" if panel.ticks else "dashed" if series.dashed else "solid",
        marker="o",
        markersize=4,
        markerfacecolor="white" if series.dashed else _colour(series),
        **look,
    )
    if any(halves) and panel.log:
        low, high = ([y + sign * half for y, half in zip(series.ys, halves, strict=True)] for sign in (-1, 1))
        axes.fill_between(series.xs, low, high, color=_colour(series), alpha=0.12, linewidth=0)
    elif any(halves):
        axes.errorbar(series.xs, series.ys, yerr=halves, linestyle="none", capsize=3, **look)
    return line


def _top(panel: Panel) -> float:
    """Return where the y axis ends: above all values and intervals, at most at the top of what is possible."""
    if panel.stacked:
        return panel.top
    reached = [y + (half or 0.0) for each in panel.series for y, half in zip(each.ys, each.halves, strict=True)]
    return min(panel.top, 1.1 * max(reached, default=0.0)) or panel.top


def _floors(panel: Panel) -> list[list[float]]:
    """Return for each series where its bars begin: on top of those before."""
    floors, sums = [], [0.0] * max((len(each.ys) for each in panel.series), default=0)
    for each in panel.series:
        floors.append(sums)
        sums = [low + y for low, y in zip(sums, each.ys, strict=False)]
    return floors


def _colour(series: Series) -> str:
    return COLOURS[series.colour % len(COLOURS)]


def _label(series: Series) -> str:
    """Return the legend text; matplotlib leaves out labels that begin with an underscore."""
    label = visible(series.label)
    return f" {label}" if label.startswith("_") else label
