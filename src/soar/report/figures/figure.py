"""A figure before anything draws it: values, a small table, panels of series. Data only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from soar.report.figures.point import COLUMNS, Mean, Means


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a panel, or a layer of its bars. `halves` are half the widths of intervals, None if there is none.
    `colour` is a number that the drawing maps to a colour; `shade` is from 0 (faint) to 1."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    halves: Sequence[float | None]
    colour: int = 0
    shade: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `ticks` name the places 0, 1, … of the x axis; `log` makes that axis logarithmic, to base 2;
    `stacked` series are layers of bars; no value lies above `top`."""

    title: str
    across: str
    up: str
    series: Sequence[Series]
    ticks: Sequence[str] = ()
    log: bool = False
    stacked: bool = False
    top: float = 100.0


@dataclass(frozen=True)
class Figure:
    """A figure: the name of its files, what it shows, which of the paper's it follows, sentences on how to read it, a
    small table, all values in the long form, and rows of panels; without panels it is a table alone. Without values it
    is not drawn, and `says` says why."""

    name: str
    title: str
    paper: str
    says: Sequence[str]
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    values: Sequence[Sequence[object]] = ()
    columns: Sequence[str] = COLUMNS
    panels: Sequence[Sequence[Panel]] = field(default=())


def searches(found: Means) -> list[tuple[str, str, int]]:
    """Return line, stage and iteration of every search that has a value, in their order."""
    return list(dict.fromkeys((place.line, place.stage, place.iteration) for place in found))


def stages(found: Means) -> list[str]:
    """Return the stages that have a value, in their order."""
    return list(dict.fromkeys(place.stage for place in found))


def lines(found: Means) -> list[str]:
    """Return the lines that have a value, in their order."""
    return list(dict.fromkeys(place.line for place in found))


def counted(found: Iterable[Mean]) -> str:
    """Return how many seeds are behind some means: not all seeds have finished the same searches."""
    seeds = {each.seeds for each in found} or {0}
    return f"n = {max(seeds)}" if len(seeds) == 1 else f"n = {min(seeds)} to {max(seeds)}"


def cell(found: Mean | None, digits: int = 1) -> str:
    """Return a mean as a table shows it: with its interval if there is one, and the number of seeds."""
    if found is None:
        return "–"
    half = "" if found.half is None else f" ± {found.half:.{digits}f}"
    return f"{found.value:.{digits}f}{half} (n = {found.seeds})"
