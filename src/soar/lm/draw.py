"""How one token is drawn: temperature, min-p, and the inverse of the distribution function at a random number that
depends on the sample's seed and the token's place alone.

So a completion depends on its own seed and not on what is decoded beside it, up to the rounding of the logits.
"""

import numpy as np
import torch
from numpy.typing import NDArray

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


def draw(logits: torch.Tensor, numbers: torch.Tensor, temperatures: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """Return one token per row of ``logits`` ``(n, vocabulary)``, where ``numbers``, ``temperatures`` and ``min_p``
    are ``(n,)``.

    Tokens less probable than `min_p` times the most probable one are never drawn (App. D.5).
    """
    weights = logits / temperatures[:, None]
    weights = (weights - weights.amax(dim=1, keepdim=True)).exp_()
    weights.masked_fill_(weights < min_p[:, None], 0.0)
    sums = weights.cumsum(dim=1, dtype=torch.float64)
    tokens = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True)[:, 0]
    return tokens.clamp_(max=logits.shape[1] - 1)
