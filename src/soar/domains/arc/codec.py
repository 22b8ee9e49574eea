"""How grids enter and leave the sandbox: height, width and one byte per cell.

The worker's half runs beside untrusted programs (see `soar.codec`): it trusts exact types only (a subclass, an object
with a lying ``__eq__``, a float or a boolean is not a cell) and binds the builtins it uses. The messages of `Invalid`
become failures, which prompts show: rewording one changes prompts."""

from builtins import abs, bytearray, bytes, int, iter, len, list, map, range, set, str, tuple, type, zip  # noqa: A004, UP029
from itertools import chain
from marshal import dumps as _marshal
from operator import countOf
from typing import Any

import numpy as np

from soar.codec import INTEGERS, Invalid, described
from soar.domains.arc.grids import MAX_SIDE

_CELLS = bytes(range(10))
_count = countOf


def pack(value: Any) -> bytes | None:
    """Return height, width and cells, or None if the value is not a rectangle of ints below 256."""
    if type(value) is not tuple or not 1 <= len(value) <= MAX_SIDE or type(value[0]) is not tuple:
        return None
    width = len(value[0])
    if not 1 <= width <= MAX_SIDE or set(map(type, value)) != {tuple} or set(map(len, value)) != {width}:
        return None
    try:
        return bytes((len(value), width)) + bytes(chain.from_iterable(value))
    except (ValueError, TypeError):
        return None


def unpack(data: bytes) -> list[list[int]]:
    """Return the rows of a grid that `pack` wrote."""
    return [list(data[at : at + data[1]]) for at in range(2, len(data), data[1])]


def fresh(unpacked: list[list[int]]) -> list[list[int]]:
    """Return a copy of the rows, which a program is free to change."""
    return [row[:] for row in unpacked]


def read(payload: bytes) -> tuple[tuple[int, ...], ...]:
    """Return the grid that `encode` wrote; `ValueError` if the bytes are not a grid."""
    height, width = payload[:2] if len(payload) > 2 else (0, 0)
    cells = payload[2:]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or len(cells) != height * width:
        raise ValueError("a grid whose size does not match its cells")
    if cells.translate(None, _CELLS):
        raise ValueError("a grid with a cell that is not a colour from 0 to 9")
    return tuple(zip(*[iter(cells)] * width, strict=True))


def encode(value: Any) -> bytes:
    """Return height, width and cells (a byte each) of a rectangle of ints 0 to 9, at most 30 × 30."""
    if type(value) is np.ndarray:
        return _array_bytes(value)
    if type(value) is not list and type(value) is not tuple:
        raise Invalid(f"not a grid: expected a list of rows, found {described(value)}")
    if not 1 <= len(value) <= MAX_SIDE:
        raise Invalid(f"{len(value)} rows, expected 1 to {MAX_SIDE}")
    plain = _plain_lists(value) if type(value) is list and type(value[0]) is list else None
    return _checked_rows(value) if plain is None else plain


def _plain_lists(rows: list[Any]) -> bytes | None:
    """Return height, width and cells of equally long lists, or None unless all cells are plain ints 0 to 9.

    `marshal` is the fastest way to see the exact type of each cell: it writes a letter and four bytes, little-endian,
    for a list (its length) and for a plain int (its value), and something else for any other value.
    """
    height, width = len(rows), len(rows[0])
    if not 1 <= width <= MAX_SIDE:
        return None
    try:
        # Version 2: later versions write a repeated object as a reference.
        data = _marshal(rows, 2)
    except (ValueError, MemoryError):
        return None
    letters, least = b"[" + (b"[" + b"i" * width) * height, bytearray(data[1::5])
    if data[::5] != letters or not data[2::5] == data[3::5] == data[4::5] == bytes(len(letters)):
        return None
    del least[1 :: width + 1]
    least[:1] = (height, width)
    return None if least[2:].translate(None, _CELLS) else bytes(least)


def _array_bytes(value: Any) -> bytes:
    if value.ndim != 2:
        raise Invalid(f"not a grid: an array of {value.ndim} dimensions, expected 2")
    height, width = value.shape
    if height == 0 or height > MAX_SIDE or width > MAX_SIDE:
        raise Invalid(f"an array of {height} x {width} cells, expected 1 x 1 to {MAX_SIDE} x {MAX_SIDE}")
    if value.dtype.kind not in "iu":
        raise Invalid(f"an array of {value.dtype.name}, expected integers 0 to 9")
    cells = _as_bytes(value.ravel().tolist())
    return _checked_rows(value.tolist()) if not cells else bytes((height, width)) + cells


def _all_integers(cells: Any) -> bool:
    return _count(map(type, cells), int) == len(cells) or set(map(type, cells)) <= INTEGERS


def _as_bytes(cells: list[int]) -> bytes | None:
    """Return cells as bytes, or None if one is not an integer 0 to 9."""
    try:
        found = bytes(cells)
    except ValueError:
        return None
    return None if found.translate(None, _CELLS) else found


def _checked_rows(rows: Any) -> bytes:
    """Return the grid, checked row by row: slower, but able to say what is wrong and where."""
    cells = []
    for y in range(len(rows)):
        row = _row(rows[y], y)
        found = _as_bytes(row) if _all_integers(row) else None
        if found is None:
            raise _wrong_cell(row, y)
        cells.append(found)
        if len(found) != len(cells[0]):
            raise Invalid(f"ragged: row [{y}] has {len(found)} cells, row [0] has {len(cells[0])}")
    return bytes((len(cells), len(cells[0]))) + b"".join(cells)


def _row(row: Any, y: int) -> Any:
    kind = type(row)
    if kind is np.ndarray:
        if row.ndim != 1:
            raise Invalid(f"row [{y}] is an array of {row.ndim} dimensions, expected a list of ints")
        if row.dtype.kind not in "iu":
            raise Invalid(f"row [{y}] is an array of {row.dtype.name}, expected integers 0 to 9")
        row = row[: MAX_SIDE + 1].tolist()
    elif kind is not list and kind is not tuple:
        raise Invalid(f"row [{y}] is {described(row)}, expected a list of ints")
    if not 1 <= len(row) <= MAX_SIDE:
        raise Invalid(f"row [{y}] has {len(row)} cells, expected 1 to {MAX_SIDE}")
    return row


def _wrong_cell(row: Any, y: int) -> Invalid:
    for x in range(len(row)):
        cell = row[x]
        if type(cell) not in INTEGERS:
            return Invalid(f"cell [{y}][{x}] is {described(cell)}, expected an integer 0 to 9")
        if not 0 <= cell <= 9:
            # Python refuses to write out an integer of thousands of digits, and nobody wants to read one.
            found = str(int(cell)) if abs(int(cell)) < 10**9 else "a huge integer"
            return Invalid(f"cell [{y}][{x}] is {found}, expected an integer 0 to 9")
    return Invalid(f"row [{y}] holds a cell that is no integer 0 to 9")
