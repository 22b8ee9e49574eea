"""The recipe for ARC: how an exercise becomes prompt and completion, what the tokens are and how much they count."""

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soar.domains.arc.compact import Compact
from soar.domains.arc.grid_text import GRID_LEXEMES, GRID_PATTERN, OUT, PAIR, TEST
from soar.domains.marks import PARENT, WRITE
from soar.pretrain.arc.corpus import Exercise, from_line
from soar.pretrain.recipe import Recipe
from soar.pretrain.tokenizer import token_id, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GRID = 0.1
"""The weight in the loss of the tokens of expected outputs in a prompt."""

PART = re.compile(r"[0-9]+|\n|[^0-9\n]+")


def recipe(rendering: Compact = Compact()) -> Recipe:
    """Return ARC's recipe."""
    return Recipe(
        texts=partial(_texts_of_line, rendering=rendering),
        tokenizer=partial(train_tokenizer, domain=GRID_LEXEMES, pattern=GRID_PATTERN),
        lexemes=GRID_LEXEMES,
        parts_of=PART.findall,
        prompt_weights=grid_weights,
    )


def texts(exercise: Exercise, rendering: Compact) -> tuple[str, str]:
    """Return prompt and completion: a refinement of its parent where it has one, else a sample."""
    task, parent = exercise.task().without_answers(), exercise.parent_program()
    detail = rendering.details(task)[0]
    prompt = rendering.sampling(task, None, detail) if parent is None else rendering.refinement(task, [parent], detail)
    return prompt, rendering.completion(exercise.code)


def _texts_of_line(line: str, rendering: Compact) -> tuple[str, str]:
    return texts(from_line(line), rendering)


def grid_weights(ids: NDArray[np.int64], tokenizer: "PreTrainedTokenizerBase") -> NDArray[np.float32]:
    """Return `GRID` for the tokens of expected outputs in rows ``(rows, longest)``, 0 for all others."""
    out, begin, test, parent, write = (token_id(tokenizer, token) for token in (OUT, PAIR, TEST, PARENT, WRITE))
    place = np.arange(ids.shape[1])
    marks = np.where(ids == out, 1, 0) - np.where(np.isin(ids, (begin, test, parent, write)), 1, 0)
    last = np.maximum.accumulate(np.where(marks != 0, place, 0), axis=1)
    within = (np.take_along_axis(marks, last, axis=1) == 1) & (marks == 0)
    return np.where(within, GRID, 0.0).astype(np.float32)
