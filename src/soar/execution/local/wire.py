"""How supervisor, zygote and worker talk: frames on a socket, requests with programs, records of what they did.

Knows only bytes. Whatever a worker sends is either read or `Malformed`; no other error can occur. Imported on both
sides, so it needs only the standard library, and binds builtins before any program can replace them.
"""

import json
import struct
from builtins import bool, bytes, len, list, range  # noqa: A004, UP029
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from soar.codec import Codec

FRAME = struct.Struct("<cI")
ORDER = struct.Struct("<dd")
"""What the zygote itself reads of a request: the CPU seconds that its worker may use, in all and between two
reports."""

_JOB = struct.Struct("<ddBHH")
_SET = struct.Struct("<H")
_VALUE = struct.Struct("<BI")
_PROGRAM = struct.Struct("<HHI")
_RECORD = struct.Struct("<BHHI")
_CPU = struct.Struct("<d")

VALUE, JSON, FAILURE, UNLOADED, ALONE, SAME, DONE, STOP, CLEAN = range(1, 10)
"""Kinds of records: an output (an input may also be `JSON`, if the codec cannot carry it); a failure; a failure to
load, which holds for all inputs; run this program alone; the same code as an earlier program of the batch; a program is
done; the worker ends; no program so far has left a trace, so their verdicts count."""

MAX_RECORD = 1 << 20
MAX_INPUTS = 1 << 16


class Malformed(Exception):
    """Bytes that this protocol never produces."""


Record = tuple[int, int, int, bytes]
"""One report of a worker: its kind, the program's place in the request, the input's place, and the content."""


@dataclass(frozen=True, slots=True)
class Request:
    """Programs for one worker. `programs` holds (place of its inputs in `inputs`, first input to run, code)."""

    cpu_seconds: float
    slice_seconds: float
    alone: bool
    inputs: Sequence[bytes]
    programs: Sequence[tuple[int, int, bytes]]


def pack_request(request: Request) -> bytes:
    """Return a request as bytes."""
    sets, count = len(request.inputs), len(request.programs)
    parts = [_JOB.pack(request.cpu_seconds, request.slice_seconds, request.alone, sets, count)]
    for values in request.inputs:
        parts += [struct.pack("<I", len(values)), values]
    for place, first, code in request.programs:
        parts += [_PROGRAM.pack(place, first, len(code)), code]
    return b"".join(parts)


def unpack_request(data: bytes) -> Request:
    """Return the request in bytes that `pack_request` made."""
    cpu_seconds, slice_seconds, alone, sets, count = _JOB.unpack_from(data)
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
    return Request(cpu_seconds, slice_seconds, bool(alone), inputs, programs)


def pack_inputs(values: Sequence[object], codec: Codec) -> bytes:
    """Return the inputs of a task as bytes."""
    if len(values) >= MAX_INPUTS:
        raise ValueError(f"{len(values)} inputs, expected fewer than {MAX_INPUTS}")
    parts = [_SET.pack(len(values))]
    for value in values:
        kind, data = VALUE, codec.pack(value)
        if data is None:
            kind, data = JSON, json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        parts += [_VALUE.pack(kind, len(data)), data]
    return b"".join(parts)


def unpack_inputs(data: bytes, codec: Codec) -> list[Callable[[], object]]:
    """Return, for each input that `pack_inputs` packed, a function that returns a fresh one at each call."""
    (count,) = _SET.unpack_from(data)
    at, found = _SET.size, []
    for _ in range(count):
        kind, size = _VALUE.unpack_from(data, at)
        at += _VALUE.size
        found.append(_fresh(kind, data[at : at + size], codec))
        at += size
    return found


def _fresh(kind: int, data: bytes, codec: Codec) -> Callable[[], object]:
    return partial(codec.fresh, codec.unpack(data)) if kind == VALUE else partial(json.loads, data)


def pack_record(kind: int, place: int, index: int, payload: bytes = b"") -> bytes:
    """Return a record as bytes."""
    return _RECORD.pack(kind, place, index, len(payload)) + payload


def pack_seconds(seconds: float) -> bytes:
    """Return CPU seconds as the payload of a `DONE` record."""
    return _CPU.pack(seconds)


class RecordReader:
    """Splits a worker's bytes into records as they arrive."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that are now complete; `Malformed` if one claims too many bytes."""
        data = self._rest + data
        at, end, found = 0, len(data), []
        while (begin := at + _RECORD.size) <= end:
            kind, place, index, size = _RECORD.unpack_from(data, at)
            if size > MAX_RECORD:
                raise Malformed(f"a record of {size} bytes")
            if begin + size > end:
                break
            at = begin + size
            found.append((kind, place, index, data[begin:at]))
        self._rest = data[at:]
        return found


def read_seconds(payload: bytes) -> float:
    """Return the CPU seconds of a `DONE` record."""
    if len(payload) != _CPU.size:
        raise Malformed("no time")
    (seconds,) = _CPU.unpack(payload)
    return seconds if 0 <= seconds < 1e9 else 0.0
