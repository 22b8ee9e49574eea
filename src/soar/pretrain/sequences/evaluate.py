"""Runs programs of the sequence language fast, as compiled code over 64-bit integers: millions of them for a corpus.

A program is an array of codes, the places of its words in `soar.domains.sequences.language.WORDS`. If a value gets too
large, or a term takes too long, there is no term; if there is one, the Python program gives the same (tested).
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from soar.domains.sequences.language import MAX_CONSTANT, OPERATORS, STEPS, WORDS

X, Y = MAX_CONSTANT + 1, MAX_CONSTANT + 2
ADD, SUB, MUL, DIV, MOD, EQ, LT, IF, LOOP, LOOP2, FIND = (WORDS.index(word) for word in OPERATORS)
ARITY = np.array([OPERATORS[word].arguments if word in OPERATORS else 0 for word in WORDS], np.int64)

MOST = np.int64(10**18)
"""The largest absolute value of a result: beyond it, a term fails."""

LONGEST = 48
"""The most words of a program."""

compiled: Any = numba.njit(nogil=True, error_model="numpy")
"""Not cached on disk: recursive functions crash when numba (0.68) loads them from its cache."""


def evaluate(
    programs: NDArray[np.uint8], lengths: NDArray[np.int64], terms: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first `terms` terms of each program ``(n, terms)`` and how many it has before the first failure.

    `programs` are rows of codes ``(n, LONGEST)``, `lengths` how many each has. The terms of one program may take
    `steps` passes and tries together, and each term no more than the language allows.
    """
    values = np.zeros((len(programs), terms), np.int64)
    valid = np.zeros(len(programs), np.int64)
    _evaluate(programs, lengths, steps, values, valid)
    return values, valid


@compiled
def _evaluate(programs, lengths, steps, values, valid):  # type: ignore[no-untyped-def]
    ends, state = np.zeros(LONGEST, np.int64), np.zeros(2, np.int64)
    for row in range(len(programs)):
        program = programs[row]
        if not find_ends(program, lengths[row], ends):
            continue
        left = steps
        for n in range(values.shape[1]):
            given = min(left, STEPS)
            state[0], state[1] = given, 0
            term = run(program, ends, 0, n, 0, state)
            if state[1]:
                break
            values[row, n] = term
            valid[row] += 1
            left -= given - state[0]


@compiled
def find_ends(program, length, ends):  # type: ignore[no-untyped-def]
    """Write where the expression that begins at each place ends; return whether the whole is one expression."""
    starts, needs, depth = np.zeros(LONGEST, np.int64), np.zeros(LONGEST, np.int64), 0
    for place in range(length):
        starts[depth], needs[depth] = place, ARITY[program[place]]
        depth += 1
        while depth and needs[depth - 1] == 0:
            depth -= 1
            ends[starts[depth]] = place + 1
            if depth:
                needs[depth - 1] -= 1
        if not depth:
            return place == length - 1
    return False


@compiled
def run(program, ends, at, x, y, state):  # type: ignore[no-untyped-def]
    """Return the value of the expression at a place; ``state`` is how many steps are left, and whether it failed."""
    code = np.int64(program[at])
    if state[1] or code < X:
        return code
    if code == X:
        return x
    if code == Y:
        return y
    first = at + 1
    if code == LOOP:
        times = run(program, ends, ends[first], x, y, state)
        value = run(program, ends, ends[ends[first]], x, y, state)
        return loop(program, ends, first, times, value, state)
    if code == LOOP2:
        second = ends[first]
        times = run(program, ends, ends[second], x, y, state)
        value = run(program, ends, ends[ends[second]], x, y, state)
        other = run(program, ends, ends[ends[ends[second]]], x, y, state)
        return loop2(program, ends, first, times, value, other, state)
    if code == FIND:
        return find(program, ends, first, run(program, ends, ends[first], x, y, state), state)
    a = run(program, ends, first, x, y, state)
    if code == IF:
        return run(program, ends, ends[first] if a > 0 else ends[ends[first]], x, y, state)
    return arithmetic(code, a, run(program, ends, ends[first], x, y, state), state)


@compiled
def loop(program, ends, body, times, x, state):  # type: ignore[no-untyped-def]
    """Return x after x = body(x, y) for y = 1 … times."""
    spend(state, times)
    y = 1
    while y <= times and not state[1]:
        x = run(program, ends, body, x, y, state)
        y += 1
    return x


@compiled
def loop2(program, ends, body, times, x, y, state):  # type: ignore[no-untyped-def]
    """Return x after `times` repetitions of x, y = body(x, y), next body(x, y)."""
    spend(state, times)
    while times > 0 and not state[1]:
        x, y = run(program, ends, body, x, y, state), run(program, ends, ends[body], x, y, state)
        times -= 1
    return x


@compiled
def find(program, ends, body, n, state):  # type: ignore[no-untyped-def]
    """Return the n-th x, counted from 0, for which body(x) > 0."""
    if n < 0:
        state[1] = 1
    x = -1
    while n >= 0 and not state[1]:
        spend(state, 1)
        x += 1
        n -= run(program, ends, body, x, 0, state) > 0
    return x


@compiled
def spend(state, steps):  # type: ignore[no-untyped-def]
    """Subtract steps from those that are left; fail if there are too few."""
    if steps > state[0]:
        state[1] = 1
    elif steps > 0:
        state[0] -= steps


@compiled
def arithmetic(code, a, b, state):  # type: ignore[no-untyped-def]
    """Return the value of an operator of two numbers, rounding down as Python does."""
    if code == EQ:
        return np.int64(a == b)
    if code == LT:
        return np.int64(a < b)
    value = np.int64(0)
    if code == ADD:
        value = a + b
    elif code == SUB:
        value = a - b
    # Compared as floats: a product beyond 64 bits would wrap around.
    elif code == MUL and abs(np.float64(a) * np.float64(b)) < 2e18:
        value = a * b
    elif code == MUL or b == 0:
        state[1] = 1
    else:
        value = a // b if code == DIV else a % b
    if not -MOST <= value <= MOST:
        state[1] = 1
    return value
