"""Reads prompts, several in one pass and each from where it is not known yet, and keeps what decoding starts from.

Knows token ids and a model; knows neither which prompts are known (`prefixes`) nor what follows them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from soar.lm.embedded import kernels
from soar.lm.embedded.llama import Llama, finish, logits, project, rotations
from soar.lm.embedded.tensors import Floats

GROUP_TOKENS = 1024
"""How many tokens of prompts one pass reads: the results of more would not fit the processor's cache."""

QUERY_BLOCK = 64
"""How many tokens attend at a time: their scores fit the processor's cache, and few are spent on later tokens."""

Cache: TypeAlias = tuple[tuple[Floats, Floats], ...]
"""Keys and values of some tokens, ``(kv heads, head size, tokens)`` each, per layer."""


@dataclass(frozen=True)
class Prefix:
    """A prompt that was read: its keys and values, and the logits ``(vocabulary,)`` of the next token."""

    layers: Cache
    logits: Floats

    @property
    def length(self) -> int:
        """How many tokens the prompt has."""
        return self.layers[0][0].shape[-1]

    def first(self, count: int) -> Cache:
        """Return the keys and values of the first `count` tokens."""
        return tuple((keys[..., :count], values[..., :count]) for keys, values in self.layers)


def prefill(
    model: Llama, prompts: Sequence[Sequence[int]], known: Sequence[Cache | None] | None = None
) -> list[Prefix]:
    """Read prompts of any lengths. `known` holds the keys and values of each one's first tokens, if they are known; at
    least one token of each must remain to be read."""
    caches = [cache or _nothing(model) for cache in known or [None] * len(prompts)]
    fresh = [prompt[_tokens(cache) :] for prompt, cache in zip(prompts, caches, strict=True)]
    return [
        prefix
        for group in grouped([len(tokens) for tokens in fresh], GROUP_TOKENS)
        for prefix in _read(model, fresh[group], caches[group])
    ]


def grouped(lengths: Sequence[int], total: int) -> Iterator[slice]:
    """Yield slices of neighbours whose lengths add up to at most `total`, or that are a single one."""
    start = held = 0
    for place, length in enumerate(lengths):
        if place > start and held + length > total:
            yield slice(start, place)
            start, held = place, 0
        held += length
    if lengths:
        yield slice(start, len(lengths))


def _nothing(model: Llama) -> Cache:
    empty = np.empty((model.kv_heads, model.head_size, 0), np.float32)
    return ((empty, empty),) * len(model.layers)


def _tokens(cache: Cache) -> int:
    return cache[0][0].shape[-1]


def _read(model: Llama, prompts: Sequence[Sequence[int]], known: Sequence[Cache]) -> list[Prefix]:
    """Read what is new of each prompt after what is known of it, all in one pass: the rows are the tokens of one prompt
    after the other."""
    ends = np.cumsum([len(prompt) for prompt in prompts])
    parts = [slice(end - len(prompt), end) for end, prompt in zip(ends.tolist(), prompts, strict=True)]
    places = [np.arange(len(prompt)) + _tokens(cache) for prompt, cache in zip(prompts, known, strict=True)]
    cosine, sine = rotations(model, np.concatenate(places))
    hidden = model.embedding[np.concatenate(prompts)]
    caches: list[list[tuple[Floats, Floats]]] = [[] for _ in prompts]
    for index, layer in enumerate(model.layers):
        states = project(model, layer, hidden)
        attended = np.empty((len(hidden), model.heads * model.head_size), np.float32)
        last = layer is model.layers[-1]  # of it, only the last token of each prompt is needed
        for rows, before, cache in zip(parts, known, caches, strict=True):
            cache.append((_longer(before[index][0], rows), _longer(before[index][1], rows)))
            kernels.rotate_and_cache(states[rows], (cosine[rows], sine[rows]), cache[-1])
            _attend(model, states[rows], cache[-1], attended[rows], only_last=last)
        if last:
            hidden, attended = hidden[ends - 1], attended[ends - 1]
        finish(model, layer, hidden, attended)
    scores = logits(model, hidden)
    return [Prefix(tuple(cache), scores[row]) for row, cache in enumerate(caches)]


def _longer(known: Floats, rows: slice) -> Floats:
    """Return known keys or values ``(kv heads, head size, tokens)`` with room for those of new tokens."""
    heads, size, tokens = known.shape
    found = np.empty((heads, size, tokens + rows.stop - rows.start), np.float32)
    found[..., :tokens] = known
    return found


def _attend(model: Llama, states: Floats, cache: tuple[Floats, Floats], out: Floats, *, only_last: bool) -> None:
    """Write to ``out`` ``(tokens, heads · size)`` what a prompt's new tokens (its last ones) attend to, given their
    rotated and scaled queries in ``states``; or only the last token's. Each sees those before it and itself."""
    (keys, values), tokens, size = cache, len(states), model.head_size
    known = keys.shape[-1] - tokens
    queries, attended = (
        each.reshape(tokens, model.kv_heads, -1, size).transpose(1, 2, 0, 3)
        for each in (states[:, : model.heads * size], out)
    )
    for first in range(tokens - 1 if only_last else 0, tokens, QUERY_BLOCK):
        asking = slice(first, min(first + QUERY_BLOCK, tokens))
        seen = known + asking.stop
        scores = queries[:, :, asking] @ keys[:, None, :, :seen]
        kernels.softmax(scores.reshape(model.heads, -1, seen), known + first + 1)
        np.matmul(scores, values[:, None, :, :seen].swapaxes(-1, -2), out=attended[:, :, asking])
