"""What a grid is (§3.1): its canonical form, its text and size in a prompt, how alike two are.

Knows no task, no program and no score. The one place that says how large a grid may be and what its colours are.
"""

from collections.abc import Sequence
from itertools import chain
from operator import eq
from typing import TypeAlias, cast

from soar.types import Value

MAX_SIDE = 30
"""The most rows, and the most columns, a grid may have (§3.1)."""

CELLS = frozenset(range(10))
"""What a cell may be."""

DIGITS = bytes.maketrans(bytes(range(10)), b"0123456789")
"""What turns cells into their digits."""

COLOURS = (
    ("black", "#000000"),
    ("blue", "#0074D9"),
    ("red", "#FF4136"),
    ("green", "#2ECC40"),
    ("yellow", "#FFDC00"),
    ("grey", "#AAAAAA"),
    ("magenta", "#F012BE"),
    ("orange", "#FF851B"),
    ("light blue", "#7FDBFF"),
    ("maroon", "#870C25"),
)
"""Name and RGB of the ten cell values, in their order; the usual palette of ARC viewers."""

Grid: TypeAlias = tuple[tuple[int, ...], ...]


def parse(value: object) -> Grid:
    """Return the grid as a tuple of tuples of ints; a `ValueError` says what is wrong, and at which index.

    Only exact lists, tuples and ints count: a boolean or a float is not a cell, even if it equals one. Messages reach
    prompts as failures of programs: rewording one changes prompts.
    """
    rows = _items(value)
    if rows and (grid := _quickly(rows)):
        return grid
    if rows is None:
        raise ValueError(f"not a grid: expected a list of rows, found {_kind(value)}")
    if not 1 <= len(rows) <= MAX_SIDE:
        raise ValueError(f"{len(rows)} rows, expected 1 to {MAX_SIDE}")
    grid = tuple(_row(y, row) for y, row in enumerate(rows))
    for y, row in enumerate(grid):
        if len(row) != len(grid[0]):
            raise ValueError(f"ragged: row [{y}] has {len(row)} cells, row [0] has {len(grid[0])}")
    return grid


def show(value: Value) -> str:
    """Return the grid's rows, one per line, one digit per cell; `value` is canonical."""
    # A row of cells as bytes becomes digits at once, not cell by cell: every prompt and example shows many grids.
    return b"\n".join([bytes(row).translate(DIGITS) for row in cast(Grid, value)]).decode()


def shape(value: Value) -> str:
    """Return the grid's size in words, rows first: ``"3 rows x 4 columns"``; `value` is canonical."""
    grid = cast(Grid, value)
    return f"{_count(len(grid), 'row')} x {_count(len(grid[0]), 'column')}"


def similarity(one: Value, other: Value) -> float:
    """Return the fraction of cells in which two canonical grids agree, 0 for grids of different shapes."""
    a, b = cast(Grid, one), cast(Grid, other)
    if (len(a), len(a[0])) != (len(b), len(b[0])):
        return 0.0
    return sum(map(eq, chain(*a), chain(*b))) / (len(a) * len(a[0]))


def _items(value: object) -> Sequence[object] | None:
    """Return a list or tuple as it is, None for everything else, subclasses included."""
    return cast(Sequence[object], value) if type(value) is list or type(value) is tuple else None


def _quickly(rows: Sequence[object]) -> Grid | None:
    """Return the grid if nothing is wrong with it, in a fifth of the time of the checks that say what is."""
    if not {list, tuple}.issuperset(map(type, rows)):
        return None
    lines = cast(Sequence[Sequence[object]], rows)
    if len(rows) > MAX_SIDE or not 1 <= len(lines[0]) <= MAX_SIDE or len(set(map(len, lines))) > 1:
        return None
    cells = list(chain.from_iterable(lines))
    # Types first, so that an object that only equals an integer, or has its own hash, is never compared.
    if set(map(type, cells)) != {int} or not CELLS.issuperset(cells):
        return None
    return cast(Grid, tuple(map(tuple, lines)))


def _row(y: int, row: object) -> tuple[int, ...]:
    cells = _items(row)
    if cells is None:
        raise ValueError(f"row [{y}] is {_kind(row)}, expected a list of ints")
    if not 1 <= len(cells) <= MAX_SIDE:
        raise ValueError(f"row [{y}] has {len(cells)} cells, expected 1 to {MAX_SIDE}")
    return tuple(_cell(y, x, cell) for x, cell in enumerate(cells))


def _cell(y: int, x: int, cell: object) -> int:
    if type(cell) is not int:
        raise ValueError(f"cell [{y}][{x}] is {_kind(cell)}, expected an integer 0 to 9")
    if not 0 <= cell <= 9:
        # Python refuses to write out an integer of thousands of digits, and nobody wants to read one.
        found = str(cell) if abs(cell) < 10**9 else "a huge integer"
        raise ValueError(f"cell [{y}][{x}] is {found}, expected an integer 0 to 9")
    return cell


def _kind(value: object) -> str:
    """Describe a wrong value in a few words, however much it holds."""
    if value is None:
        return "None"
    if isinstance(value, bool | float):
        return f"the {type(value).__name__} {value}"
    return f"of type {type(value).__name__}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
