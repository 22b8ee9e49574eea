"""A model whose attention cannot be replaced: every sample gets a copy of the prompt's cache.

The same members as `shared.SharedPrefix`, slower and with more memory. Knows forward passes and token ids. Nothing is
cached between prompts. Samples depend, by rounding, on what else is in flight.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Cached:
    """A prompt that was read: its tokens, the model's own cache, and the logits of the next token."""

    tokens: tuple[int, ...]
    cache: Any
    logits: Tensor

    @property
    def length(self) -> int:
        """How many tokens the prompt has."""
        return len(self.tokens)


@dataclass(eq=False)
class Copies:
    """Samples of one prompt side by side, each with a copy of the prompt's cache and `count` tokens of its own."""

    prefix: Cached
    rows: int
    cache: Any
    count: int = 0

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only some of the rows."""
        self.cache.reorder_cache(torch.tensor(rows))
        self.rows = len(rows)


class Repeated:
    """A model with its own attention. Use from one thread."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @torch.inference_mode()
    def read(self, prompt: tuple[int, ...]) -> Cached:
        """Return a prompt's cache and logits."""
        given = torch.tensor([prompt], device=self._model.device)
        read = self._model(input_ids=given, use_cache=True, logits_to_keep=1)
        return Cached(prompt, read.past_key_values, read.logits[0, -1])

    @torch.inference_mode()
    def begin(self, prefix: Cached, rows: int) -> Copies:
        """Return the state of this many new samples of a prompt."""
        cache = deepcopy(prefix.cache)
        cache.reorder_cache(torch.zeros(rows, dtype=torch.long))
        return Copies(prefix, rows, cache)

    @torch.inference_mode()
    def step(self, groups: Sequence[Copies], tokens: Sequence[int]) -> Tensor:
        """Append a token to every row of the groups; return the logits of the next ones, ``(rows, vocabulary)``."""
        given = torch.tensor(tokens, device=self._model.device)[:, None].split([group.rows for group in groups])
        found = []
        for group, each in zip(groups, given, strict=True):
            found.append(self._model(input_ids=each, past_key_values=group.cache, use_cache=True).logits[:, -1])
            group.count += 1
        return torch.cat(found)

    def forget(self) -> None:
        """Do nothing: no prompt is cached."""
