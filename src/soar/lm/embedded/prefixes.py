"""Prompts that were read lately, so that what a new one begins like is not read again.

The prompts of a search say the same of a task again and again: to sample, and then once for each parent. Knows token
ids and what a model has made of them; several threads may ask at the same time.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from soar.lm.embedded.llama import Llama, Prefix, extend, prefill

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
        """Return what each prompt leaves behind; neighbours should be about as long."""
        found = [self._find(prompt) for prompt in prompts]
        new = [prompt for prompt, known in zip(prompts, found, strict=True) if known is None]
        fresh = iter(prefill(self._model, new))
        prefixes = []
        for prompt, known in zip(prompts, found, strict=True):
            if known is None:
                prefixes.append(next(fresh))
                self._keep(_Known(prompt, prefixes[-1]))
            else:
                prefixes.append(extend(self._model, known.prefix, common(known.prompt, prompt), prompt))
        return prefixes

    def _find(self, prompt: tuple[int, ...]) -> _Known | None:
        with self._lock:
            known = self._known.get(prompt[:SHORTEST])
            if known is not None:
                self._known.move_to_end(prompt[:SHORTEST])
            return known

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
