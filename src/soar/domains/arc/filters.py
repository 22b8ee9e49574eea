"""Signs that a program copied its answers or answers nothing, read off the cells of grids (App. F)."""

import re
from collections import Counter

from soar.types import Program, Task, canonical_json

HARD_CODED_CELLS = 9
"""An output of fewer cells may stand in a program by chance."""

NEAR_CONSTANT = 0.95
"""From which share of equal cells on an output counts as constant."""

_BLANKS = str.maketrans("", "", " \t\r\n,()[]")
_MANY_DIGITS = re.compile(rf"[0-9]{{{HARD_CODED_CELLS}}}")


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether an output of at least `HARD_CODED_CELLS` cells stands in the program's text as it is.

    Blanks, commas, brackets and line ends are not looked at. Tasks that want a single cell anywhere are exempt.
    """
    text = program.code.translate(_BLANKS)
    if not _MANY_DIGITS.search(text) or any(len(_digits(example.output)) <= 1 for example in task.train):
        return False
    answers = {_digits(output) for output in program.outputs}
    return any(len(answer) >= HARD_CODED_CELLS and answer in text for answer in answers)


def is_near_constant(task: Task, program: Program) -> bool:
    """Return whether every output is but one colour, in `NEAR_CONSTANT` of its cells at least."""
    del task
    found = False
    for text in map(_digits, program.outputs):  # the first that is not ends it: most programs' first does
        if len(text) > 1:
            if max(Counter(text).values()) < NEAR_CONSTANT * len(text):
                return False
            found = True
    return found


def _digits(value: object) -> str:
    return canonical_json(value).translate(_BLANKS)
