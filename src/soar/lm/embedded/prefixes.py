"""Prompts that were read lately, so that what a new one begins like is not read again.

The prompts of a search say the same of a task again and again: to sample, and then once for each parent. Knows token
ids and what a model has made of them; several threads may ask at the same time.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from soar.lm.embedded.llama import Llama
from soar.lm.embedded.prefill import Cache, Prefix, prefill

KEPT_TOKENS = 16384
"""How many tokens of prompts are kept: those of eighty tasks or so."""

SHORTEST = 48
"""How many tokens two prompts must begin with in common for the second to be read from there on."""


@dataclass(frozen=True)
class _Known:
    prompt: tuple[int, ...]
    prefix: Prefix


class Prefixes:
    """The prompts read last, by what they begin with; of those that begin alike, the first."""

    def __init__(self, model: Llama) -> None:
        self._model = model
        self._known: OrderedDict[tuple[int, ...], _Known] = OrderedDict()
        self._tokens = 0
        self._lock = threading.Lock()

    def read(self, prompts: Sequence[tuple[int, ...]]) -> list[Prefix]:
        """Return what each prompt leaves behind."""
        begun = [self._begun(prompt) for prompt in prompts]
        found = prefill(self._model, prompts, begun)
        for prompt, known, prefix in zip(prompts, begun, found, strict=True):
            if known is None:
                self._keep(_Known(prompt, prefix))
        return found

    def _begun(self, prompt: tuple[int, ...]) -> Cache | None:
        """Return what is known of a prompt's first tokens, None where no known prompt begins like it."""
        with self._lock:
            known = self._known.get(prompt[:SHORTEST])
            if known is None:
                return None
            self._known.move_to_end(prompt[:SHORTEST])
        return known.prefix.first(common(known.prompt, prompt))

    def _keep(self, known: _Known) -> None:
        """Keep a prompt unless one that begins alike is there, and forget those not asked for longest."""
        begin = known.prompt[:SHORTEST]
        with self._lock:
            if len(begin) < SHORTEST or begin in self._known:
                return
            self._known[begin] = known
            self._tokens += len(known.prompt)
            while self._tokens > KEPT_TOKENS:
                self._tokens -= len(self._known.popitem(last=False)[1].prompt)


def common(known: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens two prompts begin with in common; at least the last one of `prompt` is to be read."""
    for place, (a, b) in enumerate(zip(known, prompt[:-1], strict=False)):
        if a != b:
            return place
    return min(len(known), len(prompt) - 1)
