"""What a program returned, as the bytes of a record, or the reason why it is no value.

Knows exact types only: a subclass, an object with a lying ``__eq__``, a float or a boolean is no cell. Runs in the
worker beside the program, hence the builtins bound here before any program can replace them.
"""

import json
from builtins import abs, bytearray, bytes, frozenset, int, len, list, map, range, set, str, tuple, type  # noqa: A004, UP029
from marshal import dumps as _marshal
from operator import countOf
from typing import Any

import numpy as np

MAX_SIDE = 30
MAX_TEXT = 1 << 20
MAX_DEPTH = 50
MAX_BITS = 8192
INTEGERS = frozenset([int, *(np.dtype(code).type for code in "bBhHiIlLqQpP")])
_CELLS = bytes(range(10))
_dumps, _finite, _count = json.dumps, np.isfinite, countOf


class Invalid(Exception):
    """A result that is no value; the message is the reason."""


class TooLarge(Exception):
    """A result of more than `MAX_TEXT` bytes."""


def grid_bytes(value: Any) -> bytes:
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
    """Return height, width and cells of lists of one length, None unless all cells are plain ints 0 to 9.

    `marshal` is the fastest way to see the exact type of each cell: it writes a letter and four bytes, least first, for
    a list (its length) and for a plain int (its value), and something else for everything else.
    """
    height, width = len(rows), len(rows[0])
    if not 1 <= width <= MAX_SIDE:
        return None
    try:
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
    """Return cells as bytes, None where one is no integer 0 to 9."""
    try:
        found = bytes(cells)
    except ValueError:
        return None
    return None if found.translate(None, _CELLS) else found


def _checked_rows(rows: Any) -> bytes:
    """Return the grid row by row, which takes longer and knows what is wrong where."""
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
            # An integer of thousands of digits cannot be written out in Python, and nobody wants to read it.
            found = str(int(cell)) if abs(int(cell)) < 10**9 else "a huge integer"
            return Invalid(f"cell [{y}][{x}] is {found}, expected an integer 0 to 9")
    return Invalid(f"row [{y}] holds a cell that is no integer 0 to 9")


def described(value: Any) -> str:
    """Return what a wrong value is, in a few words that stay short whatever it holds."""
    kind = type(value)
    if value is None:
        return "None"
    if kind in (bool, float):
        return f"the {kind.__name__} {value}"
    if kind is np.ndarray:
        return f"an array of {value.dtype.name} with {value.ndim} dimensions"
    name = type.__dict__["__name__"].__get__(kind)
    return f"of type {name[:60] if type(name) is str else '?'}"


def json_bytes(value: Any) -> bytes:
    """Return the JSON text of None, booleans, ints, finite floats, text, and lists or tuples of these."""
    text = _dumps(_plain(value, 0, [MAX_TEXT]), separators=(",", ":")).encode("ascii")
    if len(text) > MAX_TEXT - 64:
        raise TooLarge(f"a result of {len(text)} bytes, expected at most {MAX_TEXT - 64}")
    return text


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """Return the value with lists for tuples. `left` counts what may still come, so a cycle ends by depth or size."""
    kind = type(value)
    left[0] -= 1 + (len(value) if kind is str else 0)
    if left[0] < 0:
        raise TooLarge("a result of more than a million items")
    if depth > MAX_DEPTH:
        raise Invalid(f"nested more than {MAX_DEPTH} deep")
    if kind is int and value.bit_length() > MAX_BITS:
        raise Invalid("a huge integer")
    if value is None or kind is bool or kind is int:
        return value
    if kind is str:
        if not value.isascii() and any_surrogate(value):
            raise Invalid("text with half a character (a lone surrogate)")
        return value
    if kind is float:
        if not _finite(value):
            raise Invalid(f"the float {value}, expected a finite number")
        return value
    if kind is list or kind is tuple:
        return [_plain(item, depth + 1, left) for item in value]
    if kind in INTEGERS:
        return int(value)
    if kind is np.ndarray and value.dtype.kind in "iu":
        if value.size > MAX_TEXT:
            raise TooLarge(f"an array of {value.size} items")
        return value.tolist()
    if kind is dict:
        raise Invalid("a dict, expected lists and scalars")
    raise Invalid(f"the result holds a value {described(value)}; expected lists, text, numbers, booleans, None")


def any_surrogate(text: str) -> bool:
    """Return whether the text cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
