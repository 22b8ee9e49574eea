"""Decides what is right, in one place: a program on a task's pairs, two answers on its test outputs (§3.2).

Every comparison with an expected output happens here. A task without answers, as search sees it, is judged on its
training pairs alone; with answers it comes only to scoring and to the curation of stages that know them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from soar.types import Example, Output, Program, Task, Value


def verdicts(examples: Sequence[Example], outputs: Sequence[Output]) -> tuple[bool, ...]:
    """Return for each pair whether its output is the expected one; False if that is hidden."""
    return tuple(matches(output, example.output) for example, output in zip(examples, outputs, strict=True))


def matches(output: Output, expected: Value | None) -> bool:
    """Return whether an output is the expected one; False if that is hidden (None)."""
    # Python considers 1, 1.0 and True equal; their reprs differ.
    return expected is not None and output == expected and (output is expected or repr(output) == repr(expected))


def accuracy(task: Task, outputs: Sequence[Output]) -> float:
    """Return the fraction of training pairs that `outputs`, one per training pair, reproduces exactly (§3.2)."""
    return sum(verdicts(task.train, outputs)) / len(task.train)


def solves(task: Task, program: Program) -> bool:
    """Return whether a program ran on every input and is right on every pair whose output the task holds.

    For a task without answers: on all training pairs.
    """
    return program.ran and right_pairs(task, program) == len(task.expected) - task.expected.count(None)


def right_pairs(task: Task, program: Program) -> int:
    """Return how many pairs a program reproduces, of those whose output the task holds."""
    return sum(_verdicts(task, program))


def _verdicts(task: Task, program: Program) -> tuple[bool, ...]:
    """Return the verdicts on all pairs, training first."""
    if program.written is None:
        return verdicts(task.train, program.train) + verdicts(task.test, program.test)
    # Equal names mean equal outputs, types included: no output need be decoded.
    return tuple([name == expected for name, expected in zip(program.written.names, task.expected, strict=True)])


@dataclass(frozen=True, slots=True)
class Score:
    """How two answers do on a task: per test output whether either matches it; whether one of them matches all."""

    matched: tuple[bool, ...]
    solved: bool

    @property
    def mean(self) -> float:
        """The fraction of test outputs matched by either answer: the paper's score of one task."""
        return sum(self.matched) / len(self.matched)


def score(task: Task, answers: Sequence[tuple[Value, ...]]) -> Score:
    """Score the first two answers, each a value per test input, on a task whose test outputs are known."""
    attempts = [verdicts(task.test, outputs) for outputs in answers[:2]]
    matched = tuple(any(attempt[place] for attempt in attempts) for place in range(len(task.test)))
    return Score(matched, any(all(attempt) for attempt in attempts))


def oracle(task: Task, programs: Sequence[Program]) -> bool:
    """Return whether some program that ran has all test outputs right."""
    return any(program.ran and all(_verdicts(task, program)[len(task.train) :]) for program in programs)
