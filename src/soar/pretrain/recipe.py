"""What training a small model needs to know of its domain: all that differs between one domain's and another's.

Knows the members' meaning only; ARC's recipe is in `soar.pretrain.arc`, that of sequences in `soar.pretrain.sequences`.
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
"""What each token of padded rows ``(rows, longest)`` would count if it stood in the prompt, same shape."""

RECIPES = ("arc", "sequences")
"""The domains that have a small model, each with a module ``recipe`` in its folder here."""


def no_weights(ids: NDArray[np.int64], tokenizer: "PreTrainedTokenizerBase") -> NDArray[np.float32]:
    """Return that no token of a prompt counts."""
    del tokenizer
    return np.zeros(ids.shape, np.float32)


@dataclass(frozen=True)
class Recipe:
    """One domain's part in training a small model. All of it can be pickled.

    `texts` turns a line of the corpus into prompt and completion. `tokenizer` is made from the completions of the first
    shards. `lexemes` are tokens of the domain whose vectors begin as sums of `parts_of` each. `prompt_weights` says
    what the tokens of a prompt count as targets, where those of a completion count 1.
    """

    texts: Callable[[str], tuple[str, str]]
    tokenizer: "Callable[[Sequence[str]], PreTrainedTokenizerFast]"
    lexemes: tuple[str, ...]
    parts_of: Callable[[str], Sequence[str]]
    prompt_weights: PromptWeights = no_weights


def open_recipe(domain: str) -> Recipe:
    """Return the recipe of a domain that has a small model."""
    return import_module(f"soar.pretrain.{domain}.recipe").recipe()
