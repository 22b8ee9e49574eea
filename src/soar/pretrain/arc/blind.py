"""The blind baseline: programs of the grammar that know nothing about a task but its colours.

Every figure of the embedded model is compared with it. Knows no model, and reads no test output.
"""

from itertools import chain
from typing import cast

import numpy as np

from soar.pretrain.arc.grammar import Grammar, program
from soar.pretrain.arc.grammar_draw import Palette, palette_of
from soar.pretrain.arc.leaks import Grid
from soar.types import Task, content_hash


def task_palette(task: Task) -> Palette:
    """Return the colours of a task: those of its inputs to look for, those of its training outputs to paint with."""
    outputs = chain.from_iterable(cast(Grid, example.output) for example in task.train)
    return palette_of(cast(tuple[Grid, ...], task.inputs), {cell for row in outputs for cell in row})


def blind_programs(task: Task, count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` programs drawn from the grammar with the task's own palette; some may be equal."""
    palette, grammar = task_palette(task), Grammar()
    return [program(grammar.steps(palette, rng)) for _ in range(count)]


def grammar_digest() -> str:
    """Return twelve hexadecimal digits that change when what the grammar draws does: measurements with one grammar must
    not count for another."""
    grammar, rng = Grammar(), np.random.default_rng(0)
    palette = Palette(tuple(range(6)), tuple(range(1, 8)))
    return content_hash([program(grammar.steps(palette, rng)) for _ in range(2000)])[:12]
