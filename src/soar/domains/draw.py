"""Grids in the terminal: coloured cells for people. Knows rich and ARC's palette; prompts never come by here."""

from collections.abc import Sequence

from rich.style import Style
from rich.table import Table
from rich.text import Text

from soar.domains.arc import COLOURS, Grid


def draw(grid: Grid) -> Text:
    """Return the grid as coloured cells, two characters wide; the digits are in it, so that it reads without colour."""
    text = Text(no_wrap=True)
    for y, row in enumerate(grid):
        if y:
            text.append("\n")
        for cell in row:
            text.append(f"{cell} ", style=_style(cell))
    return text


def side_by_side(grids: Sequence[tuple[str, Grid | None]]) -> Table:
    """Return titled grids in one row; None (no output, or a hidden one) is drawn as a question mark."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, _ in grids:
        table.add_column(title, justify="left", no_wrap=True)
    table.add_row(*(Text("?") if grid is None else draw(grid) for _, grid in grids))
    return table


def _style(cell: int) -> Style:
    """Return the cell's background, with a digit that stands out a little from it."""
    name, rgb = COLOURS[cell]
    return Style(color="grey50" if name in ("black", "grey") else "black", bgcolor=rgb)
