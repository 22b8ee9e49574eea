"""Which pairs are a real task's pairs, up to renaming colours, turning and mirroring.

A pair's canonical form is the least text over the eight geometries, colours renumbered by first occurrence jointly in
input and output. Knows grids; knows no program.
"""

import hashlib
from collections.abc import Iterable
from typing import TypeAlias, cast

import numpy as np

from soar.types import Task

Grid: TypeAlias = tuple[tuple[int, ...], ...]

Invariant: TypeAlias = tuple[object, ...]


class RealPairs:
    """The pairs of real tasks, to be asked whether a generated pair is one of them."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        pairs = [
            (cast(Grid, example.input), cast(Grid, example.output))
            for task in tasks
            for example in (*task.train, *task.test)
            if example.output is not None
        ]
        self._invariants = {invariant(*pair) for pair in pairs}
        self._hashes = {pair_hash(*pair) for pair in pairs}

    def __len__(self) -> int:
        return len(self._hashes)

    def has(self, grid: Grid, output: Grid) -> bool:
        """Return whether this pair is a real one, up to colours and geometry."""
        return invariant(grid, output) in self._invariants and pair_hash(grid, output) in self._hashes


class RealInputs:
    """The input grids of real tasks, to be asked whether a grid is one of them up to colours and geometry."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._hashes = {pair_hash(grid, grid) for task in tasks for grid in cast(tuple[Grid, ...], task.inputs)}

    def has(self, grid: Grid) -> bool:
        """Return whether this grid is a real input, up to colours and geometry."""
        return pair_hash(grid, grid) in self._hashes


def invariant(grid: Grid, output: Grid) -> Invariant:
    """Return what colours and geometry cannot change and is quick to tell: sizes, and how often colours occur."""
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
