"""Which of all tasks' examples are learnt from, seen together: one task's search may have solved another task.

Knows rows and prompts; does not know how a task's own programs were chosen (`soar.learning.select`).
"""

import json
from collections.abc import Sequence

from numpy.random import Generator

from soar.learning.examples import Row, own_prompt
from soar.learning.settings import LearningSettings
from soar.protocols import Rendering
from soar.types import Task


def rows_together(
    settings: LearningSettings, rendering: Rendering, rows: Sequence[Row], tasks: Sequence[Task], rng: Generator
) -> list[Row]:
    """Return the rows of all tasks that stay: one per prompt where that is asked for, and at most `most_examples`.

    A row whose prompt is that of a task solves it on its shown pairs, whichever task's search wrote the program, and is
    worth most: none is left out, and where prompts are made one, each is taught `true_copies` times.
    """
    kept = list(rows) if settings.per_prompt == "all" else shortest_per_prompt(rows)
    if settings.most_examples is None and settings.per_prompt == "all":
        return kept
    asked = {json.dumps(own_prompt(rendering, task)) for task in tasks}
    solving = [row for row in kept if json.dumps(row["prompt"]) in asked]
    others = [row for row in kept if json.dumps(row["prompt"]) not in asked]
    if settings.most_examples is not None:
        room = max(0, settings.most_examples - len(solving))
        others = [others[place] for place in sorted(rng.permutation(len(others))[:room])]
    return solving * (settings.true_copies if settings.per_prompt == "shortest" else 1) + others


def shortest_per_prompt(rows: Sequence[Row]) -> list[Row]:
    """Return of the rows with one and the same prompt that with the shortest completion, the first of them."""
    best: dict[str, Row] = {}
    for row in rows:
        prompt = json.dumps(row["prompt"])
        if prompt not in best or _length(row) < _length(best[prompt]):
            best[prompt] = row
    return list(best.values())


def _length(row: Row) -> int:
    return len(json.dumps(row["completion"]))
