"""The compact rendering: a task in a hundred or two of tokens, for the small model that ships with the package.

Written for a model that has seen nothing but this format: no words, only grids as runs, the bodies of parents and
what came of them. Reads no test output of a task. A solved example (`few_shot`) is not shown: the small model has
never seen one.
"""

import re
from collections.abc import Sequence
from typing import cast

from soar.domains.arc.grid_text import FAILED, GOT, OUT, PAIR, RIGHT, TEST, WRONG, grid_lexemes
from soar.domains.arc.grids import Grid
from soar.domains.arc.program_text import unwrap, wrap
from soar.domains.marks import BEGIN, PARENT, WRITE
from soar.protocols import Detail, Domain, Extraction, Reads
from soar.scoring import matches, verdicts
from soar.types import Example, Failure, Output, Program, Task

MAX_TEST_LEXEMES = 160
"""How long the test input may be to be shown."""

_WHOLE = re.compile(r"^(def transform\b|transform\s*[:=])", re.MULTILINE)


class Compact:
    """Renders ARC tasks as plain text; a completion is the body of ``transform``, or a whole program.

    `max_task_lexemes` is how long the task's part of a prompt may be: the smallest pairs are kept until it fits.
    """

    writes: Reads = "text"
    max_task_lexemes = 480

    def __init__(self, domain: Domain | None = None) -> None:
        del domain  # the text of grids is this rendering's own

    def sampling(self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a program from scratch."""
        del few_shot
        return "".join([BEGIN, *self._task(task, detail), WRITE])

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a better program than `parents`: the task, then each parent's body with
        what it produced on every pair shown, relative to what was wanted."""
        parts = [BEGIN, *self._task(task, detail)]
        for parent in parents:
            parts += [PARENT, self.completion(parent.code), "\n", *self._feedback(task, parent, detail)]
        return "".join([*parts, WRITE])

    def completion(self, code: str) -> str:
        """Return the program's body where it has the usual frame, else the program."""
        body = unwrap(code)
        return code if body is None or not body.strip() or _WHOLE.search(body) else body

    def extract(self, text: str) -> Extraction:
        """Return the program of a completion: itself if it defines ``transform``, else framed as its body."""
        if not text.strip():
            return Extraction(reason="empty")
        return Extraction(code=text if _WHOLE.search(text) else wrap(text))

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details whose task part has a reasonable length, most pairs first; at least one pair."""
        counts = range(len(task.train), 0, -1)
        short = [count for count in counts if len(self._task(task, Detail(pairs=count))) <= self.max_task_lexemes]
        pairs = [Detail() if count == len(task.train) else Detail(pairs=count) for count in short or [1]]
        return [*pairs, Detail(pairs=1, feedback="verdicts"), Detail(pairs=1, feedback="none")]

    def _output(self, example: Example) -> list[str]:
        """Return a wanted output, relative to its input."""
        return grid_lexemes(cast(Grid, example.output), cast(Grid, example.input))

    def _task(self, task: Task, detail: Detail) -> list[str]:
        """Return the pairs shown and the first test input, unless that is long."""
        test = [TEST, *grid_lexemes(cast(Grid, task.test[0].input))]
        parts: list[str] = []
        for index in self._shown(task, detail):
            example = task.train[index]
            parts += [PAIR, *grid_lexemes(cast(Grid, example.input)), OUT, *self._output(example)]
        return [*parts, *test] if len(test) <= MAX_TEST_LEXEMES else parts

    def _shown(self, task: Task, detail: Detail) -> list[int]:
        """Return the indices of the pairs shown, in the task's order: all, or the ones of the fewest lexemes."""
        if detail.pairs is None or detail.pairs >= len(task.train):
            return list(range(len(task.train)))
        sizes = [len(grid_lexemes(cast(Grid, e.input))) + len(self._output(e)) for e in task.train]
        return sorted(sorted(range(len(sizes)), key=lambda index: sizes[index])[: detail.pairs])

    def _feedback(self, task: Task, parent: Program, detail: Detail) -> list[str]:
        """Return what the parent did on each pair shown; where all are right, also what it made of the test input."""
        if detail.feedback == "none":
            return []
        parts: list[str] = []
        for index in self._shown(task, detail):
            parts += _verdict(task.train[index], parent.train[index], detail)
        if all(verdicts(task.train, parent.train)) and detail.feedback == "full":
            parts += _produced(TEST, parent.test[0], cast(Grid, task.test[0].input))
        return parts


def _verdict(example: Example, output: Output, detail: Detail) -> list[str]:
    if matches(output, example.output):
        return [RIGHT]
    if detail.feedback == "full" or isinstance(output, Failure):
        return _produced(GOT, output, cast(Grid, example.output))
    return [WRONG]


def _produced(mark: str, output: Output, reference: Grid) -> list[str]:
    return [FAILED] if isinstance(output, Failure) else [mark, *grid_lexemes(cast(Grid, output), reference)]
