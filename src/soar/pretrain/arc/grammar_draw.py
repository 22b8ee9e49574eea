"""What every idiom draws from: colours of the task at hand, small numbers, masks, and what is done with a mask.

Knows the style all programs share (``g`` the grid, ``m`` a mask, ``l`` labels, ``n`` a count, ``h`` a second grid,
``y, x`` indices), so that one thing is always written in one way. Knows no idiom and runs nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

CROP = "y, x = np.where(m)\ng = g[y.min() : y.max() + 1, x.min() : x.max() + 1]"
"""Crop to the bounding box of mask ``m``."""

EIGHT = ", np.ones((3, 3))"
"""The structure of diagonal connection, a second argument of ``ndimage.label`` and ``binary_*``."""

INDICES = "y, x = np.indices(g.shape)"
"""Every cell's row and column, in the grid's shape."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours constants are drawn from: those a program may look for, and those it may paint with."""

    sources: tuple[int, ...]
    paints: tuple[int, ...]


def palette_of(inputs: Iterable[tuple[tuple[int, ...], ...]], paints: Iterable[int]) -> Palette:
    """Return the palette of some input grids; `paints` are the colours that outputs hold beyond them or instead."""
    sources = sorted({cell for grid in inputs for row in grid for cell in row})
    return Palette(tuple(sources), tuple(sorted(set(paints))))


class Draw:
    """Draws the free choices of programs from a generator. The same calls in the same order give the same choices."""

    def __init__(self, palette: Palette, rng: np.random.Generator) -> None:
        self.palette = palette
        self._rng = rng
        self._sources = [c for c in palette.sources if c] or [1]
        self._paints = [c for c in palette.paints if c] or [1]

    def one(self, *choices: T) -> T:
        """Return one of `choices`, each equally likely."""
        return choices[int(self._rng.random() * len(choices))]

    def weighted(self, *choices: tuple[float, T]) -> T:
        """Return one of the choices, given as (weight, choice)."""
        mark = self._rng.random() * sum(weight for weight, _ in choices)
        for weight, choice in choices:
            mark -= weight
            if mark < 0:
                return choice
        return choices[-1][1]

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self._rng.random() < probability)

    def colour(self) -> int:
        """Return a colour to look for: one that the inputs hold, not 0."""
        return self.one(*self._sources)

    def paint(self) -> int:
        """Return a colour to paint with: one that the outputs may hold, not 0."""
        return self.one(*self._paints)

    def paint_or_zero(self) -> int:
        """Return a colour to paint with, sometimes 0."""
        return 0 if self.chance(0.15) else self.paint()

    def sources(self, count: int) -> list[int]:
        """Return up to `count` distinct colours of the inputs, in random order, 0 among them."""
        found = list(self.palette.sources)
        return [found.pop(int(self._rng.random() * len(found))) for _ in range(min(count, len(found)))]

    def small(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included; smaller ones are likelier."""
        return self.weighted(*((1 / (1 + value - low), value) for value in range(low, high + 1)))

    def mask(self) -> str:
        """Return an expression of cells: those of a colour, or of any but the background, and the like."""
        return self.weighted(
            (10, f"g == {self.colour()}"),
            (4, "g > 0"),
            (2, "g == 0"),
            (1, f"g != {self.colour()}"),
            (0.4, "g == g.max()"),
            (0.6, "g == np.bincount(g[g > 0]).argmax()"),
        )

    def things(self) -> str:
        """Return an expression of the cells that objects are made of."""
        return self.weighted((5, "g > 0"), (5, f"g == {self.colour()}"), (1, f"g != {self.colour()}"))

    def label(self, things: str | None = None, eight: float = 0.4) -> str:
        """Return the statement that labels the connected components of `things`."""
        return f"l, n = ndimage.label({things or self.things()}{EIGHT if self.chance(eight) else ''})"

    def number(self) -> str:
        """Return an expression of a colour: mostly a constant, sometimes read from the grid."""
        return self.weighted(
            (8, str(self.paint())),
            (0.8, "g.max()"),
            (0.8, "np.bincount(g[g > 0]).argmax()"),
            (0.4, "np.bincount(g.ravel()).argmax()"),
            (0.3, "g[g > 0].min()"),
            (0.3, "g[0, 0]"),
        )

    def flip(self) -> str:
        """Return an expression of the grid turned or mirrored, the same shape for a square."""
        return self.one("g[::-1]", "g[:, ::-1]", "g[::-1, ::-1]", "g.T", "np.rot90(g)", "np.rot90(g, 3)")

    def mirror(self) -> str:
        """Return an expression of the grid mirrored in its own shape."""
        return self.weighted((3, "g[::-1]"), (3, "g[:, ::-1]"), (2, "g[::-1, ::-1]"), (2, "g.T"))

    def use(self, fill: float = 1.0, crop: float = 1.0) -> str:
        """Return what is done with a mask ``m``: paint it (or only its empty cells, `fill`), keep it, crop to it."""
        return self.weighted(
            (5, f"g[m] = {self.paint_or_zero()}"),
            (5 * fill, f"g[m & (g == 0)] = {self.paint()}"),
            (1.5, f"g[m & (g == {self.colour()})] = {self.paint_or_zero()}"),
            (1, f"g[~m & (g == {self.colour()})] = {self.paint_or_zero()}"),
            (1, "g[~m] = 0"),
            (0.4, f"g[m] = {self.number()}"),
            (0.6, f"g = np.where(m, {self.paint()}, 0)"),
            (crop, CROP),
        )
