"""The compact rendering of sequences: a task in about thirty tokens, for a small model that has seen nothing else.

A prompt is the shown terms, a completion an expression of `soar.domains.sequences.language`. Integers are written in
groups of three digits, each group one token. A solved example (`few_shot`) is not shown: the small model has never seen
one.
"""

from collections.abc import Sequence
from typing import cast

from soar.domains.marks import BEGIN, PARENT, WRITE
from soar.domains.sequences.language import OPERATORS, prefix, program
from soar.protocols import Detail, Domain, Extraction, Reads
from soar.types import Example, Failure, Output, Program, Task, Value

MINUS, FAILED, GOT = "-", " failed", " got"
GROUP_PATTERN = r"-| [0-9]{1,3}|_[0-9]{3}| [a-z]+2?"
"""A regular expression that splits prompts and completions into their lexemes."""

LEXEMES: tuple[str, ...] = (
    MINUS,
    FAILED,
    GOT,
    *(f" {n}" for n in range(1000)),
    *(f"_{n:03}" for n in range(1000)),
    " x",
    " y",
    *(f" {word}" for word in OPERATORS),
)
"""Every lexeme of a prompt and a completion, each one token; a constant is the same token as a term of that size."""

MOST_LEXEMES = 240
"""The most lexemes of a prompt's terms; the last terms are left out until the others fit."""


def term(value: Value) -> str:
    """Return an integer as text: ``- 12_345``."""
    assert isinstance(value, int)
    return f"{MINUS if value < 0 else ''} {abs(value):_}"


def parts_of(lexeme: str) -> list[str]:
    """Return the parts whose vectors make up a lexeme's vector before training: for a group of digits whether it is the
    first, its digits and its remainders, so that what is learnt about one number carries over to others."""
    digits = lexeme[1:]
    if not digits.isdigit():
        return [lexeme]
    value, kind = int(digits), lexeme[0]
    places = [f"{kind} {len(digits)} {place} {digit}" for place, digit in enumerate(digits)]
    return [f"{kind} {len(digits)}", *places, *(f"{kind} mod {m} is {value % m}" for m in (2, 3, 5, 7, 11, 13))]


class Compact:
    """Renders sequences as plain text; a completion is an expression, or a whole program."""

    writes: Reads = "text"

    def __init__(self, domain: Domain | None = None) -> None:
        del domain  # this rendering writes integers in its own way

    def sampling(self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a program from scratch."""
        del few_shot
        return f"{BEGIN}{self._terms(task, detail)}{WRITE}"

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a better program than `parents`: the text of each and the terms it gives.
        The shipped model was not trained on such prompts."""
        shown = [PARENT + self.completion(parent.code) + self._got(task, parent, detail) for parent in parents]
        return f"{BEGIN}{self._terms(task, detail)}{''.join(shown)}{WRITE}"

    def completion(self, code: str) -> str:
        """Return the expression of a program in the language, else the program itself."""
        text = prefix(code)
        return code if text is None else f" {text}"

    def extract(self, text: str) -> Extraction:
        """Return the program of a completion: its text if that defines ``transform``, else its expression's program."""
        if not text.strip():
            return Extraction(reason="empty")
        if "def transform" in text:
            return Extraction(code=text)
        try:
            return Extraction(code=program(text))
        except ValueError:
            return Extraction(reason="no-code")

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details whose terms are within `MOST_LEXEMES`, most terms first; at least one term."""
        counts = range(len(task.train), 0, -1)
        sizes = [len(term(example.output)) for example in in_order(task)]
        # A full lexeme, a group of three digits, has four characters.
        short = [count for count in counts if sum(sizes[:count]) <= 4 * MOST_LEXEMES]
        pairs = [Detail() if count == len(task.train) else Detail(pairs=count) for count in short or [1]]
        return [*pairs, Detail(pairs=1, feedback="none")]

    def _terms(self, task: Task, detail: Detail) -> str:
        return "".join(term(example.output) for example in in_order(task)[: detail.pairs])

    def _got(self, task: Task, parent: Program, detail: Detail) -> str:
        if detail.feedback == "none":
            return ""
        outputs = {example.input: output for example, output in zip(task.train, parent.train, strict=True)}
        return GOT + "".join(_output(outputs[example.input]) for example in in_order(task)[: detail.pairs])


def in_order(task: Task) -> list[Example]:
    """Return the training pairs sorted by index: learning shuffles pairs."""
    return sorted(task.train, key=lambda example: cast(int, example.input))


def _output(output: Output) -> str:
    return FAILED if isinstance(output, Failure) else term(output)
