"""Random programs of the sequence language: what its embedded model is trained on, and all that model knows at first.

The probabilities were set once, by hand, before any sequence was looked at, and no sequence is read here: the search
has to find out what is common among real sequences, and the model to learn it from the search.
"""

import numpy as np
from numpy.typing import NDArray

from soar.pretrain.sequences.evaluate import ARITY, FIND, LONGEST, LOOP, LOOP2, X, Y, compiled

SMALLEST, LARGEST = 3, 20
"""The fewest and most words of a program, all sizes equally likely; some lack a word, as no expression has two."""

CONSTANT, X_SHARE = 0.45, 0.6
"""How often a word without arguments is a constant, and otherwise how often it is x where y is possible too."""

SMALL = np.array([0.1, 0.35, 0.3])
"""How often a constant is 0, 1, 2; the others are spread evenly over orders of magnitude up to 100."""

WEIGHTS = np.array([2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 1.0, 3.0, 1.5, 1.0])
"""How often each operator is drawn, in the order of `soar.domains.sequences.language.OPERATORS`."""


def random_programs(seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return programs ``(number, LONGEST)`` and their lengths, the same for the same seed."""
    programs, lengths = np.zeros((number, LONGEST), np.uint8), np.zeros(number, np.int64)
    _fill(seed, programs, lengths)
    return programs, lengths


@compiled
def _fill(seed, programs, lengths):  # type: ignore[no-untyped-def]
    np.random.seed(seed)  # numba's own generator, one per thread
    for row in range(len(programs)):
        size = np.random.randint(SMALLEST, LARGEST + 1)
        lengths[row] = draw(programs[row], 0, size, False)


@compiled
def draw(program, at, size, both):  # type: ignore[no-untyped-def]
    """Write an expression of `size` words at a place; return the place after it. `both`: y means something too."""
    if size < 3:
        program[at] = atom(both)
        return at + 1
    code = operator(size)
    arity = ARITY[code]
    program[at] = code
    bodies = 1 if code in (LOOP, FIND) else 2 if code == LOOP2 else 0
    sizes = shares(size - 1, arity)
    at += 1
    for place in range(arity):
        at = draw(program, at, sizes[place], code != FIND if place < bodies else both)
    return at


@compiled
def atom(both):  # type: ignore[no-untyped-def]
    """Return the code of a word without arguments."""
    if np.random.random() >= CONSTANT:
        return X if not both or np.random.random() < X_SHARE else Y
    choice = np.random.random()
    for value in range(len(SMALL)):
        choice -= SMALL[value]
        if choice < 0:
            return value
    return int(np.exp(np.random.uniform(np.log(3.0), np.log(101.0))))


@compiled
def operator(size):  # type: ignore[no-untyped-def]
    """Return the code of an operator that fits into `size` words."""
    first = Y + 1
    total = 0.0
    for index in range(len(WEIGHTS)):
        total += WEIGHTS[index] if ARITY[first + index] < size else 0.0
    choice = np.random.random() * total
    chosen = first
    for index in range(len(WEIGHTS)):
        if ARITY[first + index] < size:
            chosen = first + index
            choice -= WEIGHTS[index]
            if choice < 0:
                break
    return chosen


@compiled
def shares(words, parts):  # type: ignore[no-untyped-def]
    """Return the sizes of `parts` parts, at least a word each; random preferences share out the rest.

    A part of two words, which no expression has, is written with one.
    """
    sizes, preference = np.ones(parts, np.int64), np.random.random(parts) + 0.05
    ends = np.cumsum(preference)
    for _ in range(words - parts):
        choice, part = np.random.random() * ends[-1], 0
        while choice >= ends[part] and part < parts - 1:
            part += 1
        sizes[part] += 1
    return sizes
