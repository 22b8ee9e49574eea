"""A completion's text to code, and code to a fenced block: the part of a rendering that all chat formats share.

The text is untrusted: it is searched line by line and never parsed as Python, since CPython's parser can be crashed by
deeply nested source. Whether the code is valid is for the sandbox to find out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from soar.protocols import Extraction

_TAG = re.compile(r"<(/?)(think|thinking|thought|reasoning|reflection)\s*>", re.IGNORECASE)
# Possessive, so that no hostile line makes matching slow.
_FENCE = re.compile(r"([ \t]*+)(`{3,}+|~{3,}+)([^`]*+)\Z")


@dataclass(frozen=True, slots=True)
class _Block:
    code: str
    closed: bool

    def defines(self, function: str) -> bool:
        """Return whether a line at the outermost level defines `function`, as far as can be seen without parsing."""
        definition = _definition(function)
        return any(definition.match(line) for line in self.code.split("\n"))


@lru_cache
def _definition(function: str) -> re.Pattern[str]:
    name = re.escape(function)
    return re.compile(rf"(def[ \t]+{name}[ \t]*[(\[]|{name}[ \t]*(:[^=\n]*)?=(?!=))")


def extract(text: str, signature: str) -> Extraction:
    """Return the last closed code block, outside reasoning tags, that defines the function of `signature` (a call, such
    as ``"transform(x)"``); else the reason.

    ``empty``: no text; ``no-code``: no block outside the reasoning; ``unclosed-block``: the only candidate is cut off;
    ``no-entry-point``: blocks, but none that defines the function. Blank lines before and white space after the code
    are no part of it.
    """
    if not text.strip():
        return Extraction(reason="empty")
    function = signature.partition("(")[0]
    blocks = list(_blocks(without_reasoning(text.replace("\r\n", "\n"))))
    closed = [block for block in blocks if block.closed]
    for block in reversed(closed):
        if block.defines(function):
            return Extraction(code=block.code)
    if not blocks:
        return Extraction(reason="no-code")
    cut_off = any(block.defines(function) for block in blocks) or not closed
    return Extraction(reason="unclosed-block" if cut_off else "no-entry-point")


def fenced(code: str) -> str:
    """Return the code as a fenced Python block; the fence is longer than any run of backticks in the code."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code}\n{fence}"


def without_reasoning(text: str) -> str:
    """Return the text outside ``<think>…</think>`` and the like.

    A closing tag without its opening one ends a reasoning that the prompt's template began; an opening tag that is
    never closed hides the rest.
    """
    kept: list[str] = []
    start, inside = 0, None
    for tag in _TAG.finditer(text):
        closing, name = bool(tag[1]), tag[2].lower()
        if inside is None and not closing:
            kept.append(text[start : tag.start()])
            inside = name
        elif inside is None:
            kept.clear()
            start = tag.end()
        elif closing and name == inside:
            inside, start = None, tag.end()
    if inside is None:
        kept.append(text[start:])
    return "\n".join(kept)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks in order, their own indentation removed; the last may be unclosed.

    A fence that names a language opens a block, also inside one that was forgotten to be closed.
    """
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if opened is None:
            opened, lines = fence, []
        elif fence is None or not _ends(opened, fence):
            lines.append(line.removeprefix(opened[1]))
        elif fence[3].strip():
            yield _Block(_trimmed(lines), closed=False)
            opened, lines = fence, []
        else:
            yield _Block(_trimmed(lines), closed=True)
            opened = None
    if opened is not None:
        yield _Block(_trimmed(lines), closed=False)


def _ends(opened: re.Match[str], fence: re.Match[str]) -> bool:
    """Return whether `fence` ends the opened block: the same mark, as long or longer, not deeper by four or more."""
    return fence[2].startswith(opened[2]) and len(fence[1]) < len(opened[1]) + 4


def _trimmed(lines: list[str]) -> str:
    """Return the lines as code: without blank lines before, without white space after."""
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    return "\n".join(lines[first:]).rstrip()
