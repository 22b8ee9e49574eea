"""Selectors choose the programs to refine next: pure functions of a pool and a generator (§3.2).

A selector returns indices of the pool's arms; two indices make a prompt with two parents. The pool is never empty.
"""

from collections.abc import Callable
from typing import TypeAlias

from numpy.random import Generator

from soar.search.pool import Pool

Selector: TypeAlias = Callable[[Pool, Generator], tuple[int, ...]]


def rex(pool: Pool, rng: Generator, c: float = 20.0) -> tuple[int, ...]:
    """Thompson-sample one arm: Beta(1 + c·h, 1 + c·(1 − h) + pulls), h its heuristic, in the paper its train accuracy
    (§3.2, Tang et al. 2024)."""
    h = pool.heuristic
    return (int(rng.beta(1 + c * h, 1 + c * (1 - h) + pool.pulls).argmax()),)


def uniform(pool: Pool, rng: Generator) -> tuple[int, ...]:
    """Pick any arm with equal probability."""
    return (int(rng.integers(len(pool))),)


def greedy(pool: Pool, rng: Generator) -> tuple[int, ...]:
    """Pick the most promising arm; of several, the least pulled; ties at random."""
    order = rng.permutation(len(pool))
    return (int(max(order, key=lambda arm: (pool.heuristic[arm], -pool.pulls[arm]))),)


SELECTORS: dict[str, Selector] = {"rex": rex, "uniform": uniform, "greedy": greedy}
