"""A program to read: its text, with keywords, strings, comments and numbers coloured. Knows Python's tokens."""

import io
import keyword
import tokenize

from soar.report.html.markup import Html, element, joined

CLASSES = {tokenize.STRING: "st", tokenize.COMMENT: "co", tokenize.NUMBER: "nu"}


def code(program: str) -> Html:
    """Return a program as a block of text, coloured if it can be read as Python."""
    try:
        inside = _coloured(program)
    except (tokenize.TokenError, SyntaxError, ValueError):  # text that is not Python is shown uncoloured
        inside = joined([program])
    return element("pre", element("code", inside))


def _coloured(program: str) -> Html:
    """Return the whole text, its coloured pieces in elements of a class."""
    starts = [0]
    for line in program.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    parts: list[object] = []
    done = 0
    for token in tokenize.generate_tokens(io.StringIO(program).readline):
        kind = CLASSES.get(token.type, "kw" if keyword.iskeyword(token.string) else None)
        if kind is None:
            continue
        begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        if begin < done or program[begin:end] != token.string:
            raise ValueError("the positions of its tokens do not match its text")
        parts += [program[done:begin], element("span", token.string, class_=kind)]
        done = end
    return joined([*parts, program[done:]])
