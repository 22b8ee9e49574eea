"""What one search found for a task in hand: its answers, the best program and what it is worth, how sure the vote is,
and how near it came if it found nothing.

Knows what a task's view holds; does not know how it is shown or how it was searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from soar.budget import Tokens
from soar.ensemble import Ballot
from soar.heuristics import closeness
from soar.report.task_view import Found, TaskView, ancestors
from soar.scoring import verdicts
from soar.types import Program, Task

Ended: TypeAlias = Literal["agreed", "spent", "limit", "stopped", "failed"]
"""Why a search ended: enough programs agree, its completions are spent, a limit of seconds, tokens or money is reached,
it was stopped, or an error ended it (the model no longer answers, the disk is full)."""


@dataclass(frozen=True)
class Solution:
    """What one search found for a task.

    `votes` are all ballots, heaviest first; `near`, from 0 to 1, is how much of the way from the inputs to the expected
    outputs the nearest program goes on the training pairs; `seconds` are those of the whole search, `tokens` those of
    this task. A notebook draws its values.
    """

    seen: TaskView = field(repr=False)
    votes: tuple[Ballot, ...]
    program: Found | None
    near: float
    ended: Ended
    seconds: float
    tokens: Tokens

    @property
    def task(self) -> Task:
        """The task that was searched."""
        return self.seen.task

    @property
    def found(self) -> bool:
        """Whether a program ran on every input and is right on all training pairs."""
        program = self.program
        return program is not None and program.program.ran and program.right == len(self.task.train)

    @property
    def answers(self) -> tuple[Ballot, ...]:
        """At most two answers, heaviest first, each with `outputs`, a value per test input."""
        return self.votes[:2]

    @property
    def right(self) -> tuple[bool, ...] | None:
        """For each answer, whether it has all test outputs right; None if the task does not hold them."""
        if not self.task.answered:
            return None
        return tuple(all(verdicts(self.task.test, ballot.outputs)) for ballot in self.answers)

    @property
    def sure(self) -> float:
        """How sure the vote is: the first answer's share of all weight, from 0 to 1. Not a probability: if all programs
        are wrong in the same way, it is 1."""
        total = sum(ballot.weight for ballot in self.votes)
        return self.votes[0].weight / total if total else 0.0

    @property
    def code(self) -> str | None:
        """The code of the best program, or of the nearest one if none is right on all training pairs."""
        return self.program.program.code if self.program else None

    @property
    def train_right(self) -> tuple[bool, ...]:
        """For each training pair, whether the program is right on it."""
        return verdicts(self.task.train, self.program.program.train) if self.program else ()

    @property
    def test_right(self) -> tuple[bool, ...] | None:
        """For each test pair, whether the program is right on it; None if the outputs are not known."""
        return self.program.test_right if self.program else None

    @property
    def lineage(self) -> tuple[Program, ...]:
        """The program and all its ancestors, oldest first."""
        return tuple(ancestors(self.seen, self.program.program)) if self.program else ()

    @property
    def gives(self) -> int | None:
        """Which answer the program gives, 1 or 2; None if neither."""
        ballot = self.program.program.ballot if self.program else None
        return next((n for n, each in enumerate(self.answers, 1) if each.key == ballot), None)

    def as_json(self) -> dict[str, Any]:
        """Return the object of ``soar solve --json``."""
        right = self.right or (None,) * len(self.answers)
        total = sum(ballot.weight for ballot in self.votes)
        return {
            "task_id": self.task.id,
            "found": self.found,
            "answers": [list(ballot.outputs) for ballot in self.answers],
            "ballots": [
                {
                    "votes": ballot.votes,
                    "share": ballot.weight / total if total else 0.0,
                    "right": correct,
                }
                for ballot, correct in zip(self.answers, right, strict=True)
            ],
            "sure": self.sure,
            "voters": sum(ballot.votes for ballot in self.votes),
            "program": self.code,
            "train_correct": sum(self.train_right),
            "train_pairs": len(self.task.train),
            "train_right": list(self.train_right),
            "test_right": None if self.test_right is None else list(self.test_right),
            "gives": self.gives,
            "lineage": [each.key for each in self.lineage],
            "near": self.near,
            "completions": sum(search.completions for search in self.seen.searches),
            "programs": len(self.seen.found),
            "ended": self.ended,
            "seconds": self.seconds,
            "tokens": {"prompt": self.tokens.prompt, "completion": self.tokens.completion},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the same object as `as_json`."""
        return self.as_json()

    def _repr_html_(self) -> str:
        from soar.report.html.solution import solution_cell  # only a notebook needs it

        return solution_cell(self)


def solution(seen: TaskView, votes: Sequence[Ballot], ended: Ended, seconds: float, tokens: Tokens) -> Solution:
    """Return what a search found, from the task's view and all its ballots, heaviest first."""
    near, heaviest = partial(closeness, seen.task, similarity=seen.domain.similarity), {b.key: -b.weight for b in votes}
    programs, best = seen.programs, seen.best
    if best is not None and best.right == len(seen.task.train):  # among these, one that gives the heaviest answer
        programs = [each for each in programs if each.right == best.right]
        best = min(programs, key=lambda each: heaviest.get(each.program.ballot or "", 1.0))
    elif best is not None:
        best = max(programs, key=lambda each: (each.right, near(each.program), each.program.ran))
    return Solution(seen, tuple(votes), best, near(best.program) if best else 0.0, ended, seconds, tokens)
