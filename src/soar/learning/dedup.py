"""Which programs are the same for learning's purposes: pure functions that keep the first of each kind."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from soar.types import Program, behaviour

Deduplicate: TypeAlias = Callable[[Sequence[Program]], list[Program]]


def by_text(programs: Sequence[Program]) -> list[Program]:
    """Keep the first of every program text, blanks at line ends aside."""
    return _first(programs, lambda p: "\n".join(line.rstrip() for line in p.code.strip().splitlines()))


def by_outputs(programs: Sequence[Program]) -> list[Program]:
    """Keep the shortest program of every behaviour, correct and incorrect alike, in the order of the search."""
    kept = {p.key for p in _first(sorted(programs, key=lambda p: len(p.code)), behaviour)}
    return [program for program in programs if program.key in kept]


DEDUPLICATIONS: dict[str, Deduplicate] = {"none": list, "text": by_text, "outputs": by_outputs}


def _first(programs: Sequence[Program], kind: Callable[[Program], object]) -> list[Program]:
    seen: dict[object, Program] = {}
    for program in programs:
        seen.setdefault(kind(program), program)
    return list(seen.values())
