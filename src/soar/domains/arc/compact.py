"""The compact rendering: a task in one or two hundred tokens, for the small model that ships with the package.

Made for a model that has seen nothing but this format: no words, only grids as runs, the bodies of parents and
what they did. Reads no test output of a task. A solved example (`few_shot`) is not shown: the small model has
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
"""The longest test input that is shown, in lexemes."""

_WHOLE = re.compile(r"^(def transform\b|transform\s*[:=])", re.MULTILINE)


class Compact:
    """Renders ARC tasks as plain text; a completion is the body of ``transform``, or a whole program.

    `max_task_lexemes` limits the task's part of a prompt: the largest pairs are left out until it fits.
    """

    writes: Reads = "text"
    # With 240, fewer held-out tasks were solved (docs/model_card.md).
    max_task_lexemes = 480

    def __init__(self, domain: Domain | None = None) -> None:
        del domain  # this rendering writes grids in its own way

    def sampling(self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a program from scratch."""
        del few_shot
        return "".join([BEGIN, *self._task(task, detail), WRITE])

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> str:
        """Return the prompt that asks for a better program than `parents`: the task, then each parent's body with
        what it produced on every pair shown, relative to the expected output."""
        parts = [BEGIN, *self._task(task, detail)]
        for parent in parents:
            parts += [PARENT, self.completion(parent.code), "\n", *self._feedback(task, parent, detail)]
        return "".join([*parts, WRITE])

    def completion(self, code: str) -> str:
        """Return the body of a program in the usual frame, else the whole program."""
        body = unwrap(code)
        # `extract` reads a blank body as empty, and one that defines ``transform`` as a whole program.
        return code if body is None or not body.strip() or _WHOLE.search(body) else body

    def extract(self, text: str) -> Extraction:
        """Return the program of a completion: its text if that defines ``transform``, else its text in the frame."""
        if not text.strip():
            return Extraction(reason="empty")
        return Extraction(code=text if _WHOLE.search(text) else wrap(text))

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details whose task part is within `max_task_lexemes`, most pairs first; at least one pair."""
        counts = range(len(task.train), 0, -1)
        short = [count for count in counts if len(self._task(task, Detail(pairs=count))) <= self.max_task_lexemes]
        pairs = [Detail() if count == len(task.train) else Detail(pairs=count) for count in short or [1]]
        return [*pairs, Detail(pairs=1, feedback="verdicts"), Detail(pairs=1, feedback="none")]

    def _output(self, example: Example) -> list[str]:
        """Return an expected output, relative to its input."""
        # Written as they are, outputs made the model solve fewer held-out tasks (docs/model_card.md).
        return grid_lexemes(cast(Grid, example.output), cast(Grid, example.input))

    def _task(self, task: Task, detail: Detail) -> list[str]:
        """Return the pairs shown and the first test input, unless it is too long."""
        test = [TEST, *grid_lexemes(cast(Grid, task.test[0].input))]
        parts: list[str] = []
        for index in self._shown(task, detail):
            example = task.train[index]
            parts += [PAIR, *grid_lexemes(cast(Grid, example.input)), OUT, *self._output(example)]
        return [*parts, *test] if len(test) <= MAX_TEST_LEXEMES else parts

    def _shown(self, task: Task, detail: Detail) -> list[int]:
        """Return the indices of the pairs shown, in the task's order: all, or those of the fewest lexemes."""
        if detail.pairs is None or detail.pairs >= len(task.train):
            return list(range(len(task.train)))
        sizes = [len(grid_lexemes(cast(Grid, e.input))) + len(self._output(e)) for e in task.train]
        return sorted(sorted(range(len(sizes)), key=lambda index: sizes[index])[: detail.pairs])

    def _feedback(self, task: Task, parent: Program, detail: Detail) -> list[str]:
        """Return what the parent did on each pair shown; if all are right, also its first test output."""
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
