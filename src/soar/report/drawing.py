"""Draws values, programs and foreign text in a terminal, uncut: what does not fit beside another goes below it.

Knows widths. Shows foreign text as `soar.report.foreign` makes it, and never as markup. Does not know what is worth
showing.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from soar.protocols import Domain
from soar.report.foreign import failure_text, visible
from soar.types import Failure, Output

Group: TypeAlias = Sequence[tuple[str, Output | None]]
"""Titled values that belong together; None (no output, or a hidden one) is drawn as a question mark."""

Cell: TypeAlias = tuple[Text, RenderableType, int]
"""A title, a drawing, and the columns that both need."""

GAP = 2
"""Columns between two values."""

FAILURE_COLUMNS = 36
"""Columns at which the text of a failure wraps."""


def highlighted(code: str) -> Text:
    """Return a program in colour, its lines uncut."""
    text = Syntax("", "python", background_color="default").highlight(visible(code))
    text.rstrip()
    return text


def print_whole(console: Console, text: Text | str) -> None:
    """Print text as it is; a line longer than the terminal is wide continues in the next row, uncut."""
    console.print(Text(visible(text)) if isinstance(text, str) else text, soft_wrap=True, highlight=False)


def print_groups(console: Console, domain: Domain, groups: Sequence[Group]) -> None:
    """Print groups of values side by side while there is room, then in further rows. Nothing is cut."""
    cells = [[_cell(console, domain, title, value) for title, value in group] for group in groups]
    for row in rows_of(cells, console.width):
        if len(row) == 1 and row[0][2] > console.width:
            for part in row[0][:2]:
                console.print(part, soft_wrap=True, highlight=False)
        else:
            console.print(beside(row))
        console.print()


def rows_of(groups: Sequence[Sequence[Cell]], columns: int) -> Iterator[list[Cell]]:
    """Yield the cells of each row: as many groups as fit; a group too wide for one row gets a row per value."""
    row: list[Cell] = []
    for group in groups:
        if row and _columns([*row, *group]) > columns:
            yield row
            row = []
        if _columns(group) > columns:
            yield from ([cell] for cell in group)
        else:
            row += group
    if row:
        yield row


def _columns(cells: Sequence[Cell]) -> int:
    return sum(width for _, _, width in cells) + GAP * (len(cells) - 1)


def beside(cells: Sequence[Cell]) -> Table:
    """Return titled drawings in one row."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    for _, _, width in cells:
        table.add_column(width=width, no_wrap=True)
    table.add_row(*(title for title, _, _ in cells))
    table.add_row(*(drawing for _, drawing, _ in cells))
    return table


def _cell(console: Console, domain: Domain, title: str, value: Output | None) -> Cell:
    named, drawing = Text(visible(title), style="bold"), _drawing(domain, value)
    # So wide that nothing wraps while it is measured.
    unbounded = console.options.update_width(100_000)
    return named, drawing, max(Measurement.get(console, unbounded, each).maximum for each in (named, drawing))


def _drawing(domain: Domain, value: Output | None) -> RenderableType:
    if value is None:
        return Text("?")
    if isinstance(value, Failure):
        return Text("\n".join(textwrap.wrap(failure_text(value), FAILURE_COLUMNS)), style="red")
    drawn = domain.draw(value)
    said = drawn.plain if isinstance(drawn, Text) else drawn
    # Colours are dropped if escaping changes the text that they belong to.
    return Text(visible(said)) if isinstance(said, str) and (said is drawn or visible(said) != said) else drawn
