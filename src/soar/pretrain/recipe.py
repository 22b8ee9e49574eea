"""What training a small model needs to know about its domain: everything that differs between domains.

Knows only what the members mean; the recipes are in `soar.pretrain.arc` and `soar.pretrain.sequences`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PromptWeights: TypeAlias = "Callable[[NDArray[np.int64], PreTrainedTokenizerBase], NDArray[np.float32]]"
"""The weight that each token of padded rows ``(rows, longest)`` would have in a prompt, in the same shape."""

RECIPES = ("arc", "sequences")
"""The domains that have a small model, each with a module ``recipe`` in its folder here."""


def no_weights(ids: NDArray[np.int64], tokenizer: "PreTrainedTokenizerBase") -> NDArray[np.float32]:
    """Return zeros: no token of a prompt counts."""
    del tokenizer
    return np.zeros(ids.shape, np.float32)


@dataclass(frozen=True)
class Recipe:
    """One domain's part in training a small model. It can be pickled, since other processes encode shards.

    `texts` turns a line of the corpus into prompt and completion. `tokenizer` makes the tokenizer from the completions
    of the first shards. `lexemes` are the domain's tokens; the vector of each starts as the sum of those of its
    `parts_of`. `prompt_weights` are the weights of a prompt's tokens as targets; those of a completion count 1.
    """

    texts: Callable[[str], tuple[str, str]]
    tokenizer: "Callable[[Sequence[str]], PreTrainedTokenizerFast]"
    lexemes: tuple[str, ...]
    parts_of: Callable[[str], Sequence[str]]
    prompt_weights: PromptWeights = no_weights


def open_recipe(domain: str) -> Recipe:
    """Return the recipe of a domain that has a small model."""
    return import_module(f"soar.pretrain.{domain}.recipe").recipe()
