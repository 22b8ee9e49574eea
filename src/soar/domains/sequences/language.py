"""A small language for integer sequences, which the embedded model writes: prefix text, and the Python it means.

An expression gives the n-th term. It has the integers 0 to 100, arithmetic, two comparisons, a condition, loops with
one and two states, and a search for the n-th number with a property, after Gauthier and Urban (2022, arXiv 2202.11908).
In prefix text, ``loop mul x y x 1``, every word is one token; in Python it is ``loop(lambda x, y: x * y, n, 1)``, below
the helper functions that it calls. Knows text; runs nothing.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_CONSTANT = 100
"""The largest integer that is a word; larger ones are computed."""

STEPS = 10_000
"""How many passes of loops and tries of searches one term may take in total."""

LIMIT = 10**60
"""The absolute value that the states of a loop must stay below."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A word with arguments: `python` is its text, with a ``{}`` for each argument; the first `bodies` arguments
    are functions, in which the words `names` mean the function's own arguments."""

    python: str
    arguments: int
    bodies: int = 0
    names: tuple[str, ...] = ()


OPERATORS: dict[str, Operator] = {
    "add": Operator("({} + {})", 2),
    "sub": Operator("({} - {})", 2),
    "mul": Operator("({} * {})", 2),
    "div": Operator("({} // {})", 2),
    "mod": Operator("({} % {})", 2),
    "eq": Operator("int({} == {})", 2),
    "lt": Operator("int({} < {})", 2),
    "if": Operator("({1} if {0} > 0 else {2})", 3),
    "loop": Operator("loop(lambda x, y: {}, {}, {})", 3, 1, ("x", "y")),
    "loop2": Operator("loop2(lambda x, y: {}, lambda x, y: {}, {}, {}, {})", 5, 2, ("x", "y")),
    "find": Operator("find(lambda x: {}, {})", 2, 1, ("x",)),
}
"""The operators by word, in the order of their codes in `soar.pretrain.sequences`."""

CONSTANTS = tuple(map(str, range(MAX_CONSTANT + 1)))
WORDS = (*CONSTANTS, "x", "y", *OPERATORS)
"""Every word of prefix text. At the top level x is the index n, and y has no meaning."""

# Programs contain these texts: `prefix` no longer reads an archived program if a byte of them changes.
HELPERS = {
    "loop": f'''def loop(f, times, x):
    """Return x after x = f(x, y) for y = 1, 2, ..., times."""
    spend(times)
    for y in range(1, times + 1):
        x = f(x, y)
        if not -{LIMIT:.0e} < x < {LIMIT:.0e}:
            raise OverflowError("too large")
    return x
''',
    "loop2": f'''def loop2(f, g, times, x, y):
    """Return x after x, y = f(x, y), g(x, y), so many times."""
    spend(times)
    for _ in range(times):
        x, y = f(x, y), g(x, y)
        if not (-{LIMIT:.0e} < x < {LIMIT:.0e} and -{LIMIT:.0e} < y < {LIMIT:.0e}):
            raise OverflowError("too large")
    return x
''',
    "find": '''def find(f, n):
    """Return the n-th x, from the 0-th on, of those among 0, 1, 2, ... for which f(x) > 0."""
    if n < 0:
        raise ValueError("no such number")
    x = -1
    while n >= 0:
        spend(1)
        x += 1
        n -= f(x) > 0
    return x
''',
}

SPEND = f'''def spend(steps):
    """Count steps of loops and searches; a term may take {STEPS}."""
    global left
    left -= max(steps, 0)
    if left < 0:
        raise RuntimeError("too many steps")
'''

GAP = "\n\n"
_NAMES = {"add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "div": ast.FloorDiv, "mod": ast.Mod}
_ARITHMETIC = {kind: word for word, kind in _NAMES.items()}
_COMPARISONS = {ast.Eq: "eq", ast.Lt: "lt"}


def program(text: str) -> str:
    """Return the Python program of an expression in prefix text; a `ValueError` says what is wrong with it."""
    found = text.split()
    words = iter(found)
    try:
        body = _python(words, {"x": "n"})
    except RecursionError:
        raise ValueError("the expression is nested too deeply") from None
    if rest := next(words, None):
        raise ValueError(f"unexpected {rest!r} after the end of the expression")
    body = body[1:-1] if body.startswith("(") else body
    used = [name for name in HELPERS if name in found]
    if not used:
        return f"def transform(n):\n    return {body}\n"
    start = f"def transform(n):\n    global left\n    left = {STEPS}\n    return {body}\n"
    return GAP.join([SPEND, *(HELPERS[name] for name in used), start])


def prefix(code: str) -> str | None:
    """Return the prefix text of a program as `program` writes it, None for any other."""
    try:
        last = ast.parse(code).body[-1]
        statement = last.body[-1] if isinstance(last, ast.FunctionDef) else None
        if not isinstance(statement, ast.Return) or statement.value is None:
            return None
        text = " ".join(_words(statement.value))
        return text if program(text) == code else None
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None


def _python(words: Iterator[str], names: Mapping[str, str]) -> str:
    """Return the Python of the next expression; `names` maps the names in scope to Python."""
    word = next(words, None)
    if word is None:
        raise ValueError("the expression is incomplete: expected another word")
    if word not in OPERATORS:
        if word in names or word in CONSTANTS:
            return names.get(word, word)
        raise ValueError(f"{word!r} has no meaning here")
    operator = OPERATORS[word]
    inside = {name: name for name in operator.names}
    parts = [_python(words, inside if place < operator.bodies else names) for place in range(operator.arguments)]
    return operator.python.format(*parts)


def _words(node: ast.expr) -> Sequence[str]:
    """Return the words of an expression; raise an error that `prefix` catches if it is not in the language."""
    match node:
        case ast.Constant(value=int(value)):
            return [str(value)]
        case ast.Name(id=name):
            return ["x" if name == "n" else name]
        case ast.BinOp(left=left, op=op, right=right):
            return [_ARITHMETIC[type(op)], *_words(left), *_words(right)]
        case ast.IfExp(test=ast.Compare(left=asked), body=body, orelse=other):
            return ["if", *_words(asked), *_words(body), *_words(other)]
        case ast.Call(func=ast.Name(id="int"), args=[ast.Compare(left=left, ops=[op], comparators=[right])]):
            return [_COMPARISONS[type(op)], *_words(left), *_words(right)]
        case ast.Call(func=ast.Name(id=word), args=arguments):
            bodies = [node.body if isinstance(node, ast.Lambda) else node for node in arguments]
            return [word, *(word for part in bodies for word in _words(part))]
        case _:
            raise ValueError(f"{ast.unparse(node)} is not in the language")
