"""Text that a model, a program or a task's author wrote, as people may safely see it: shown and never obeyed.

Knows what a terminal or a page would obey or hide; knows no layout, and no markup.
"""

from soar.types import Failure


def visible(text: str) -> str:
    """Return text that a terminal shows as it is: what it would obey or hide is escaped as in a Python string."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def failure_text(failure: Failure) -> str:
    """Return one line: what went wrong, and at which line of the program."""
    where = f" (line {failure.line}: {(failure.source_line or '').strip()})" if failure.line is not None else ""
    return visible(f"{failure.type}: {failure.message}{where}".replace("\n", " "))
