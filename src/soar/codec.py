"""How values travel into the sandbox and out of it: the codec of any JSON value, and what all codecs share.

A codec is a module with the functions of `Codec`. Its worker half runs beside untrusted programs, so only built-in
codecs ever enter the sandbox, never one of a user's domain. They import nothing but the standard library and NumPy,
bind the builtins they use before any program can replace them, and trust only exact types."""

import json
import math
from builtins import any, bool, bytes, dict, float, frozenset, int, isinstance, len, list, str, tuple, type  # noqa: A004, UP029
from typing import Any, Protocol

import numpy as np

MAX_TEXT = 1 << 20
MAX_DEPTH = 50
MAX_BITS = 8192
INTEGERS = frozenset([int, *(np.dtype(code).type for code in "bBhHiIlLqQpP")])
_dumps, _loads, _finite = json.JSONEncoder(separators=(",", ":")).encode, json.loads, np.isfinite


class Codec(Protocol):
    """Both directions of a value, on both sides of the sandbox."""

    def pack(self, value: Any) -> bytes | None:
        """Supervisor: return an input as bytes, None if this codec cannot (it is then sent as JSON)."""
        ...

    def unpack(self, data: bytes) -> Any:
        """Worker: return what `fresh` makes copies of."""
        ...

    def fresh(self, unpacked: Any) -> object:
        """Worker: return an input as the program gets it, sharing nothing with an earlier copy."""
        ...

    def encode(self, value: Any) -> bytes:
        """Worker: return what a program returned as bytes; `Invalid` or `TooLarge` with the reason otherwise."""
        ...

    def read(self, payload: bytes) -> Any:
        """Supervisor: return the value that `encode` wrote; `ValueError` if it did not write the bytes."""
        ...


class Invalid(Exception):
    """A result that is not a value; the message is the reason."""


class TooLarge(Exception):
    """A result of more than `MAX_TEXT` bytes."""


def pack(value: Any) -> bytes:
    """Return the value's JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def unpack(data: bytes) -> int | str:
    """Return the JSON as text, or as an integer if it is one."""
    text = data.decode()
    return int(text) if text.removeprefix("-").isdecimal() else text


def fresh(unpacked: int | str) -> object:
    """Return a new value, which a program may change as it likes: lists for tuples."""
    return _loads(unpacked) if isinstance(unpacked, str) else unpacked


def encode(value: Any) -> bytes:
    """Return the JSON text of None, booleans, ints, finite floats, text, and lists or tuples of these."""
    if type(value) is int and value.bit_length() <= MAX_BITS:
        return b"%d" % value  # a sequence's term: JSON's encoder takes twenty times as long
    text = _dumps(_plain(value, 0, [MAX_TEXT])).encode("ascii")
    if len(text) > MAX_TEXT - 64:
        raise TooLarge(f"a result of {len(text)} bytes, expected at most {MAX_TEXT - 64}")
    return text


def read(payload: bytes) -> object:
    """Return the value that `encode` wrote, with tuples for lists; `ValueError` if it did not write the bytes."""
    if payload.isdigit() or (payload[:1] == b"-" and payload[1:].isdigit()):
        # For a sequence's term, the JSON parser costs more than all else done with it.
        return _frozen(int(payload), 0)
    try:
        return _frozen(_DECODER.decode(payload.decode("ascii")), 0)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _frozen(value: object, depth: int) -> object:
    """Return the value with tuples for lists; `ValueError` for what `_plain` lets nobody return."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        raise ValueError("an object, expected lists and scalars")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number too large for a float")  # 1e400, which the parser reads as infinite
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError(f"an integer of more than {MAX_BITS} bits")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("a lone surrogate")
    return tuple([_frozen(item, depth + 1) for item in value]) if isinstance(value, list) else value


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """Return the value with lists for tuples. `left` counts how much more may come, so a cycle ends by depth or
    size."""
    kind = type(value)
    left[0] -= 1 + (len(value) if kind is str else 0)
    if left[0] < 0:
        raise TooLarge("a result of more than a million items")
    if depth > MAX_DEPTH:
        raise Invalid(f"nested more than {MAX_DEPTH} deep")
    if kind is int and value.bit_length() > MAX_BITS:
        raise Invalid(f"an integer of more than {MAX_BITS} bits")
    if value is None or kind is bool or kind is int:
        return value
    if kind is str:
        if not value.isascii() and any_surrogate(value):
            raise Invalid("text with a lone surrogate (half a character)")
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


def described(value: Any) -> str:
    """Return what a wrong value is, in a few words, however large it is."""
    kind = type(value)
    if value is None:
        return "None"
    if kind in (bool, float):
        return f"the {kind.__name__} {value}"
    if kind is np.ndarray:
        return f"an array of {value.dtype.name} with {value.ndim} dimensions"
    name = type.__dict__["__name__"].__get__(kind)
    return f"of type {name[:60] if type(name) is str else '?'}"
