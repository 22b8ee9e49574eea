"""Whether programs agree on an answer so well that more of them would hardly change it. Sees training pairs only."""

from collections import defaultdict
from collections.abc import Iterable

from soar.scoring import solves
from soar.types import Program, Task


def agreed(task: Task, programs: Iterable[Program], wanted: int) -> bool:
    """Return whether `wanted` distinct programs that reproduce all training pairs answer all test inputs alike; never
    where 0 are wanted. Copies of one program are one: that a model repeats itself says nothing."""
    if not wanted:
        return False
    alike: defaultdict[str | None, set[str]] = defaultdict(set)
    for program in programs:
        if solves(task, program):
            alike[program.ballot].add(program.code)
    return any(len(codes) >= wanted for codes in alike.values())
