"""What a comparison comes to: a table for people, its values one by one, a picture. Data, and how numbers are put."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from soar.experiments.statistics import margin
from soar.report.figures.figure import Panel, Series


@dataclass(frozen=True)
class Tabled:
    """A comparison's result: what must be known to read it; the table; `values` under `columns`, a seed each; rows of
    panels, none where there is nothing to draw."""

    about: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    columns: Sequence[str]
    values: Sequence[Sequence[object]]
    panels: Sequence[Sequence[Panel]] = ()


def mean_text(values: Sequence[float], digits: int = 2) -> str:
    """Return the mean over seeds with half of its 95 % interval, where there are two seeds or more."""
    half = margin(values)
    return f"{fmean(values):.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def counted_text(values: Sequence[float], of: int, digits: int = 2) -> str:
    """Return `mean_text`, and from how many seeds it is where the row has more of them."""
    return mean_text(values, digits) + (f" (n = {len(values)})" if len(values) < of else "")


def mean_series(label: str, way: Mapping[int, Sequence[float]], colour: int, *, dashed: bool = False) -> Series:
    """Return the line of means over seeds, with their intervals, given the seeds' values by place on the x axis."""
    ys, halves = [fmean(each) for each in way.values()], [margin(each) for each in way.values()]
    return Series(f"{label} (n = {min(map(len, way.values()))})", [*way], ys, halves, colour, dashed=dashed)
