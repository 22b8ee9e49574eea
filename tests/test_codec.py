"""What the supervisor reads of the bytes that a worker wrote: what `encode` can write, and nothing else."""

import pytest

from soar import codec


def nested(lists: int) -> list:
    value: list = []
    for _ in range(lists - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [0, -7, 1.5, -1e308, True, None, "ä", [], [1, [2.5, "x"]], nested(51), 2**8192 - 1, [1 - 2**8192]],
    ids=lambda value: str(value)[:20],
)
def test_what_a_worker_writes_is_read_back(value):
    def frozen(each):
        return tuple(map(frozen, each)) if isinstance(each, list) else each

    assert codec.read(codec.encode(value)) == frozen(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("inf"), b"1e400"),
        ([float("-inf")], b"[[-1e400]]"),
        (float("inf"), b"Infinity"),
        (float("nan"), b"[NaN]"),
        (nested(52), b"[" * 52 + b"]" * 52),
        (2**8192, b"%d" % 2**8192),
        (-(2**8192), b"%d" % -(2**8192)),
        ([2**8192], b"[%d]" % 2**8192),
        ({}, b"[{}]"),
        ("\ud800", b'"\\ud800"'),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_no_worker_may_return_is_not_read_from_one_that_forges_its_bytes(value, written):
    with pytest.raises(codec.Invalid):
        codec.encode(value)
    with pytest.raises(ValueError, match=r"."):
        codec.read(written)
