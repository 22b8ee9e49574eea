"""Grids in the terminal: coloured cells for people. Knows rich and ARC's palette; prompts never come by here."""

from rich.style import Style
from rich.text import Text

from soar.domains.arc.grids import COLOURS, Grid


def draw(grid: Grid) -> Text:
    """Return the grid as coloured cells, two characters wide; the digits are in it, so that it reads without colour."""
    text = Text(no_wrap=True)
    for y, row in enumerate(grid):
        if y:
            text.append("\n")
        for cell in row:
            text.append(f"{cell} ", style=_style(cell))
    return text


def _style(cell: int) -> Style:
    """Return the cell's background, with a digit that stands out a little from it."""
    name, rgb = COLOURS[cell]
    return Style(color="grey50" if name in ("black", "grey") else "black", bgcolor=rgb)
