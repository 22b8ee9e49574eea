"""Answers from many programs: who may vote, how votes are weighed, how answers are scored (§3.2, App. D.1, App. F).

Voting never sees the wanted outputs of test pairs; scoring does and nothing else.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from soar.config import resolve
from soar.types import Output, Program, Task, Value, canonical_json, content_hash, test_matches

HARD_CODED_CELLS = 9
"""An output of fewer cells may stand in a program by chance."""

LONG_LINE, NEAR_CONSTANT, IDENTITY = 200, 0.95, 0.3
"""Bounds of the filters that are off by default: characters, a share of cells, a share of pairs."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a group of programs answers: a value per test input; its weight and size; `key` names the values."""

    outputs: tuple[Value, ...]
    weight: float
    votes: int
    key: str


Voter: TypeAlias = Callable[[Sequence[Program]], list[Ballot]]
Filter: TypeAlias = Callable[[Task, Program], bool]


def sum_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs the sum of its train accuracies, then its size (§3.2)."""
    ballots = [_ballot(key, group, sum(p.accuracy for p in group)) for key, group in groups_of(programs).items()]
    return sorted(ballots, key=lambda b: (-b.weight, -b.votes, b.key))


def mean_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs its size + 1000 · its mean train accuracy (App. D.1)."""
    groups = groups_of(programs).items()
    ballots = [
        _ballot(k, group, len(group) + 1000 * sum(p.accuracy for p in group) / len(group)) for k, group in groups
    ]
    return sorted(ballots, key=lambda b: (-b.weight, -b.votes, b.key))


VOTERS: dict[str, Voter] = {"sum": sum_vote, "mean": mean_vote}


def groups_of(programs: Iterable[Program]) -> dict[str, list[Program]]:
    """Return the programs that ran, by the hash of all their test outputs. A failure is never a ballot."""
    groups: dict[tuple[Output, ...], list[Program]] = defaultdict(list)
    for program in programs:
        if program.ran:
            groups[program.test].append(program)
    return {content_hash(*test): group for test, group in groups.items()}


def _ballot(key: str, group: Sequence[Program], weight: float) -> Ballot:
    return Ballot(group[0].test, weight, len(group), key)


def votable(task: Task, programs: Sequence[Program], filters: Sequence[str]) -> list[Program]:
    """Return the programs that may vote and teach: all that ran and that no filter rejects (App. F)."""
    return filtered(task, programs, filters)[0]


def filtered(task: Task, programs: Sequence[Program], names: Sequence[str]) -> tuple[list[Program], dict[str, int]]:
    """Return the programs that ran and pass the named `FILTERS`, and how many fell to what: ``failed`` or the first
    filter that rejects them."""
    filters = {name: resolve(name, FILTERS, "filter") for name in names}
    fates = [_fate(task, program, filters) for program in programs]
    counts = Counter(dict.fromkeys(("failed", *names), 0))
    counts.update(fate for fate in fates if fate)
    return [program for program, fate in zip(programs, fates, strict=True) if not fate], dict(counts)


def _fate(task: Task, program: Program, filters: Mapping[str, Filter]) -> str | None:
    if not program.ran:
        return "failed"
    return next((name for name, rejects in filters.items() if rejects(task, program)), None)


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether an output of at least `HARD_CODED_CELLS` digits stands in the program's text as it is.

    Blanks, commas, brackets and line ends are not looked at. Tasks that want a single cell anywhere are exempt.
    """
    text = program.code.translate(_BLANKS)
    if not _MANY_DIGITS.search(text) or any(len(_digits(example.output)) <= 1 for example in task.train):
        return False
    answers = {_digits(output) for output in program.outputs}
    return any(len(answer) >= HARD_CODED_CELLS and answer in text for answer in answers)


_BLANKS = str.maketrans("", "", " \t\r\n,()[]")
_MANY_DIGITS = re.compile(rf"[0-9]{{{HARD_CODED_CELLS}}}")


def _digits(value: object) -> str:
    return canonical_json(value).translate(_BLANKS)


def has_long_line(task: Task, program: Program) -> bool:
    """Return whether a line of the program has more than `LONG_LINE` characters."""
    del task
    return any(len(line) > LONG_LINE for line in program.code.splitlines())


def is_near_constant(task: Task, program: Program) -> bool:
    """Return whether every output is but one value repeated, `NEAR_CONSTANT` of its digits at least."""
    del task
    texts = [_digits(output) for output in program.outputs]
    return all(max(Counter(text).values()) >= NEAR_CONSTANT * len(text) for text in texts if len(text) > 1) and any(
        len(text) > 1 for text in texts
    )


def is_mostly_identity(task: Task, program: Program) -> bool:
    """Return whether the output equals the input on more than `IDENTITY` of all pairs."""
    same = [output == value for output, value in zip(program.outputs, task.inputs, strict=True)]
    return sum(same) > IDENTITY * len(same)


FILTERS: dict[str, Filter] = {
    "hard-coded": is_hard_coded,
    "long-line": has_long_line,
    "near-constant": is_near_constant,
    "identity": is_mostly_identity,
}
"""Reasons to leave a program out of the vote and of learning. Ours is the first; the others are the released code's."""


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
