"""How promising a program is as a parent: the heuristic h of REX (Tang et al. 2024), a number from 0 to 1.

The paper uses the train accuracy (§3.2). If no program is right on any pair, that is 0 for all of them, and parents are
drawn by chance; `closeness` still ranks them. Knows only training pairs, never a test output.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from soar.protocols import Domain, Heuristic
from soar.scoring import matches
from soar.types import Failure, Output, Program, Task, Value

Similarity: TypeAlias = Callable[[Value, Value], float]


def accuracy(task: Task, program: Program) -> float:
    """Return the fraction of training pairs reproduced exactly (§3.2)."""
    del task
    return program.accuracy


def closeness(task: Task, program: Program, *, similarity: Similarity) -> float:
    """Return how far a program gets from input to expected output, by the domain's similarity, on average over the
    training pairs: 1 for a right output, 0 for one that is no more similar to the expected one than the input is.
    """
    pairs = zip(task.train, program.train, strict=True)
    return sum(_progress(similarity, e.input, output, e.output) for e, output in pairs) / len(task.train)


def _progress(similarity: Similarity, start: Value, found: Output, expected: Value | None) -> float:
    if matches(found, expected):
        return 1.0
    if isinstance(found, Failure) or expected is None:
        return 0.0
    before = similarity(start, expected)
    return max(0.0, (similarity(found, expected) - before) / (1 - before)) if before < 1 else 0.0


def heuristics(domain: Domain) -> dict[str, Heuristic]:
    """Return a domain's heuristics by name, the built-in ones and its own."""
    return {
        "accuracy": accuracy,
        "closeness": partial(closeness, similarity=domain.similarity),
        **domain.heuristics,
    }
