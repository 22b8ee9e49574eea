"""Programs with one thing wrong, and programs with one step left out.

Knows the grammar's programs as steps; runs nothing.
"""

import re

import numpy as np

from soar.pretrain.arc.grammar import Grammar, Step, draw_step
from soar.pretrain.arc.grammar_draw import Draw, Palette

_CONSTANT = re.compile(r"(?<![\w.])\d(?![\w.])")


def mutate(steps: tuple[Step, ...], palette: Palette, grammar: Grammar, rng: np.random.Generator) -> tuple[Step, ...]:
    """Return the steps with one change: another constant, a step drawn again, removed, replaced or inserted."""
    place = int(rng.random() * len(steps))
    kind = rng.random()
    if kind < 0.3:
        changed = _other_constant(steps[place], palette, rng)
        return (*steps[:place], changed, *steps[place + 1 :])
    if kind < 0.6:
        changed = draw_step(steps[place].idiom, palette, rng)
        return (*steps[:place], changed, *steps[place + 1 :])
    if kind < 0.75 and len(steps) > 1:
        return (*steps[:place], *steps[place + 1 :])
    if kind < 0.87:
        return (*steps[:place], grammar.step(palette, rng), *steps[place + 1 :])
    place = int(rng.random() * (len(steps) + 1))
    return (*steps[:place], grammar.step(palette, rng), *steps[place:])


def without_each(steps: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    """Return the programs that lack one step each; none for a single step."""
    if len(steps) == 1:
        return []
    return [(*steps[:place], *steps[place + 1 :]) for place in range(len(steps))]


def _other_constant(step: Step, palette: Palette, rng: np.random.Generator) -> Step:
    """Return the step with one of its one-digit constants replaced by a colour, its neighbour or 0."""
    found = list(_CONSTANT.finditer(step.text))
    if not found:
        return draw_step(step.idiom, palette, rng)
    match = found[int(rng.random() * len(found))]
    draw = Draw(palette, rng)
    near = (int(match.group()) + draw.one(-1, 1)) % 10
    value = draw.weighted((3, draw.paint()), (2, near), (1, 0))
    return Step(step.idiom, step.text[: match.start()] + str(value) + step.text[match.end() :])
