"""Randomness keyed by purpose: who draws, for what, never when. Knows no state, so resuming needs none."""

import hashlib
from collections.abc import Iterable

import numpy as np


def seed_of(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed that depends on `seed` and on every part of `purpose`, and on nothing else."""
    text = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of one purpose, for example ``rng(0, "refine", task_id, iteration, island, step)``."""
    return np.random.default_rng(seed_of(seed, *purpose))


def sample_seeds(seed: int, indices: Iterable[int], *purpose: str | int) -> list[int]:
    """Return one 31-bit seed (as servers accept them) per sample index, the same whichever others are asked for."""
    first = seed_of(seed, *purpose)
    return [(first + index) & 0x7FFFFFFF for index in indices]
