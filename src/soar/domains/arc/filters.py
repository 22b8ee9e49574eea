"""Signs that a program hard-codes its outputs or paints them in one colour, read from cells of grids (App. F)."""

from soar.types import Program, Task, canonical_json

HARD_CODED_CELLS = 9
"""An output of fewer cells may occur in a program by chance."""

NEAR_CONSTANT = 0.95
"""The share of equal cells from which an output counts as constant."""

_IGNORED = " \t\r\n,()[]"
_BLANKS = str.maketrans("", "", _IGNORED)
_ANY_DIGIT, _MANY_DIGITS = bytes.maketrans(b"123456789", b"000000000"), b"0" * HARD_CODED_CELLS


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether the program's text contains an output of at least `HARD_CODED_CELLS` cells, digit by digit.

    Blanks, commas, brackets and line ends are ignored. A task with a training output of a single cell is exempt.
    """
    # Nearly all programs end here, so a run of digits is found in bytes: a regular expression takes ten times as long.
    digits = program.code.encode("utf-8", "surrogatepass").translate(_ANY_DIGIT, _IGNORED.encode())
    if _MANY_DIGITS not in digits or any(len(_digits(canonical_json(pair.output))) <= 1 for pair in task.train):
        return False
    text = program.code.translate(_BLANKS)
    answers = set(map(_digits, program.texts))
    return any(len(answer) >= HARD_CODED_CELLS and answer in text for answer in answers)


def is_near_constant(task: Task, program: Program) -> bool:
    """Return whether one colour fills at least `NEAR_CONSTANT` of every output of more than one cell."""
    del task
    found = False
    for text in map(_digits, program.texts):  # most programs are out at their first output
        if len(text) > 1:
            if max(map(text.count, set(text))) < NEAR_CONSTANT * len(text):
                return False
            found = True
    return found


def _digits(text: str) -> str:
    return text.translate(_BLANKS)
