"""Whether enough programs agree on the test outputs that more would hardly change them. Sees training pairs only."""

from collections import defaultdict
from collections.abc import Iterable

from soar.scoring import solves
from soar.types import Program, Task


def agreed(task: Task, programs: Iterable[Program], needed: int) -> bool:
    """Return whether `needed` distinct programs that reproduce all training pairs give the same test outputs; False if
    `needed` is 0. Copies of a program count once, because a model that repeats itself is no evidence."""
    if not needed:
        return False
    alike: defaultdict[str | None, set[str]] = defaultdict(set)
    for program in programs:
        if solves(task, program):
            alike[program.ballot].add(program.code)
    return any(len(codes) >= needed for codes in alike.values())
