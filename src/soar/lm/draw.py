"""How tokens are drawn: temperature, min-p, and arithmetic sampling (Vilnis et al. 2023, arXiv 2210.15458).

A sample is a point in [0, 1): its first token is the one at that place in the distribution, and the point's place
within the token's share is where to look in the next distribution. Each sample by itself is drawn as ever; samples
whose points lie evenly apart, as those of consecutive seeds do, repeat each other less and cover the distribution
better than independent ones. A completion depends on its own seed and not on what is decoded beside it, up to the
rounding of the logits.
"""

import numpy as np
from numpy.typing import NDArray

from soar.lm.kernels import pick

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))

NARROW = 2.0**-8
"""A sample whose tokens so far are less probable goes on with numbers of its own: of a hundred samples it is alone with
them, and the narrower its interval, the more the logits' rounding moves it."""


def points(seeds: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return each seed's point in [0, 1): multiples of the golden ratio (Weyl's sequence), so that any consecutive
    seeds lie evenly apart. Shapes ``(n,)``."""
    return (seeds * GOLDEN >> np.uint64(11)) * np.float64(2.0**-53)


def numbers(
    points: NDArray[np.float64], widths: NDArray[np.float64], seeds: NDArray[np.uint64], places: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return the numbers that the tokens at `places` are drawn at: the points, but for samples whose first tokens
    have a probability, ``widths``, below `NARROW`. Shapes ``(n,)``."""
    return np.where(widths < NARROW, uniforms(seeds, places), points)


def uniforms(seeds: NDArray[np.uint64], places: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return one number in [0, 1) per ``(seed, place)``, both ``(n,)`` arrays, by two rounds of splitmix64
    (Steele, Lea and Flood 2014)."""
    return (_mixed(_mixed(seeds) + places * GOLDEN) >> np.uint64(11)) * np.float64(2.0**-53)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = state + GOLDEN
    for shift, factor in MIX:
        mixed = (mixed ^ (mixed >> shift)) * factor
    return mixed ^ (mixed >> np.uint64(31))


def draw(
    logits: NDArray[np.float32],
    rows: NDArray[np.int64],
    numbers: NDArray[np.float64],
    temperatures: NDArray[np.float32],
    min_p: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the token at each number's place in the distribution of its row of ``logits`` ``(branches, vocabulary)``,
    the number's place within that token's share, and the share. All but ``logits`` are ``(n,)``.

    Tokens less probable than `min_p` times the most probable one are never drawn (App. D.5).
    """
    tokens, rest, shares = np.empty(len(rows), np.int64), np.empty(len(rows)), np.empty(len(rows))
    pick(logits, rows, numbers, temperatures, min_p, tokens, rest, shares)
    return tokens, rest, shares
