"""Answers from many programs: who may vote, and how votes are weighed (§3.2, App. D.1, App. F).

Sees training pairs and never an expected test output. Knows no particular domain.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from soar.protocols import Filter
from soar.types import Program, Task, Value, canonical_json

HARD_CODED_CHARACTERS = 9
"""An output with a shorter text may occur in a program by chance."""

LONG_LINE, IDENTITY = 200, 0.3
"""Bounds of the filters that are off by default: characters of a line, share of pairs."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A group's outputs, one per test input; its weight and size; `key` identifies the outputs."""

    outputs: tuple[Value, ...]
    weight: float
    votes: int
    key: str


Voter: TypeAlias = Callable[[Sequence[Program]], list[Ballot]]


@dataclass(frozen=True, slots=True)
class Answering:
    """How programs answer a task: the filters that exclude some, and the vote."""

    voter: Voter
    filters: Mapping[str, Filter]

    def vote(self, task: Task, programs: Sequence[Program]) -> tuple[list[Ballot], dict[str, int]]:
        """Return the ballots of a task's programs, heaviest first (the first two are its answers, §3.2), and how many
        programs may not vote, by reason."""
        voters, fallen = filtered(task.without_answers(), programs, self.filters)
        return self.voter(voters), fallen

    def ballots(self, task: Task, programs: Sequence[Program]) -> list[Ballot]:
        """Return only the ballots."""
        return self.vote(task, programs)[0]


def sum_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs the sum of its train accuracies, then its size (§3.2)."""
    ballots = [_ballot(key, group, sum(p.accuracy for p in group)) for key, group in groups_of(programs).items()]
    return sorted(ballots, key=_heaviest_first)


def mean_vote(programs: Sequence[Program]) -> list[Ballot]:
    """Return the ballots, heaviest first: a group weighs its size + 1000 · its mean train accuracy (App. D.1)."""
    groups = groups_of(programs).items()
    ballots = [
        _ballot(k, group, len(group) + 1000 * sum(p.accuracy for p in group) / len(group)) for k, group in groups
    ]
    return sorted(ballots, key=_heaviest_first)


VOTERS: dict[str, Voter] = {"sum": sum_vote, "mean": mean_vote}


def _heaviest_first(ballot: Ballot) -> tuple[float, int, str]:
    """The key that sorts ballots. Rounded: six sixths sum up to a little less than 1, and must tie with it."""
    return -round(ballot.weight, 9), -ballot.votes, ballot.key


def groups_of(programs: Iterable[Program]) -> dict[str, list[Program]]:
    """Return the programs that ran, by ballot. A failure never has a ballot."""
    groups: dict[str, list[Program]] = defaultdict(list)
    for program in programs:
        if program.ballot is not None:
            groups[program.ballot].append(program)
    return dict(groups)


def _ballot(key: str, group: Sequence[Program], weight: float) -> Ballot:
    return Ballot(group[0].test, weight, len(group), key)


def filtered(
    task: Task, programs: Sequence[Program], filters: Mapping[str, Filter]
) -> tuple[list[Program], dict[str, int]]:
    """Return the programs that may vote and teach (those that ran and that no filter rejects, App. F), and how many
    were excluded by reason: ``failed``, or the first filter that rejects them."""
    reasons = [_rejected_by(task, program, filters) for program in programs]
    counts = Counter(dict.fromkeys(("failed", *filters), 0))
    counts.update(reason for reason in reasons if reason)
    return [program for program, reason in zip(programs, reasons, strict=True) if not reason], dict(counts)


def _rejected_by(task: Task, program: Program, filters: Mapping[str, Filter]) -> str | None:
    if not program.ran:
        return "failed"
    return next((name for name, rejects in filters.items() if rejects(task, program)), None)


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether the text of an output, at least `HARD_CODED_CHARACTERS` long, occurs in the program verbatim.

    Blanks, commas, brackets, quotes and line ends are ignored. Tasks with a single-character training output are
    exempt: their outputs occur in any program.
    """
    text = program.code.translate(_IGNORED)
    answers = set(map(_letters, program.texts))
    found = any(len(answer) >= HARD_CODED_CHARACTERS and answer in text for answer in answers)
    return found and all(len(_letters(canonical_json(example.output))) > 1 for example in task.train)


_IGNORED = str.maketrans("", "", " \t\r\n,()[]\"'")


def _letters(text: str) -> str:
    return text.translate(_IGNORED)


def has_long_line(task: Task, program: Program) -> bool:
    """Return whether a line of the program has more than `LONG_LINE` characters."""
    del task
    return any(len(line) > LONG_LINE for line in program.code.splitlines())


def is_mostly_identity(task: Task, program: Program) -> bool:
    """Return whether the output equals the input on more than `IDENTITY` of all pairs."""
    same = [output == value for output, value in zip(program.outputs, task.inputs, strict=True)]
    return sum(same) > IDENTITY * len(same)


FILTERS: dict[str, Filter] = {
    "hard-coded": is_hard_coded,
    "long-line": has_long_line,
    "identity": is_mostly_identity,
}
"""Reasons to exclude a program from voting and learning, for any domain. The first is ours, the others are the released
code's."""
