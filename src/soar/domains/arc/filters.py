"""Signs that a program copied its answers or answers nothing, read off the cells of grids (App. F)."""

from soar.types import Program, Task, canonical_json

HARD_CODED_CELLS = 9
"""An output of fewer cells may stand in a program by chance."""

NEAR_CONSTANT = 0.95
"""From which share of equal cells on an output counts as constant."""

_IGNORED = " \t\r\n,()[]"
_BLANKS = str.maketrans("", "", _IGNORED)
_ANY_DIGIT, _MANY_DIGITS = bytes.maketrans(b"123456789", b"000000000"), b"0" * HARD_CODED_CELLS


def is_hard_coded(task: Task, program: Program) -> bool:
    """Return whether an output of at least `HARD_CODED_CELLS` cells stands in the program's text as it is.

    Blanks, commas, brackets and line ends are not looked at. Tasks that want a single cell anywhere are exempt.
    """
    # Nearly all programs end here, so all digits are made one, in bytes: a pattern takes ten times as long.
    digits = program.code.encode("utf-8", "surrogatepass").translate(_ANY_DIGIT, _IGNORED.encode())
    if _MANY_DIGITS not in digits or any(len(_digits(canonical_json(pair.output))) <= 1 for pair in task.train):
        return False
    text = program.code.translate(_BLANKS)
    answers = set(map(_digits, program.texts))
    return any(len(answer) >= HARD_CODED_CELLS and answer in text for answer in answers)


def is_near_constant(task: Task, program: Program) -> bool:
    """Return whether every output is but one colour, in `NEAR_CONSTANT` of its cells at least."""
    del task
    found = False
    for text in map(_digits, program.texts):  # the first that is not ends it: most programs' first does
        if len(text) > 1:
            if max(map(text.count, set(text))) < NEAR_CONSTANT * len(text):
                return False
            found = True
    return found


def _digits(text: str) -> str:
    return text.translate(_BLANKS)
