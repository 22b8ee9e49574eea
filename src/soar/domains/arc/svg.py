"""Grids for pages and notebooks: one self-contained SVG element each. Knows ARC's palette, and no page.

A run of cells of one colour is one rectangle, and all rectangles of a colour are one path, so that a report of hundreds
of tasks stays a small file.
"""

from collections.abc import Iterator
from itertools import groupby

from soar.domains.arc.grids import COLOURS, Grid, shape

CELL, LARGEST = 14, 210
"""The side of a cell, and the largest longer side of a grid, in pixels."""


def svg(grid: Grid) -> str:
    """Return the grid as an SVG element of at most `LARGEST` pixels a side; its label tells screen readers the size."""
    rows, columns = len(grid), len(grid[0])
    cell = min(CELL, LARGEST / max(rows, columns))
    colours = sorted({cell for row in grid for cell in row})
    paths = "".join(f'<path fill="{COLOURS[colour][1]}" d="{_runs(grid, colour)}"/>' for colour in colours)
    lines = [f"M{x} 0v{rows}" for x in range(columns + 1)] + [f"M0 {y}h{columns}" for y in range(rows + 1)]
    return (
        f'<svg viewBox="-.05 -.05 {columns + 0.1:g} {rows + 0.1:g}" width="{columns * cell:g}"'
        f' height="{rows * cell:g}" role="img" aria-label="{shape(grid)}">'
        f'{paths}<path d="{"".join(lines)}" fill="none" stroke="#777" stroke-width=".06"/></svg>'
    )


def _runs(grid: Grid, colour: int) -> str:
    """Return the path around all cells of one colour, a rectangle per run of them in a row."""
    return "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(grid) for x, length in _where(row, colour))


def _where(row: tuple[int, ...], colour: int) -> Iterator[tuple[int, int]]:
    x = 0
    for found, cells in groupby(row):
        length = len(list(cells))
        if found == colour:
            yield x, length
        x += length
