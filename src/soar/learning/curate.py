"""Which programs teach the next model: pure functions of a task's programs and a generator (§3.3, Tables 2 and 3).

A curator gets the task with its test outputs where the stage may use them, without them otherwise (Alg. 2 then). It
sees programs that ran, in the order of the search, and returns at most `n` of them, none twice.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from soar.ensemble import sum_vote
from soar.types import Program, Task, ballot, behaviour, test_matches

Curator: TypeAlias = Callable[[Task, Sequence[Program], int, Generator], list[Program]]
Pairing: TypeAlias = Callable[[Task, Sequence[tuple[Program, Program]], int, Generator], list[tuple[Program, Program]]]


def answers_known(task: Task) -> bool:
    """Return whether every test output of the task is there."""
    return all(example.output is not None for example in task.test)


def pairs_right(task: Task, program: Program) -> int:
    """Return how many training pairs, and test pairs with known outputs, a program reproduces."""
    train = sum(y == e.output for y, e in zip(program.train, task.train, strict=True))
    return train + sum(test_matches(task, program.test))


def is_correct(task: Task, program: Program) -> bool:
    """Return whether a program is right on all training and test pairs, whose outputs are known."""
    return program.ran and pairs_right(task, program) == len(task.train) + len(task.test)


def correct_only(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Up to `n` uniformly among the programs right on all training and test pairs."""
    return uniform(task, [program for program in programs if is_correct(task, program)], n, rng)


def uniform(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """`n` uniformly."""
    del task
    return [programs[i] for i in rng.permutation(len(programs))[:n]]


def greedy(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """The `n` with the most pairs right, shorter programs first; for hidden answers drawn by the vote (Alg. 2)."""
    if not answers_known(task):
        return by_vote(programs, n, rng)
    return sorted(programs, key=lambda p: (-pairs_right(task, p), len(p.code)))[:n]


def greedy_diverse(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Half `greedy`; half from the bottom: fewest training pairs right, shorter first, each with outputs of its own."""
    best = greedy(task, programs, n - n // 2, rng)
    taken = {program.key for program in best}
    seen = {behaviour(program) for program in best}
    worst = []
    for program in sorted(programs, key=lambda p: (p.accuracy, len(p.code))):
        if len(worst) == n // 2:
            break
        if program.key not in taken and behaviour(program) not in seen:
            worst.append(program)
            seen.add(behaviour(program))
    return best + worst


CURATORS: dict[str, Curator] = {
    "correct-only": correct_only,
    "uniform": uniform,
    "greedy": greedy,
    "greedy-diverse": greedy_diverse,
}


def by_vote(programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Draw `n` programs without knowing answers (Alg. 2): group sizes by vote weight, members by train accuracy.

    A surplus over a group's size is redrawn over the groups with members left.
    """
    weights = {b.key: b.weight for b in sum_vote(programs)}
    left = {key: [p for p in programs if ballot(p) == key] for key in weights}
    drawn: list[Program] = []
    while len(drawn) < n and any(left.values()):
        keys = [key for key, members in left.items() if members]
        sizes = rng.multinomial(n - len(drawn), _shares(np.array([weights[key] for key in keys])))
        for key, size in zip(keys, sizes, strict=True):
            chosen = _draw(left[key], min(int(size), len(left[key])), rng)
            drawn += chosen
            left[key] = [p for p in left[key] if p not in chosen]
    return drawn


def _draw(programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Draw `n` without replacement, with probability ∝ train accuracy; programs of accuracy 0 only after the others."""
    accuracy = np.array([program.accuracy for program in programs])
    able = np.flatnonzero(accuracy)
    first = rng.choice(able, min(n, len(able)), replace=False, p=_shares(accuracy[able])) if len(able) and n else []
    rest = rng.permutation(np.flatnonzero(accuracy == 0))[: n - len(first)]
    return [programs[i] for i in (*first, *rest)]


def _shares(weights: np.ndarray) -> np.ndarray:
    """Return weights as probabilities, uniform where all are 0."""
    return weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / max(len(weights), 1))


def lineage(task: Task, programs: Sequence[Program]) -> list[tuple[Program, Program]]:
    """Return a task's pairs of an incorrect parent and a correct child: each child with each parent it was shown."""
    known = {program.key: program for program in programs}
    pairs = [
        (known[key], child) for child in programs if is_correct(task, child) for key in child.parents if key in known
    ]
    return [(parent, child) for parent, child in pairs if not is_correct(task, parent)]


def uniform_pairs(
    task: Task, pairs: Sequence[tuple[Program, Program]], n: int, rng: Generator
) -> list[tuple[Program, Program]]:
    """`n` uniformly."""
    del task
    return [pairs[i] for i in rng.permutation(len(pairs))[:n]]


def diverse_pairs(
    task: Task, pairs: Sequence[tuple[Program, Program]], n: int, rng: Generator
) -> list[tuple[Program, Program]]:
    """`n` balanced over the parent's train accuracy: 0, (0, 34 %], (34 %, 98 %), all of training but not the test."""
    bins: list[list[tuple[Program, Program]]] = [[], [], [], []]
    for pair in uniform_pairs(task, pairs, len(pairs), rng):
        bins[_bin(pair[0].accuracy)].append(pair)
    rounds = zip_longest(*bins)
    return [pair for turn in rounds for pair in turn if pair is not None][:n]


def _bin(accuracy: float) -> int:
    if accuracy == 0:
        return 0
    return 1 if accuracy <= 0.34 else 2 if accuracy < 0.98 else 3


PAIRINGS: dict[str, Pairing] = {"uniform": uniform_pairs, "diverse": diverse_pairs}
