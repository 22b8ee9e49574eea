"""Random programs of the sequence language: what the embedded model of sequences is taught, and all it knows at first.

The probabilities were set once, by hand, before any sequence was looked at, and nothing of a sequence is read here:
what is common among real sequences is for the search to find out and for the model to learn from it.
"""

import numpy as np
from numpy.typing import NDArray

from soar.pretrain.sequences.evaluate import ARITY, FIND, LONGEST, LOOP, LOOP2, X, Y, compiled

SMALLEST, LARGEST = 3, 20
"""How many words a program has, all sizes alike; a word too few now and then, since no size is made of two."""

CONSTANT, X_SHARE = 0.45, 0.6
"""How often a word without arguments is a constant, and how often x where y stands to choice too."""

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
    """Write an expression of `size` words at a place; return the place behind it. `both`: y means something too."""
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
    """Return the code of an operator that so many words have room for."""
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
    """Return sizes of so many parts, one word at least each: the others fall on parts by a preference drawn at random.

    A part of two words, which no expression has, gets one.
    """
    sizes, preference = np.ones(parts, np.int64), np.random.random(parts) + 0.05
    ends = np.cumsum(preference)
    for _ in range(words - parts):
        choice, part = np.random.random() * ends[-1], 0
        while choice >= ends[part] and part < parts - 1:
            part += 1
        sizes[part] += 1
    return sizes
