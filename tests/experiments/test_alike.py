"""How many programs stay by a bound of likeness, and which pairs are at its border."""

import numpy as np
import pytest
from rich.console import Console

from experiments.alike import BOUNDS, Pair, kept, nearest, report

ANGLES = np.radians([0, 5, 30, 90])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def test_the_lower_the_bound_the_more_is_dropped():
    assert kept(VECTORS, [0.8, 0.95, 0.999]) == [2, 3, 4]


def test_borderline_pairs_are_those_nearest_to_the_bound():
    found = nearest("t", ["a", "b", "c", "d"], VECTORS, 0.9)
    assert [(pair.first, pair.second) for pair in found[:2]] == [("b", "c"), ("a", "c")]
    assert found[0].cosine == pytest.approx(np.cos(np.radians(25)))
    assert len(found) == 6


def test_the_table_says_what_is_dropped_and_shows_both_texts():
    console = Console(width=100)
    with console.capture() as said:
        pairs = [Pair(0.01, 0.91, "t", "one [a]", "two"), Pair(0.02, 0.88, "u", "three", "four")]
        report(10, [4, 5, 6, 7, 8, 9, 10], pairs, 0.9, console)
    lines = [" ".join(line.split()) for line in said.get().splitlines()]
    assert [f"{bound} 10 {4 + n} {6 - n}" in lines for n, bound in enumerate(BOUNDS)] == [True] * 7
    first = lines.index("— task t, cosine 0.9100: the longer (+) is dropped: above 0.9 is alike")
    assert lines[first + 1 : first + 3] == ["-one [a]", "+two"]
    assert "— task u, cosine 0.8800: the longer (+) is kept: above 0.9 is alike" in lines
