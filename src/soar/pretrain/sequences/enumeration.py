"""The programs of the sequence language in order of size, without a model: the baseline for search.

A program's size is its number of words; a constant beyond 2 counts one more, beyond 9 two more, so that constants do
not crowd out everything else.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

import numpy as np

from soar.domains.sequences.language import MAX_CONSTANT, OPERATORS
from soar.pretrain.sequences.evaluate import FIND, LONGEST, LOOP, LOOP2, X, Y, evaluate
from soar.pretrain.sequences.generate import PROGRAM_STEPS
from soar.types import Task

CHUNK = 100_000
FIRST = Y + 1
BODIES = {LOOP: 1, LOOP2: 2, FIND: 1}


def solved(tasks: Sequence[Task], programs: int) -> list[str]:
    """Return the ids of the tasks that one of the `programs` smallest programs solves, each tried on every task; the
    tasks are sequences from index 0, with known test outputs."""
    names = {_terms(task): task.id for task in tasks if _fits(task)}
    length = max(len(task.train) + len(task.test) for task in tasks)
    found: set[str] = set()
    order = islice(smallest(), programs)
    while chunk := list(islice(order, CHUNK)):
        rows = np.zeros((len(chunk), LONGEST), np.uint8)
        for row, codes in zip(rows, chunk, strict=True):
            row[: len(codes)] = np.frombuffer(codes, np.uint8)
        terms, valid = evaluate(rows, np.array(list(map(len, chunk))), length, PROGRAM_STEPS)
        found |= {names[key] for row in terms[valid == length] if (key := row.tobytes()) in names}
    return sorted(found)


def smallest() -> Iterator[bytes]:
    """Yield programs as codes, smallest first."""
    size = 1
    while True:
        yield from _expressions(size, False)
        size += 1


def _expressions(size: int, both: bool) -> Iterator[bytes]:
    """Yield the expressions of one size; `both`: x and y mean something."""
    yield from _atoms(size, both)
    for place, operator in enumerate(OPERATORS.values()):
        code = FIRST + place
        contexts = [code != FIND if n < BODIES.get(code, 0) else both for n in range(operator.arguments)]
        if size > operator.arguments:
            yield from (bytes([code]) + rest for rest in _parts(size - 1, contexts))


def _parts(size: int, contexts: Sequence[bool]) -> Iterator[bytes]:
    """Yield concatenated expressions, one per context, `size` in total."""
    if len(contexts) == 1:
        yield from _known(size, contexts[0])
        return
    for own in range(1, size - len(contexts) + 2):
        for first in _known(own, contexts[0]):
            for rest in _parts(size - own, contexts[1:]):
                yield first + rest


@cache
def _known(size: int, both: bool) -> tuple[bytes, ...]:
    return tuple(_expressions(size, both))


def _atoms(size: int, both: bool) -> list[bytes]:
    constants = {1: range(3), 2: range(3, 10), 3: range(10, MAX_CONSTANT + 1)}.get(size, range(0))
    names = ([X, Y] if both else [X]) if size == 1 else []
    return [bytes([code]) for code in (*constants, *names)]


def _terms(task: Task) -> bytes:
    return np.array([example.output for example in (*task.train, *task.test)], np.int64).tobytes()


def _fits(task: Task) -> bool:
    return all(abs(int(str(example.output))) < 2**63 for example in (*task.train, *task.test))
