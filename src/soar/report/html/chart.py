"""A chart of step lines as inline SVG that follows the page's colours. Knows numbers and lines, no subject."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from soar.report.html.markup import Html, element

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 38
TICKS = 5
"""Roughly how many numbers an axis shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y) that keeps its height until the next; its CSS class and its name."""

    points: Sequence[tuple[float, float]]
    style: str
    name: str


def chart(lines: Sequence[Line], across: str, up: str) -> Html:
    """Return lines over two axes that start at 0, each labelled with what it counts."""
    right = max((x for line in lines for x, _ in line.points), default=1) or 1
    top = max((y for line in lines for _, y in line.points), default=1) or 1
    down = ticks(top)
    top = max(top, down[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + width * x / right, 1), round(TOP + height * (1 - y / top), 1)

    parts = [_across(place(x, 0), x) for x in ticks(right)] + [_up(place(0, y), y) for y in down]
    parts.append(element("text", across, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle"))
    parts += [
        element(
            "path", element("title", line.name), d=_steps([place(*point) for point in line.points]), class_=line.style
        )
        for line in lines
    ]
    said = f"{up} against {across}"
    return element("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart", role="img", aria_label=said)


def ticks(top: float) -> list[int]:
    """Return round whole numbers from 0 up, the last not far below or above the highest value."""
    raw = max(top / TICKS, 1)
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= raw)
    return list(range(0, math.floor(top) + 1, step)) if top >= step else [0, math.ceil(top)]


def _across(at: tuple[float, float], value: float) -> Html:
    return element("text", _short(value), x=at[0], y=at[1] + 15, text_anchor="middle")


def _up(at: tuple[float, float], value: float) -> Html:
    line = element("path", d=f"M{at[0]} {at[1]}H{WIDTH - RIGHT}", class_="axis", stroke_width=1)
    return element("g", line, element("text", _short(value), x=at[0] - 6, y=at[1] + 4, text_anchor="end"))


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 and value % 100 == 0 else f"{value:g}"


def _steps(points: Sequence[tuple[float, float]]) -> str:
    (x, y), *rest = points
    return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in rest)
