"""From a completion to code, and from code to a fenced block: the part of a rendering that all chat formats share.

The last block that parses and defines the function is taken. The text is untrusted. `ast.parse` without compiling has
not crashed CPython since 3.11: thirty-eight kinds of nesting, 20,000 to 400,000 deep, end in an error or a tree (tried
on 3.11 to 3.13). But some take quadratic time, so parsing is bounded, and it only chooses between blocks and between
the possible ends of one: a completion with one plain block is never parsed. The sandbox finds out whether the code is
valid.
"""

import ast
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

from soar.prompts.fences import Block, End, Scanner, code_of
from soar.protocols import Extraction

MAX_READ = 100_000
"""How much of a completion is read, in characters from its end, where the program is."""
MAX_PARSED = 20_000
"""The longest code that is parsed, in characters; longer code is assumed to parse."""
MAX_PARSED_IN_ALL = 60_000
"""How many characters of one completion are parsed, over all blocks and ends tried."""


@dataclass(frozen=True, slots=True)
class _Found:
    code: str
    closed: bool = True


class _Parsing:
    """Says whether code parses, within the limits for one completion."""

    def __init__(self) -> None:
        self._left = MAX_PARSED_IN_ALL
        self._known: dict[str, ast.Module | None] = {}

    def accepts(self, code: str) -> bool:
        """Return whether the code parses; True if it is too long to be tried."""
        if code not in self._known and len(code) <= min(MAX_PARSED, self._left):
            self._left -= len(code)
            self._known[code] = _parsed(code)
        return code not in self._known or self._known[code] is not None

    def does_something(self, code: str, function: str) -> bool:
        """Return whether the code parses and the function has a body, not only ``...``, ``pass`` or a docstring."""
        if not self.accepts(code):
            return False
        tree = self._known.get(code)
        defined = [each for each in tree.body if _defines(each, function)] if tree else []
        return not defined or not _is_stub(defined[-1])


def extract(text: str, signature: str) -> Extraction:
    """Return the last code block, outside reasoning tags, that parses and defines the function of `signature` (a call,
    such as ``"transform(x)"``), or if none parses the last closed one that defines it; else the reason. A block that
    only states the signature, as some models do at the end, gives way to an earlier one with a body.

    ``empty``: no text; ``no-code``: no block outside the reasoning; ``unclosed-block``: the only candidate is cut off;
    ``no-entry-point``: blocks, but none that defines the function. Blank lines before and white space after the code
    are not part of it.
    """
    if not text.strip():
        return Extraction(reason="empty")
    function = signature.partition("(")[0]
    definition, parsing = _definition(function), _Parsing()
    blocks = _read(text[-MAX_READ:].replace("\r\n", "\n"), definition, parsing)
    defining = [block for block in blocks if definition.search(block.code)]
    closed = [block.code for block in reversed(defining) if block.closed]
    if len(closed) > 1:
        written = (code for code in closed if parsing.does_something(code, function))
        return Extraction(code=next(written, next(filter(parsing.accepts, closed), closed[0])))
    if closed:
        return Extraction(code=closed[0])
    if not blocks:
        return Extraction(reason="no-code")
    cut_off = bool(defining) or not any(block.closed for block in blocks)
    return Extraction(reason="unclosed-block" if cut_off else "no-entry-point")


def fenced(code: str) -> str:
    """Return the code as a fenced Python block; the fence is longer than any run of backticks in the code."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code}\n{fence}"


def _read(text: str, definition: re.Pattern[str], parsing: _Parsing) -> list[_Found]:
    """Return the blocks of a text in order, without those inside reasoning.

    A closing tag without an opening one ends reasoning that the prompt's template opened; an opening tag that is
    never closed hides the rest, unless the reasoning was over before and no block has come since: then the text only
    speaks of the tag.
    """
    scanner, position, reasoned = Scanner(text), 0, False
    spoken_of: set[str] = set()
    found: list[_Found] = []
    while (item := scanner.next(position)) is not None:
        if isinstance(item, Block):
            position = _take(text, item, definition, parsing, found)
        elif item.text.startswith("</"):
            found.clear()
            position, reasoned = item.end, True
        else:
            name = item.text[1:-1].strip().lower()
            closing = None if name in spoken_of else _closing(name).search(text, item.end)
            if closing is None and (found or not reasoned):
                break
            position, reasoned = closing.end() if closing else item.end, True
            spoken_of |= set() if closing else {name}  # not searched for again: a text may be full of them
    return found


def _take(text: str, block: Block, definition: re.Pattern[str], parsing: _Parsing, found: list[_Found]) -> int:
    """Add the code of a block to `found`; return where reading continues."""

    def code(end: End) -> str:
        return code_of(text[block.begin : end.place], block.opening.before)

    if block.certain and not block.doubtful:
        found.append(_Found(code(block.ends[0])))
        return block.ends[0].resume
    for end in block.ends:
        if (not block.doubtful or definition.search(code(end))) and (block.certain or parsing.accepts(code(end))):
            found.append(_Found(code(end)))
            return end.resume
    if block.doubtful and not block.opening.alone:
        return block.begin
    found.append(_Found(code(block.last), block.closed))
    return block.begin if block.doubtful else block.last.resume


@lru_cache
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}\s*+>", re.IGNORECASE)


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _defines(statement: ast.stmt, function: str) -> TypeGuard[ast.FunctionDef]:
    return isinstance(statement, ast.FunctionDef) and statement.name == function


def _is_stub(function: ast.FunctionDef) -> bool:
    """Return whether a function's body is nothing but ``...``, ``pass`` and text."""
    return all(
        isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in function.body
    )


@lru_cache
def _definition(function: str) -> re.Pattern[str]:
    """Return the pattern of a top-level line that defines `function`."""
    name = re.escape(function)
    return re.compile(rf"^(?:def[ \t]+{name}[ \t]*[(\[]|{name}[ \t]*(?::[^=\n]*)?=(?!=))", re.MULTILINE)
