"""Random grids, for scenes that come from no task: scattered cells, rectangles, blobs, lines, symmetry, lattices.

Knows nothing of tasks or programs.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
from scipy import ndimage

Rng = np.random.Generator


def draw_grids(rng: Rng) -> list[np.ndarray]:
    """Return three to five grids of one kind and one set of colours, of one size or of several."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    colours = (rng.permutation(9)[: int(rng.integers(1, 5))] + 1).astype(np.uint8)
    side = int(rng.integers(3, 15))
    same = rng.random() < 0.5
    sizes = [(side, side) if same else tuple(rng.integers(3, 15, size=2).tolist()) for _ in range(rng.integers(3, 6))]
    return [kind(size, colours, rng) for size in sizes]


def scattered(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return single cells, few or many."""
    density = (0.05, 0.15, 0.4, 1.0)[int(rng.integers(4))]
    grid = rng.choice(colours, size).astype(np.uint8)
    grid[rng.random(size) > density] = 0
    return grid


def rectangles(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a few rectangles, full or hollow."""
    grid = np.zeros(size, np.uint8)
    hollow = rng.random() < 0.5
    for _ in range(int(rng.integers(1, 5))):
        height, width = (int(rng.integers(2, max(3, side // 2 + 1))) for side in size)
        y, x = int(rng.integers(0, max(1, size[0] - height + 1))), int(rng.integers(0, max(1, size[1] - width + 1)))
        grid[y : y + height, x : x + width] = rng.choice(colours)
        if hollow and height > 2 and width > 2:
            grid[y + 1 : y + height - 1, x + 1 : x + width - 1] = 0
    return grid


def blobs(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return irregular components, one colour each."""
    noise = ndimage.uniform_filter(rng.random(size), 2)
    labels, count = cast(tuple[np.ndarray, int], ndimage.label(noise > np.quantile(noise, 0.65)))
    table = np.concatenate([[0], rng.choice(colours, count)]).astype(np.uint8)
    return table[labels]


def lines(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a few whole rows and columns, and some single cells."""
    grid = scattered(size, colours, rng) * (rng.random(size) < 0.2).astype(np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        axis = int(rng.integers(2))
        index = int(rng.integers(size[axis]))
        grid[(slice(None), index) if axis else index] = rng.choice(colours)
    return grid


def symmetric(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a mirrored grid, perhaps with a part of it covered."""
    grid = scattered(size, colours, rng)
    grid = np.maximum(grid, grid[:, ::-1])
    if rng.random() < 0.5:
        grid = np.maximum(grid, grid[::-1])
    if rng.random() < 0.4:
        y, x = int(rng.integers(size[0])), int(rng.integers(size[1]))
        grid[y : y + 3, x : x + 3] = colours[0]
    return grid


def periodic(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a repeated small pattern, perhaps with holes."""
    unit = rng.choice(np.append(colours, 0), tuple(rng.integers(1, 4, size=2))).astype(np.uint8)
    grid = np.tile(unit, (30, 30))[: size[0], : size[1]]
    if rng.random() < 0.5:
        y, x = int(rng.integers(size[0])), int(rng.integers(size[1]))
        grid[y : y + 3, x : x + 3] = 0
    return grid


def lattice(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return equal blocks of scattered cells between lines of one colour, two by two or more."""
    side = int(rng.integers(2, 5))
    blocks = tuple(1 + (length > 6) + (length > 10) for length in size)
    shape = (blocks[0] * (side + 1) + side, blocks[1] * (side + 1) + side)
    grid = scattered(shape, colours[1:] if len(colours) > 1 else colours, rng)
    grid[side :: side + 1] = colours[0]
    grid[:, side :: side + 1] = colours[0]
    return grid


def halves(size: tuple[int, int], colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Return two scattered halves, with or without a line between them."""
    height, width = size[0], min(size[1], 7)
    left, right = (scattered((height, width), colours[-1:], rng) for _ in range(2))
    right[right > 0] = colours[0]
    middle = [np.full((height, 1), 5, np.uint8)] if rng.random() < 0.6 else []
    grid = np.hstack([left, *middle, right])
    return grid


KINDS: tuple[Callable[[tuple[int, int], np.ndarray, Rng], np.ndarray], ...] = (
    scattered,
    rectangles,
    rectangles,
    blobs,
    lines,
    symmetric,
    periodic,
    lattice,
    halves,
)
"""The kinds of grids, each equally likely."""
