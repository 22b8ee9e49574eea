"""A cache of recently read prompts: a new prompt that begins like one of them is read only from where they differ.

The prompts of a search repeat their task: for sampling, and then for each parent (two thirds of all prompt tokens).
Knows token ids and what a model has made of them; several threads may use it at the same time.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from soar.lm.embedded.llama import Llama
from soar.lm.embedded.prefill import Cache, Prefix, prefill

KEPT_TOKENS = 16384
"""How many tokens of prompts are kept: those of about eighty tasks."""

SHORTEST = 48
"""How many tokens the common beginning of two prompts must have for the second to reuse it."""


@dataclass(frozen=True)
class _Known:
    prompt: tuple[int, ...]
    prefix: Prefix


class Prefixes:
    """The most recently used prompts, by their first tokens; of those that begin alike, the first one read."""

    def __init__(self, model: Llama) -> None:
        self._model = model
        self._known: OrderedDict[tuple[int, ...], _Known] = OrderedDict()
        self._tokens = 0
        self._lock = threading.Lock()

    def read(self, prompts: Sequence[tuple[int, ...]]) -> list[Prefix]:
        """Return each prompt's keys, values and logits."""
        known_starts = [self._known_start(prompt) for prompt in prompts]
        # Without the lock, so that threads read at once; two may read the same prompt, and `_keep` keeps one.
        found = prefill(self._model, prompts, known_starts)
        for prompt, known, prefix in zip(prompts, known_starts, found, strict=True):
            if known is None:
                self._keep(_Known(prompt, prefix))
        return found

    def _known_start(self, prompt: tuple[int, ...]) -> Cache | None:
        """Return the keys and values of a prompt's first tokens, None if no known prompt begins like it."""
        with self._lock:
            known = self._known.get(prompt[:SHORTEST])
            if known is None:
                return None
            self._known.move_to_end(prompt[:SHORTEST])
        return known.prefix.first(common(known.prompt, prompt))

    def _keep(self, known: _Known) -> None:
        """Keep a prompt unless one that begins alike is kept, and forget the least recently used ones."""
        begin = known.prompt[:SHORTEST]
        with self._lock:
            if len(begin) < SHORTEST or begin in self._known:
                return
            self._known[begin] = known
            self._tokens += len(known.prompt)
            while self._tokens > KEPT_TOKENS:
                self._tokens -= len(self._known.popitem(last=False)[1].prompt)


def common(known: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens of two prompts' common beginning can be reused: never the last one of `prompt`."""
    for place, (a, b) in enumerate(zip(known, prompt[:-1], strict=False)):
        if a != b:
            return place
    return min(len(known), len(prompt) - 1)
