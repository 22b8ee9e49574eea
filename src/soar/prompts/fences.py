"""Where the code blocks of a completion begin and end, found by lexing and never by parsing.

Python has backticks only in strings and comments, so the first fence outside them ends a block: fenced examples in a
docstring, and ``<think>`` in a string, are code. Other possible ends are offered too, since broken code cannot be
lexed. Does not know which end is right, nor which block is the program.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_NAME = r"(?i:think|thinking|thought|reasoning|reflection)\s*+>"
_TAG = rf"</?{_NAME}"
_TOKEN = r"</s>|<end_code>|<end_of_turn>|<\|\w{1,30}\|>"
"""End marks of chat templates and agents, which some servers leave in the text."""

# Possessive throughout, and irrelevant text is skipped in runs: fast, and no hostile text can make matching slow.
# Groups are repeated atomically instead: before Python 3.11.5 a possessive one fails to match (CPython issue 106052).
_OUTSIDE = re.compile(rf"[^<`~]*+(?:(?P<tag>{_TAG})|(?P<fence>`{{3,}}+|~{{3,}}+)|[<`~]|\Z)")
_INSIDE = re.compile(
    rf"""[^"'\#<`~]*+(?:
    (?P<long>"{{3}}(?>(?:[^"\\]++|\\.|"(?!""))*)"{{3}}|'{{3}}(?>(?:[^'\\]++|\\.|'(?!''))*)'{{3}})
    |(?P<endless>"{{3}}|'{{3}})
    |(?P<short>"(?>(?:[^"\\\n]++|\\.)*)"?|'(?>(?:[^'\\\n]++|\\.)*)'?)
    |(?P<comment>\#[^\n]*+)
    |(?P<tag>{_TAG})|(?P<token>{_TOKEN})|(?P<fence>`{{3,}}+|~{{3,}}+)|[<`~]|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_OVER = re.compile(rf"</{_NAME}")
_IN_COMMENT = re.compile(r"(?<=[^\s#`])[ \t]*+(?P<fence>`{3,}+)")
_MARGIN = re.compile(r"[ \t>\ufeff]*+")
_PYTHON = re.compile(r"[ \t]*+\{?\.?py(?:thon)?[\d.]*+(?:-repl)?\}?(?::\S*+)?(?=\s|\Z)", re.IGNORECASE)
_LANGUAGE = re.compile(r"[ \t]*+\{?\.?[a-z][\w+#.-]*+\}?[ \t]*+\Z", re.IGNORECASE)
_CODE = re.compile(r"[ \t]*+(?P<code>(?:(?:import|from|def|class|async)[ \t]|[@#]|['\"]{3}))")
"""How code on the line of its opening fence begins; any other words there are not code."""

PATIENCE = 8
"""How many blocks without an end are lexed: each takes time proportional to the text's length."""
LOOK = 300
"""How many characters of a line are read on either side of a fence: a text may be one endless line."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A run of backticks or tildes, with what precedes and follows it on its line."""

    begin: int
    end: int
    mark: str
    before: str
    after: str

    @property
    def alone(self) -> bool:
        """Whether nothing but white space, or the `>` of a quotation, precedes it."""
        return _MARGIN.fullmatch(self.before) is not None

    @property
    def names_language(self) -> bool:
        """Whether it reads like the first line of a block and not like the last."""
        return self.alone and bool(_PYTHON.match(self.after) or _LANGUAGE.match(self.after))

    def may_end(self, opening: "Fence") -> bool:
        """Whether it is of the opening's kind and at least as long; tildes must be alone, as Python has them too."""
        return self.mark.startswith(opening.mark) and (self.alone or self.mark[0] == "`")

    def code_begins(self) -> int | None:
        """Return where the code of the block that it opens begins, on its line or the next; None if it opens none."""
        language = _PYTHON.match(self.after)
        word = language.end() if language else 0
        if code := _CODE.match(self.after, word):
            return self.end + code.start("code")
        if self.mark[0] in self.after or (self.mark[0] == "~" and not self.alone):
            return None
        words = self.after[word:].strip()
        if not self.alone and words:
            return None
        # A fence before an end mark ("```</s>") opens nothing.
        return None if words.startswith("<") else self.end + len(self.after) + 1


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag around a model's reasoning, opening or closing."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class End:
    """A place where a block may end, and where reading continues if it does."""

    place: int
    resume: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block and its possible ends, the most trusted first (none: it is cut off).

    `certain`: no other end is possible. `doubtful`: its opening may not be one, but an end, or words (no language is
    named), or a quotation around the block (shorter fences are inside). `last`: the end to take if the code parses with
    none of `ends`; unless `closed` it is where the block is cut off.
    """

    opening: Fence
    begin: int
    last: End
    ends: tuple[End, ...] = ()
    certain: bool = False
    doubtful: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class _Lexed:
    """What lexing found: the first fence that ends the block (None: there is none up to `reach`), doubtful ends before
    it by their kind, where the comment that holds one of them ends, and whether shorter fences are inside."""

    fence: Fence | None
    reach: int
    doubtful: Mapping[str, End]
    comment_ends: int
    nested: bool


class Scanner:
    """Reads one text, each time from the position it is given."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._patience = PATIENCE

    def next(self, position: int) -> Block | Tag | None:
        """Return the next block or reasoning tag at or after `position`, None if there is none."""
        while self._patience and position < len(self._text):
            found = _OUTSIDE.match(self._text, position)
            if found is None or found.lastgroup is None:
                position = found.end() if found else len(self._text)
                continue
            if found["tag"]:
                return Tag(found["tag"], *found.span("tag"))
            fence = self._fence(*found.span("fence"), position)
            begin = fence.code_begins()
            if begin is not None:
                return self._block(fence, begin)
            # Two fences on one line, ```as here```, quote something and open no block.
            other = fence.after.find(fence.mark)
            position = fence.end + (other + len(fence.mark) if other >= 0 else 0)
        return None

    def _block(self, opening: Fence, begin: int) -> Block:
        lexed = self._lex(opening, begin)
        fence, doubtful = lexed.fence, list(lexed.doubtful.values())
        plain = _plain(opening.mark).search(self._text, begin, lexed.reach)
        ends = [End(fence.begin, fence.begin if fence.names_language else fence.end)] if fence else []
        ends += [End(plain.start(), plain.end())] if plain else []
        surely = fence is not None and not fence.names_language
        closed = surely or plain is not None
        # A comment as the last line of code hides the fence behind it.
        hidden = "comment" in lexed.doubtful and self._text[lexed.comment_ends : lexed.reach].isspace()
        return Block(
            opening,
            begin,
            ends[-1] if closed else End(lexed.reach, begin),
            tuple([*doubtful, *ends] if hidden else [*ends, *doubtful]),
            certain=surely and not plain and not doubtful and not lexed.nested,
            doubtful=lexed.nested or not opening.after.strip(),
            closed=closed,
        )

    def _lex(self, opening: Fence, begin: int) -> _Lexed:
        doubtful: dict[str, End] = {}
        nested, comment_ends, reach = False, begin, len(self._text)
        for lexeme in _INSIDE.finditer(self._text, begin):
            kind = lexeme.lastgroup
            if kind in (None, "long", "short"):
                continue
            start, end = lexeme.span(kind)
            if kind == "endless":  # broken code; where reasoning ends, so does its last block
                over = _OVER.search(self._text, end)
                reach = over.start() if over else reach
                break
            if kind == "comment":
                if behind := _IN_COMMENT.search(lexeme[kind]):
                    doubtful[kind], comment_ends = End(start + behind.start(), start + behind.end()), end
            elif kind == "fence":
                fence = self._fence(start, end)
                if fence.may_end(opening):
                    return _Lexed(fence, start, doubtful, comment_ends, nested)
                nested = nested or fence.alone
            elif kind == "tag":
                return _Lexed(None, start, {**doubtful, kind: End(start, start)}, comment_ends, nested)
            else:
                doubtful.setdefault(kind, End(start, end))
        self._patience -= 1
        return _Lexed(None, reach, doubtful, comment_ends, nested)

    def _fence(self, begin: int, end: int, floor: int = 0) -> Fence:
        text, left = self._text, max(floor, begin - LOOK)
        line = text.rfind("\n", left, begin) + 1 or left
        stop = text.find("\n", end, end + LOOK)
        return Fence(begin, end, text[begin:end], text[line:begin], text[end : stop if stop >= 0 else end + LOOK])


def code_of(text: str, margin: str = "") -> str:
    """Return the lines of a block as code: without leading blank lines, trailing white space, and what precedes every
    line (`margin`: what precedes the fence)."""
    lines = text.lstrip("\ufeff").split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    lines = lines[first:]
    if ">" in margin and _MARGIN.fullmatch(margin):
        lines = [line.removeprefix(margin) if line.startswith(margin) else line.lstrip(" \t>") for line in lines]
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t"))] if lines else ""
    if indent and not all(line.startswith(indent) for line in lines if line.strip()):
        indent = margin
    lines = [line.removeprefix(indent) for line in lines] if indent else lines
    return "\n".join(lines).rstrip()


@lru_cache(maxsize=64)
def _plain(mark: str) -> re.Pattern[str]:
    """Return the pattern of a fence at least as long as `mark`, alone on its line: an end by Markdown's rules."""
    return re.compile(rf"^[ \t>]*+{re.escape(mark)}{re.escape(mark[0])}*+[ \t]*+$", re.MULTILINE)
