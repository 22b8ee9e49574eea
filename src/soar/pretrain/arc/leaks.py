"""Which pairs are those of a real task, up to renaming colours, turning and mirroring.

A pair's canonical form is the least text over the eight geometries, colours renumbered by first occurrence jointly in
input and output. Knows grids; knows no program.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias, cast

import numpy as np

from soar.types import Task

Grid: TypeAlias = tuple[tuple[int, ...], ...]

Invariant: TypeAlias = tuple[object, ...]


class RealPairs:
    """A set of pairs that knows whether a pair is among them, up to colours and geometry."""

    def __init__(self, pairs: Iterable[tuple[Grid, Grid]]) -> None:
        self._alike: defaultdict[Invariant, set[tuple[Grid, Grid]]] = defaultdict(set)
        for pair in pairs:
            self._alike[invariant(*pair)].add(pair)
        self._hashes: dict[Invariant, frozenset[bytes]] = {}

    def has(self, grid: Grid, output: Grid) -> bool:
        """Return whether this pair is one of them, up to colours and geometry."""
        key = invariant(grid, output)
        if key not in self._alike:
            return False
        if key not in self._hashes:
            self._hashes[key] = frozenset(pair_hash(*pair) for pair in self._alike[key])
        return pair_hash(grid, output) in self._hashes[key]


def real_pairs(tasks: Iterable[Task]) -> RealPairs:
    """Return all pairs of the tasks whose outputs are known."""
    examples = (example for task in tasks for example in (*task.train, *task.test))
    return RealPairs((cast(Grid, e.input), cast(Grid, e.output)) for e in examples if e.output is not None)


def real_inputs(tasks: Iterable[Task]) -> RealPairs:
    """Return the inputs of the tasks, each as the pair of a grid with itself."""
    grids = (cast(Grid, grid) for task in tasks for grid in task.inputs)
    return RealPairs((grid, grid) for grid in grids)


def invariant(grid: Grid, output: Grid) -> Invariant:
    """Return what colours and geometry cannot change and is quick to compute: sizes, and how often colours occur."""
    counts = [tuple(sorted(np.bincount(np.ravel(one), minlength=10).tolist())) for one in (grid, output)]
    sizes = tuple(tuple(sorted((len(one), len(one[0])))) for one in (grid, output))
    return (*sizes, *counts)


def pair_hash(grid: Grid, output: Grid) -> bytes:
    """Return 16 bytes, the same for all pairs that differ only in colours (renamed in both grids) and geometry."""
    a, b = np.array(grid, np.uint8), np.array(output, np.uint8)
    forms = []
    for _ in range(4):
        a, b = np.rot90(a), np.rot90(b)
        forms += [_renumbered(a, b), _renumbered(a.T, b.T)]
    return hashlib.blake2b(min(forms), digest_size=16).digest()


def _renumbered(a: np.ndarray, b: np.ndarray) -> bytes:
    """Return sizes and cells of both grids, colours renumbered by first occurrence."""
    cells = a.tobytes() + b.tobytes()
    table = bytearray(256)
    for number, colour in enumerate(dict.fromkeys(cells)):
        table[colour] = number
    return bytes((*a.shape, *b.shape)) + cells.translate(table)
