"""What is said between supervisor, zygote and worker: byte for byte, and that nothing else is understood."""

import struct
from typing import Any

import pytest

from soar import codec as any_value
from soar.domains.arc import codec as grids
from soar.execution.local import wire

GRID = ((1, 2), (3, 4))


def test_a_request_is_these_bytes_and_they_are_read_back():
    request = wire.Request(1.5, 0.25, True, [b"first", b""], [(0, 0, b"code"), (1, 3, b""), (0, 2, b"x = 1")])
    data = wire.pack_request(request)
    assert data == (
        struct.pack("<ddBHH", 1.5, 0.25, 1, 2, 3)
        + struct.pack("<I", 5)
        + b"first"
        + struct.pack("<I", 0)
        + struct.pack("<HHI", 0, 0, 4)
        + b"code"
        + struct.pack("<HHI", 1, 3, 0)
        + struct.pack("<HHI", 0, 2, 5)
        + b"x = 1"
    )
    assert wire.unpack_request(data) == request


def test_a_request_says_whether_its_program_runs_alone():
    for alone in (True, False):
        assert wire.unpack_request(wire.pack_request(wire.Request(1, 1, alone, [], []))).alone is alone


def test_inputs_are_packed_by_their_codec_or_as_json_where_it_cannot():
    odd = ((1, 2), (3,))
    data = wire.pack_inputs([GRID, odd, GRID], grids)
    packed = struct.pack("<BI", 1, 6) + bytes([2, 2, 1, 2, 3, 4])
    assert data == struct.pack("<H", 3) + packed + struct.pack("<BI", 2, 11) + b"[[1,2],[3]]" + packed
    assert [each() for each in wire.unpack_inputs(data, grids)] == [[[1, 2], [3, 4]], [[1, 2], [3]], [[1, 2], [3, 4]]]


def test_every_call_gets_an_input_of_its_own():
    cases: list[tuple[Any, Any]] = [(GRID, grids), (((1, 2), (3,)), grids), (GRID, any_value)]
    for value, codec in cases:
        (fresh,) = wire.unpack_inputs(wire.pack_inputs([value], codec), codec)
        first: Any = fresh()
        first[0][0] = 9
        assert fresh() == [list(row) for row in value]


def test_infinity_is_not_an_input():
    with pytest.raises(ValueError, match="JSON"):
        wire.pack_inputs([float("inf")], grids)


def test_more_inputs_than_can_be_numbered_are_refused():
    assert len(wire.pack_inputs([1] * 65535, any_value)) == 2 + 65535 * 6
    with pytest.raises(ValueError, match=r"^65536 inputs, expected fewer than 65536$"):
        wire.pack_inputs([1] * 65536, any_value)


def test_a_record_is_these_bytes():
    assert wire.pack_record(wire.FAILURE, 2, 3, b"why") == struct.pack("<BHHI", 3, 2, 3, 3) + b"why"
    assert wire.pack_record(wire.STOP, 0, 0) == struct.pack("<BHHI", 8, 0, 0, 0)
    kinds = (
        wire.VALUE,
        wire.JSON,
        wire.FAILURE,
        wire.UNLOADED,
        wire.ALONE,
        wire.SAME,
        wire.DONE,
        wire.STOP,
        wire.CLEAN,
    )
    assert kinds == (1, 2, 3, 4, 5, 6, 7, 8, 9)


def test_records_are_read_however_their_bytes_arrive():
    records = [(1, 0, 0, b"output"), (7, 0, 0, b"12345678"), (8, 1, 2, b""), (3, 65535, 65535, b"x" * 300)]
    data = b"".join(wire.pack_record(*record) for record in records)
    for step in (1, 2, 9, 10, 15, len(data)):
        reader = wire.RecordReader()
        parts = [reader.feed(data[at : at + step]) for at in range(0, len(data), step)]
        assert [record for part in parts for record in part] == records, step


def test_a_record_is_read_as_soon_as_its_last_byte_is_there():
    for payload in (b"", b"abc"):
        data = wire.pack_record(1, 0, 0, payload)
        reader = wire.RecordReader()
        assert reader.feed(data[:-1]) == []
        assert reader.feed(data[-1:]) == [(1, 0, 0, payload)]


def test_a_record_of_more_than_a_megabyte_is_refused_before_its_bytes_come():
    most = wire.pack_record(1, 0, 0, bytes(1 << 20))
    assert wire.RecordReader().feed(most) == [(1, 0, 0, bytes(1 << 20))]
    assert wire.RecordReader().feed(most[:10]) == []
    with pytest.raises(wire.Malformed, match=r"^a record of 1048577 bytes$"):
        wire.RecordReader().feed(struct.pack("<BHHI", 1, 0, 0, (1 << 20) + 1))


def test_a_time_is_eight_bytes_and_one_that_cannot_be_is_none():
    for seconds, read in ((1.5, 1.5), (0.0, 0.0), (1.0, 1.0), (9.9e8, 9.9e8), (-1.0, 0.0), (-1e-9, 0.0), (1e9, 0.0)):
        assert wire.pack_seconds(seconds) == struct.pack("<d", seconds)
        assert wire.read_seconds(wire.pack_seconds(seconds)) == read
    for strange in (float("nan"), float("inf"), float("-inf")):
        assert wire.read_seconds(wire.pack_seconds(strange)) == 0.0
    for payload in (b"", bytes(7), bytes(9)):
        with pytest.raises(wire.Malformed, match=r"^no time$"):
            wire.read_seconds(payload)


def test_frames_and_orders_have_their_sizes():
    assert wire.FRAME.pack(b"d", 7) == b"d" + struct.pack("<I", 7)
    assert wire.ORDER.pack(1.0, 2.0) == struct.pack("<dd", 1.0, 2.0)
