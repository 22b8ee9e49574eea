"""How supervisor, zygote and worker talk: frames on a socket, a request of programs, records of what they did.

Knows bytes alone. Whatever a worker sends is read totally: an error here is a `Malformed`, never a surprise. Imported
on both sides, so it needs the standard library only, and binds builtins before any program can replace them.
"""

import json
import struct
from builtins import any, bytes, dict, isinstance, iter, len, list, map, range, set, tuple, type, zip  # noqa: A004, UP029
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

FRAME = struct.Struct("<cI")
ORDER = struct.Struct("<d")
"""What the zygote itself reads of a request: the most CPU seconds that its worker may use."""

_JOB = struct.Struct("<ddBHH")
_SET = struct.Struct("<H")
_VALUE = struct.Struct("<BI")
_PROGRAM = struct.Struct("<HHI")
_RECORD = struct.Struct("<BHHI")
_CPU = struct.Struct("<d")

GRID, JSON, FAILURE, UNLOADED, ALONE, SAME, DONE, STOP = range(1, 9)
"""Kinds of records: an output in one of two forms, a failure; a failure to load, which holds for all inputs; run this
program alone; the same code as an earlier program of the batch; all said about a program; the worker ends."""

MAX_SIDE = 30
MAX_RECORD = 1 << 20
MAX_INPUTS = 1 << 16
_CELLS = bytes(range(10))


class Malformed(Exception):
    """Bytes that nothing of ours has written."""


Record = tuple[int, int, int, bytes]
"""One thing a worker says: its kind, the place of the program in the request, that of the input, and the content."""


@dataclass(frozen=True, slots=True)
class Request:
    """Programs for one worker. `programs` holds (place of its inputs in `inputs`, first input to run, code)."""

    cpu_seconds: float
    slice_seconds: float
    alone: bool
    json_results: bool
    inputs: Sequence[bytes]
    programs: Sequence[tuple[int, int, bytes]]


def pack_request(request: Request) -> bytes:
    """Return a request as bytes."""
    flags = request.alone | request.json_results << 1
    head = _JOB.pack(request.cpu_seconds, request.slice_seconds, flags, len(request.inputs), len(request.programs))
    parts = [head]
    for values in request.inputs:
        parts += [struct.pack("<I", len(values)), values]
    for place, first, code in request.programs:
        parts += [_PROGRAM.pack(place, first, len(code)), code]
    return b"".join(parts)


def unpack_request(data: bytes) -> Request:
    """Return the request in bytes that `pack_request` made."""
    cpu_seconds, slice_seconds, flags, sets, count = _JOB.unpack_from(data)
    at = _JOB.size
    inputs = []
    for _ in range(sets):
        (size,) = struct.unpack_from("<I", data, at)
        inputs.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    programs = []
    for _ in range(count):
        place, first, size = _PROGRAM.unpack_from(data, at)
        at += _PROGRAM.size
        programs.append((place, first, data[at : at + size]))
        at += size
    return Request(cpu_seconds, slice_seconds, bool(flags & 1), bool(flags & 2), inputs, programs)


def pack_inputs(values: Sequence[object], *, grids: bool) -> bytes:
    """Return the inputs of a task as bytes; with `grids`, rectangles of small ints take a byte per cell."""
    if len(values) >= MAX_INPUTS:
        raise ValueError(f"{len(values)} inputs, expected fewer than {MAX_INPUTS}")
    parts = [_SET.pack(len(values))]
    for value in values:
        data = _grid_bytes(value) if grids else None
        kind = GRID
        if data is None:
            kind, data = JSON, json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        parts += [_VALUE.pack(kind, len(data)), data]
    return b"".join(parts)


def _grid_bytes(value: Any) -> bytes | None:
    """Return height, width and cells, or None where the value is no rectangle of ints below 256."""
    if type(value) is not tuple or not 1 <= len(value) <= MAX_SIDE or type(value[0]) is not tuple:
        return None
    width = len(value[0])
    if not 1 <= width <= MAX_SIDE or set(map(type, value)) != {tuple} or set(map(len, value)) != {width}:
        return None
    try:
        return bytes((len(value), width)) + bytes(chain.from_iterable(value))
    except (ValueError, TypeError):
        return None


def unpack_inputs(data: bytes) -> list[list[list[int]] | bytes]:
    """Return the inputs in what `pack_inputs` made, to be handed out by `fresh_input`: the rows of a grid, or JSON."""
    (count,) = _SET.unpack_from(data)
    at, found = _SET.size, []
    for _ in range(count):
        kind, size = _VALUE.unpack_from(data, at)
        at += _VALUE.size
        found.append(_rows(data[at : at + size]) if kind == GRID else data[at : at + size])
        at += size
    return found


def _rows(data: bytes) -> list[list[int]]:
    return [list(data[at : at + data[1]]) for at in range(2, len(data), data[1])]


def fresh_input(packed: list[list[int]] | bytes) -> object:
    """Return a new value that a program may do with what it likes: lists for tuples."""
    return json.loads(packed) if isinstance(packed, bytes) else [row[:] for row in packed]


def pack_record(kind: int, place: int, index: int, payload: bytes = b"") -> bytes:
    """Return a record as bytes."""
    return _RECORD.pack(kind, place, index, len(payload)) + payload


def pack_seconds(seconds: float) -> bytes:
    """Return CPU seconds as the payload of a `DONE` record."""
    return _CPU.pack(seconds)


class RecordReader:
    """Cuts a worker's bytes into records as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that are whole now; `Malformed` where they are none of ours."""
        data = self._rest + data
        at, found = 0, []
        while at + _RECORD.size <= len(data):
            kind, place, index, size = _RECORD.unpack_from(data, at)
            if size > MAX_RECORD:
                raise Malformed(f"a record of {size} bytes")
            end = at + _RECORD.size + size
            if end > len(data):
                break
            found.append((kind, place, index, data[at + _RECORD.size : end]))
            at = end
        self._rest = data[at:]
        return found


def read_seconds(payload: bytes) -> float:
    """Return the CPU seconds of a `DONE` record."""
    if len(payload) != _CPU.size:
        raise Malformed("no time")
    (seconds,) = _CPU.unpack(payload)
    return seconds if 0 <= seconds < 1e9 else 0.0


def read_grid(payload: bytes) -> tuple[tuple[int, ...], ...]:
    """Return the grid in the payload of a `GRID` record."""
    height, width = payload[:2] if len(payload) > 2 else (0, 0)
    cells = payload[2:]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or len(cells) != height * width:
        raise Malformed("a grid of another size than it says")
    if cells.translate(None, _CELLS):
        raise Malformed("a cell that is no colour")
    return tuple(zip(*[iter(cells)] * width, strict=True))


def read_json(payload: bytes) -> object:
    """Return the value in the payload of a `JSON` record, with tuples for lists."""
    try:
        return _frozen(json.loads(payload.decode("ascii"), parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        raise Malformed("an object, expected lists and scalars")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Malformed("half a character")
    return tuple([_frozen(item) for item in value]) if isinstance(value, list) else value
