"""The domain of integer sequences: what a term is, how a sequence becomes a task, which programs copy terms.

A task shows the first 16 terms as pairs n → a(n) and hides the next 8. Knows no files; `source` does.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from soar.domains.sequences.compact import Compact
from soar.domains.sequences.source import SETS, read_source
from soar.protocols import Domain, Filter, Rendering
from soar.types import Example, Program, Task

SHOWN, HIDDEN = 16, 8
"""How many terms are training pairs, and how many after them are test pairs."""

MAX_DIGITS = 1000
"""The most decimal digits of a term: far beyond any known sequence's first terms, yet cheap to store."""

_TOO_LARGE = 10**MAX_DIGITS

COPIED_TERMS, COPIED_CHARACTERS = 6, 12
"""A program that contains this many terms in a row, in at least this many characters, copies them: shorter runs occur
in honest programs too."""

FEW_VALUES = 3
"""A sequence of fewer distinct terms counts as constant."""


class Sequences:
    """Values are integers; a program is ``transform(n)``, which returns the term at index n, counted from 0."""

    about = (
        "The input is an index n = 0, 1, 2, …, the output is the term a(n) of one integer sequence: an integer of at "
        f"most {MAX_DIGITS} digits, which may be negative. In Python both are ints. Further terms follow the same "
        "rule, so the program must compute them for indices that are not shown."
    )
    signature = "transform(n)"
    sources = tuple(SETS)
    renderings: Mapping[str, Callable[[Domain], Rendering]] = MappingProxyType({"compact": Compact})

    @property
    def filters(self) -> Mapping[str, Filter]:
        """The filters; ``hard-coded`` looks for shown terms in a row."""
        return MappingProxyType({"hard-coded": copies_terms, "near-constant": is_near_constant})

    def load(self, source: str) -> list[Task]:
        """Return the sequences of a built-in set or a file as tasks; `DataError` names the line and the reason."""
        return [task_of(name, terms) for name, terms in read_source(source, SHOWN + HIDDEN, parse)]

    def parse(self, value: object) -> int:
        """Return the term; a `ValueError` says what is wrong. A boolean or a float is not a term."""
        return parse(value)


def task_of(name: str, terms: list[int]) -> Task:
    """Return the task of a sequence, given at least its first 24 terms."""
    pairs = tuple(Example(n, term) for n, term in enumerate(terms[: SHOWN + HIDDEN]))
    return Task(name, pairs[:SHOWN], pairs[SHOWN:])


def parse(value: object) -> int:
    """Return an integer of at most `MAX_DIGITS` digits; a `ValueError` says what is wrong, to prompts too."""
    if type(value) is not int:
        raise ValueError(f"expected an integer, found {'null' if value is None else type(value).__name__}")
    if not -_TOO_LARGE < value < _TOO_LARGE:
        raise ValueError(f"an integer of more than {MAX_DIGITS} digits")
    return value


def is_near_constant(task: Task, program: Program) -> bool:
    """Return whether the terms of a program that ran take fewer than `FEW_VALUES` distinct values."""
    del task
    return program.ran and len(set(program.outputs)) < FEW_VALUES


def copies_terms(task: Task, program: Program) -> bool:
    """Return whether the program's text contains `COPIED_TERMS` of the shown terms in a row, as a list would."""
    terms = [str(example.output) for example in task.train]
    code = re.sub(r"\s", "", program.code)
    runs = (",".join(terms[start : start + COPIED_TERMS]) for start in range(len(terms) - COPIED_TERMS + 1))
    return any(len(run) >= COPIED_CHARACTERS and run in code for run in runs)
