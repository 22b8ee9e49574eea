"""How one token is drawn: temperature, min-p, and the inverse of the distribution function at a random number that
depends on the sample's seed and the token's place alone.

So a completion depends on its own seed and not on what is decoded beside it, up to the rounding of the logits.
"""

import numpy as np
from numpy.typing import NDArray

from soar.lm.kernels import pick

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


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
    numbers: NDArray[np.float64],
    temperatures: NDArray[np.float32],
    min_p: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Return one token per row of ``logits`` ``(n, vocabulary)``, where ``numbers``, ``temperatures`` and ``min_p``
    are ``(n,)``.

    Tokens less probable than `min_p` times the most probable one are never drawn (App. D.5).
    """
    tokens = np.empty(len(logits), np.int64)
    pick(logits, numbers, temperatures, min_p, tokens)
    return tokens
