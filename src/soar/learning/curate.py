"""Which programs teach the next model: pure functions of a task's programs and a generator (§3.3, Tables 2 and 3).

A curator gets the task with its test outputs if the stage may use them, otherwise without (then Alg. 2). It sees the
programs that ran, in search order, and returns at most `n` of them, none twice.
"""

from collections.abc import Callable, Sequence
from itertools import cycle, islice, zip_longest
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from soar.ensemble import groups_of
from soar.learning.relabel import relabel
from soar.protocols import Heuristic
from soar.scoring import right_pairs, solves
from soar.types import Program, Task

PARENTS_COMPARED = 32
"""The number of programs drawn, the closest of which becomes the hindsight parent."""

Curator: TypeAlias = Callable[[Task, Sequence[Program], int, Generator], list[Program]]
Pairing: TypeAlias = Callable[[Task, Sequence[tuple[Program, Program]], int, Generator], list[tuple[Program, Program]]]


def correct_only(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Draw up to `n` uniformly among the programs right on all training and test pairs; on all training pairs if the
    answers are hidden."""
    return uniform(task, [program for program in programs if solves(task, program)], n, rng)


def uniform(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Draw `n` uniformly."""
    del task
    return [programs[i] for i in rng.permutation(len(programs))[:n]]


def greedy(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Take the `n` with the most pairs right, shorter ones first; with hidden answers, draw them by vote (Alg. 2)."""
    if not task.answered:
        return by_vote(programs, n, rng)
    return sorted(programs, key=lambda p: (-right_pairs(task, p), len(p.code)))[:n]


def greedy_diverse(task: Task, programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Take half by `greedy`, half from the bottom: fewest training pairs right, shorter first, with new outputs."""
    best = greedy(task, programs, n - n // 2, rng)
    seen = {program.behaviour for program in best}
    worst: list[Program] = []
    for program in sorted(programs, key=lambda p: (p.accuracy, len(p.code))):
        if len(worst) == n // 2:
            break
        if program.behaviour not in seen:
            worst.append(program)
            seen.add(program.behaviour)
    return best + worst


CURATORS: dict[str, Curator] = {
    "correct-only": correct_only,
    "uniform": uniform,
    "greedy": greedy,
    "greedy-diverse": greedy_diverse,
}


def by_vote(programs: Sequence[Program], n: int, rng: Generator) -> list[Program]:
    """Draw `n` programs without knowing answers (Alg. 2): group sizes by vote weight, members by train accuracy.

    Draws beyond a group's size are redrawn over the groups with members left.
    """
    left = [_weighted_order(group, rng) for group in groups_of(programs).values()]
    weights = [sum(program.accuracy for program in group) for group in left]
    drawn: list[Program] = []
    while len(drawn) < n and any(left):
        open_groups = [place for place, members in enumerate(left) if members]
        shares = _shares(np.array([weights[place] for place in open_groups]))
        for place, size in zip(open_groups, rng.multinomial(n - len(drawn), shares), strict=True):
            drawn += left[place][:size]
            left[place] = left[place][size:]
    return drawn


def _weighted_order(programs: Sequence[Program], rng: Generator) -> list[Program]:
    """Return the programs in an order drawn without replacement, with probability ∝ train accuracy; those of accuracy 0
    come last, in random order."""
    accuracy = np.array([program.accuracy for program in programs])
    # Drawn apart: `choice` without replacement refuses more draws than there are probabilities above 0.
    able, unable = np.flatnonzero(accuracy), np.flatnonzero(accuracy == 0)
    first = rng.choice(able, len(able), replace=False, p=_shares(accuracy[able])) if len(able) else able
    return [programs[int(place)] for place in (*first, *rng.permutation(unable))]


def _shares(weights: np.ndarray) -> np.ndarray:
    """Return weights as probabilities, uniform if all are 0."""
    return weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / max(len(weights), 1))


def lineage(task: Task, programs: Sequence[Program]) -> list[tuple[Program, Program]]:
    """Return the (incorrect parent, correct child) pairs among a task's programs: a child with each of its parents.

    Among pairs of the same two texts, only the first is kept.
    """
    children = [program for program in programs if program.parents and solves(task, program)]
    known = {program.key: program for program in programs} if children else {}
    pairs: dict[tuple[str, str], tuple[Program, Program]] = {}
    for child in children:
        for parent in (known[key] for key in child.parents if key in known):
            if not solves(task, parent):
                pairs.setdefault((parent.code, child.code), (parent, child))
    return list(pairs.values())


def hindsight_pairs(
    task: Task,
    programs: Sequence[Program],
    children: Sequence[Program],
    n: int,
    rng: Generator,
    closeness: Heuristic | None = None,
) -> list[tuple[Program, Program]]:
    """Return up to `n` pairs of a parent and a program that behaves differently, which becomes its right child once the
    task is relabelled: hindsight for refinement, which the paper leaves open (§3.4).

    Half of the children are right programs if there are any, taken in turn; the others are drawn uniformly, each once.
    Parents are drawn from those that the search showed, in proportion to how often, or from all its programs if it
    refined none. Given `closeness`, a parent is instead what a search by it would have shown if the child's outputs had
    been the expected ones: of `PARENTS_COMPARED` programs, the closest. Either way, parents are like those of a search.
    """
    if n == 0:
        return []
    known = {program.key: program for program in programs}
    shown = [known[key] for program in programs for key in program.parents if key in known] or list(programs)
    right = [child for child in children if solves(task, child)]
    others = [child for child in uniform(task, children, len(children), rng) if not solves(task, child)]
    solutions = list(islice(cycle(right), n // 2))
    answers = [*solutions, *others[: n - len(solutions)]]
    if closeness is None:
        drawn = [_other(shown, child, rng) for child in answers]
    else:
        drawn = [closest_parent(task, programs, child, rng, closeness) for child in answers]
    return [(parent, child) for parent, child in zip(drawn, answers, strict=True) if parent is not None]


def _other(programs: Sequence[Program], than: Program, rng: Generator) -> Program | None:
    """Draw one of the programs that ran and behave differently from `than`; None if there is none."""
    able = [program for program in programs if program.ran and program.behaviour != than.behaviour]
    return able[rng.integers(len(able))] if able else None


def closest_parent(
    task: Task, programs: Sequence[Program], child: Program, rng: Generator, closeness: Heuristic
) -> Program | None:
    """Return, from a draw of the programs that ran and behave differently from `child`, the one closest to the task
    that `child` solves."""
    able = [program for program in programs if program.ran and program.behaviour != child.behaviour]
    some = [able[place] for place in rng.permutation(len(able))[:PARENTS_COMPARED]]
    solved = relabel(task, child)
    return max(some, key=lambda program: closeness(solved, program), default=None)


def uniform_pairs(
    task: Task, pairs: Sequence[tuple[Program, Program]], n: int, rng: Generator
) -> list[tuple[Program, Program]]:
    """Draw `n` uniformly."""
    del task
    return [pairs[i] for i in rng.permutation(len(pairs))[:n]]


def diverse_pairs(
    task: Task, pairs: Sequence[tuple[Program, Program]], n: int, rng: Generator
) -> list[tuple[Program, Program]]:
    """Draw `n`, balanced over the parent's train accuracy: 0, (0, 34 %], (34 %, 98 %), all of training but not test."""
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
