"""Draws grids in the terminal, as coloured cells for people. Knows rich and ARC's palette; prompts never use it."""

from rich.style import Style
from rich.text import Text

from soar.domains.arc.grids import COLOURS, Grid


def draw(grid: Grid) -> Text:
    """Return the grid as coloured cells, two characters wide, with digits, so that it is readable without colour."""
    text = Text(no_wrap=True)
    for y, row in enumerate(grid):
        if y:
            text.append("\n")
        for cell in row:
            text.append(f"{cell} ", style=_style(cell))
    return text


def _style(cell: int) -> Style:
    """Return the cell's colour as background, and a colour for the digit that stands out a little."""
    name, rgb = COLOURS[cell]
    return Style(color="grey50" if name in ("black", "grey") else "black", bgcolor=rgb)
