"""Answers from many programs: who may vote, how votes are weighed, how answers are scored (§3.2, App. D.1, App. F).

Voting never sees the wanted outputs of test pairs; scoring does and nothing else.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from soar.types import Program, Task, Value, ballot, canonical_json, test_matches

HARD_CODED_CELLS = 9
"""An output of fewer cells may stand in a program by chance."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a group of programs answers: a value per test input; its weight and size; `key` names the values."""

    outputs: tuple[Value, ...]
    weight: float
    votes: int
    key: str


Voter: TypeAlias = Callable[[Sequence[Program]], list[Ballot]]


def sum_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs the sum of its train accuracies, then its size (§3.2)."""
    ballots = [_ballot(key, group, sum(p.accuracy for p in group)) for key, group in _groups(programs).items()]
    return sorted(ballots, key=lambda b: (-b.weight, -b.votes, b.key))


def mean_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs its size + 1000 · its mean train accuracy (App. D.1)."""
    groups = _groups(programs).items()
    ballots = [
        _ballot(k, group, len(group) + 1000 * sum(p.accuracy for p in group) / len(group)) for k, group in groups
    ]
    return sorted(ballots, key=lambda b: (-b.weight, -b.votes, b.key))


VOTERS: dict[str, Voter] = {"sum": sum_vote, "mean": mean_vote}


def _groups(programs: Sequence[Program]) -> dict[str, list[Program]]:
    """Return the programs that ran, by the hash of all their test outputs. A failure is never a ballot."""
    groups: dict[str, list[Program]] = defaultdict(list)
    for program in programs:
        if (key := ballot(program)) is not None:
            groups[key].append(program)
    return groups


def _ballot(key: str, group: Sequence[Program], weight: float) -> Ballot:
    return Ballot(group[0].test, weight, len(group), key)


def votable(task: Task, programs: Sequence[Program], *, hard_coded: bool = True) -> list[Program]:
    """Return the programs that may vote and teach: all that ran, without those that spell out an answer (App. F)."""
    return [p for p in programs if p.ran and not (hard_coded and is_hard_coded(task, p))]


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether an output of at least `HARD_CODED_CELLS` digits stands in the program's text as it is.

    Blanks, commas, brackets and line ends are not looked at. Tasks that want a single cell anywhere are exempt.
    """
    if any(len(_digits(example.output)) <= 1 for example in task.train):
        return False
    text = program.code.translate(_BLANKS)
    answers = {_digits(output) for output in program.outputs}
    return any(len(answer) >= HARD_CODED_CELLS and answer in text for answer in answers)


_BLANKS = str.maketrans("", "", " \t\r\n,()[]")


def _digits(value: object) -> str:
    return canonical_json(value).translate(_BLANKS)


@dataclass(frozen=True, slots=True)
class Score:
    """How two answers do on a task: per test output whether either matches it; whether one of them matches all."""

    matched: tuple[bool, ...]
    solved: bool

    @property
    def mean(self) -> float:
        """The fraction of test outputs matched by either answer: the paper's score of one task."""
        return sum(self.matched) / len(self.matched)


def score(task: Task, answers: Sequence[Ballot]) -> Score:
    """Score the first two ballots on a task whose test outputs are known."""
    attempts = [test_matches(task, ballot.outputs) for ballot in answers[:2]]
    matched = tuple(any(attempt[place] for attempt in attempts) for place in range(len(task.test)))
    return Score(matched, any(all(attempt) for attempt in attempts))


def oracle(task: Task, programs: Sequence[Program]) -> bool:
    """Return whether some program that ran has all test outputs right."""
    return any(program.ran and all(test_matches(task, program.test)) for program in programs)
