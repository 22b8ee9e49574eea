"""The inputs that corpus programs run on: grids of one ARC training task, or random grids, augmented.

A scene is three to five grids that belong together and a palette. Knows tasks only as the sources of input grids;
knows no program, and never reads an output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from soar.pretrain.arc.grammar_draw import Palette, palette_of
from soar.pretrain.arc.leaks import Grid, real_inputs
from soar.pretrain.arc.patterns import draw_grids
from soar.seeds import rng as keyed
from soar.types import Task

HELD_OUT_TASKS = 100
"""How many of the training tasks give no inputs: design choices are made on them."""

MADE = 0.12
"""The share of scenes with random grids."""

CROPPED = 0.08
"""The share of scenes whose grids are windows of the task's."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Three to five input grids that belong together, the last of which plays the test input."""

    source: str
    inputs: tuple[Grid, ...]
    palette: Palette


def held_out(tasks: Sequence[Task], seed: int = 0) -> frozenset[str]:
    """Return the ids of the tasks that the corpus does not use: 100 of 400, drawn by a key of their own."""
    ids = sorted(task.id for task in tasks)
    return frozenset(ids[index] for index in keyed(seed, "held-out").permutation(len(ids))[-HELD_OUT_TASKS:].tolist())


def sources(training: Sequence[Task], evaluation: Sequence[Task]) -> dict[str, tuple[Grid, ...]]:
    """Return the grids to draw inputs from, by task: the inputs of training tasks that are not held out.

    An input that is also one of the evaluation tasks, up to colours and geometry, is left out.
    """
    unused, real = held_out(training), real_inputs(evaluation)
    found = {task.id: cast(tuple[Grid, ...], task.inputs) for task in training if task.id not in unused}
    grids = {name: tuple(grid for grid in inputs if not real.has(grid, grid)) for name, inputs in found.items()}
    return {name: inputs for name, inputs in grids.items() if inputs}


def draw_scene(grids: dict[str, tuple[Grid, ...]], rng: np.random.Generator) -> Scene:
    """Return a scene of one task's grids, or of random ones."""
    if rng.random() < MADE:
        name, found = "made", draw_grids(rng)
    else:
        name = list(grids)[int(rng.integers(len(grids)))]
        found = _some(grids[name], rng)
    arrays = _augment(found, rng)
    inputs = tuple(tuple(map(tuple, grid.tolist())) for grid in arrays)
    extra = rng.integers(1, 10, size=2).tolist()
    present = {cell for grid in inputs for row in grid for cell in row}
    return Scene(name, inputs, palette_of(inputs, [*present, *extra]))


def _some(grids: Sequence[Grid], rng: np.random.Generator) -> list[np.ndarray]:
    """Return three to five of a task's grids, fewer where they are large; windows of them to make up the number."""
    order = rng.permutation(len(grids)).tolist()
    area = sum(len(grid) * len(grid[0]) for grid in grids) / len(grids)
    count = 3 if area > 200 else 3 + int(rng.integers(3))
    arrays = [np.array(grids[index], np.uint8) for index in order[:count]]
    if rng.random() < CROPPED:
        arrays = [_window(grid, rng) for grid in arrays]
    while len(arrays) < 3:
        arrays.append(_window(arrays[int(rng.integers(len(arrays)))], rng))
    return arrays


def _window(grid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random part of a grid, at least half as high and wide."""
    height, width = (int(rng.integers(max(1, (side + 1) // 2), side + 1)) for side in grid.shape)
    y, x = int(rng.integers(grid.shape[0] - height + 1)), int(rng.integers(grid.shape[1] - width + 1))
    return grid[y : y + height, x : x + width]


def _augment(grids: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Rename colours (60 %, rarely 0 too), rotate (50 %) and transpose (25 %) all grids in the same way."""
    table = np.arange(10, dtype=np.uint8)
    if rng.random() < 0.6:
        keep = 0 if rng.random() < 0.08 else 1
        table[keep:] = rng.permutation(table[keep:])
    turns = int(rng.integers(1, 4)) if rng.random() < 0.5 else 0
    transpose = rng.random() < 0.25
    turned = [np.rot90(table[grid], turns) for grid in grids]
    return [grid.T for grid in turned] if transpose else turned
