"""ARC grids in few tokens: runs of a colour, rows like the row above, cells like those of another grid.

The text of the compact rendering, made for a model of a few million parameters. Knows grids and lexemes; knows neither
tasks nor tokenizers, but each lexeme here is one token there, and `GRID_LEXEMES` lists them all.

A row is a line of runs: a letter for the colour (``A`` = 0 … ``J`` = 9) or ``~`` (as in the reference grid), then the
number of cells if it is not 1. ``"3`` is three rows each like the row above, ``$3`` three rows like the reference's.
"""

from collections.abc import Callable

from soar.domains.arc.grids import MAX_SIDE, Grid

LETTERS = "ABCDEFGHIJ"

PAIR, OUT, GOT, TEST = "in", "out", "got", "test"
SAME_SIZE, RIGHT, FAILED, WRONG = "=\n", "right\n", "failed\n", "wrong\n"


def _count(number: int) -> str:
    return "" if number == 1 else str(number)


_RUNS = [f"{letter}{_count(n)}{end}" for letter in LETTERS + "~" for n in range(1, MAX_SIDE + 1) for end in ("", "\n")]
_ROWS = [f"{mark}{_count(n)}\n" for mark in '"$' for n in range(1, MAX_SIDE + 1)]
_SIZES = [f"{n}{mark}" for mark in ("r", "c\n") for n in range(1, MAX_SIDE + 1)]

GRID_LEXEMES: tuple[str, ...] = (
    PAIR,
    OUT,
    GOT,
    TEST,
    SAME_SIZE,
    RIGHT,
    FAILED,
    WRONG,
    *_SIZES,
    *_ROWS,
    *_RUNS,
)
"""Every lexeme of grids and of the marks around them in a prompt."""

GRID_PATTERN = r'[A-J~][0-9]{0,2}\n?|["$][0-9]{0,2}\n|[0-9]{1,2}r|[0-9]{1,2}c\n|=\n|(?:right|failed|wrong)\n'
"""A regular expression that splits grid text into its lexemes."""


def grid_lexemes(grid: Grid, reference: Grid | None = None) -> list[str]:
    """Return a grid as lexemes: its size, then its rows, relative to `reference` if that is shorter."""
    if reference is None or _size(grid) != _size(reference):
        return [f"{len(grid)}r", f"{len(grid[0])}c\n", *_rows(grid, None)]
    plain, relative = _rows(grid, None), _rows(grid, reference)
    return [SAME_SIZE, *(relative if len(relative) <= len(plain) else plain)]


def _size(grid: Grid) -> tuple[int, int]:
    return len(grid), len(grid[0])


def _rows(grid: Grid, reference: Grid | None) -> list[str]:
    """Return the rows: whole rows counted where they repeat the reference or the row above, else their runs."""
    lexemes: list[str] = []
    y = 0
    while y < len(grid):
        as_reference = 0 if reference is None else _while(grid, y, lambda at: grid[at] == reference[at])
        as_above = _while(grid, y, lambda at: at > 0 and grid[at] == grid[at - 1])
        if as_reference and as_reference >= as_above:
            lexemes.append(f"${_count(as_reference)}\n")
            y += as_reference
        elif as_above:
            lexemes.append(f'"{_count(as_above)}\n')
            y += as_above
        else:
            lexemes += _runs(grid[y], None if reference is None else reference[y])
            y += 1
    return lexemes


def _while(grid: Grid, start: int, holds: Callable[[int], bool]) -> int:
    """Return how many rows in succession, from `start`, satisfy `holds(row index)`."""
    count = 0
    while start + count < len(grid) and holds(start + count):
        count += 1
    return count


def _runs(row: tuple[int, ...], reference: tuple[int, ...] | None) -> list[str]:
    """Return one row's runs, the last with the line end; cells equal to the reference's make runs of ``~``."""
    cells = [LETTERS[c] for c in row]
    if reference is not None:
        cells = ["~" if c == r else letter for c, r, letter in zip(row, reference, cells, strict=True)]
    runs: list[str] = []
    start = 0
    for x in range(1, len(cells) + 1):
        if x == len(cells) or cells[x] != cells[start]:
            runs.append(f"{cells[start]}{_count(x - start)}")
            start = x
    runs[-1] += "\n"
    return runs
