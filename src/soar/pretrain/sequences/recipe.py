"""The recipe for sequences: how a line of the corpus becomes prompt and completion, and integers tokens."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from soar.domains.marks import BEGIN, WRITE
from soar.domains.sequences.compact import GROUP_PATTERN, LEXEMES, parts_of, term
from soar.pretrain.recipe import Recipe
from soar.pretrain.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def recipe() -> Recipe:
    """Return the recipe of sequences."""
    return Recipe(texts, _tokenizer, LEXEMES, parts_of)


def texts(line: str) -> tuple[str, str]:
    """Return prompt and completion of a line of the corpus (`soar.pretrain.sequences.generate`)."""
    row = json.loads(line)
    return BEGIN + "".join(map(term, row["terms"])) + WRITE, f" {row['program']}"


def _tokenizer(bodies: Sequence[str]) -> "PreTrainedTokenizerFast":
    del bodies  # the language is known: there is nothing to learn
    return build_tokenizer(LEXEMES, GROUP_PATTERN)
