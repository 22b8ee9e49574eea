"""Decoding many samples of many prompts at once, each prompt's cache kept once.

A sample attends to its prompt, which its siblings share, and to its own tokens. New prompts join between any two
tokens, finished samples leave. Knows token ids; knows neither text nor threads. What is compiled is in `kernels`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from soar.lm import kernels
from soar.lm.draw import draw, numbers, points
from soar.lm.llama import Llama, Prefix, normalize_heads, prefill, turns

SLOTS = 64
"""By how many samples the cache of samples' own tokens grows."""


@dataclass(frozen=True)
class Job:
    """One sample to decode: its prompt's token ids, its seed, and how its tokens are drawn. ``tag`` is the caller's."""

    prompt: tuple[int, ...]
    seed: int
    temperature: float
    min_p: float
    max_new_tokens: int
    tag: Any = None


@dataclass(frozen=True)
class Done:
    """A decoded sample: its tokens without the one that ended it, and whether it ended itself ("stop") or was cut."""

    job: Job
    tokens: tuple[int, ...]
    finish_reason: str


@dataclass(eq=False)
class _Row:
    """A sample being decoded: its place in the cache of the samples' own tokens, the point at which its next token is
    drawn, and the probability of its tokens so far, `width`."""

    job: Job
    prefix: Prefix
    slot: int
    point: float
    width: float = 1.0
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Step:
    """What is the same in all layers of a step: for each row the sine and cosine of its position, its place in the
    cache and how many tokens stand there; and for each prompt which rows are its samples."""

    turn: tuple[NDArray[np.float32], NDArray[np.float32]]
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    groups: list[tuple[slice, Prefix]]


class SharedPrefixDecoder:
    """A batch of samples in the course of being decoded. Use from one thread. Rows of one prompt stand together."""

    def __init__(self, model: Llama, end: int) -> None:
        self._model = model
        self._end = end
        self._rows: list[_Row] = []
        self._free: list[int] = []
        empty = np.empty((0, model.kv_heads, 0, model.head_size), np.float32)
        self._own = [(empty, empty) for _ in model.layers]

    @property
    def active(self) -> int:
        """How many samples are being decoded."""
        return len(self._rows)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the cache of prompts holds."""
        return sum(prefix.length for _, prefix in _groups(self._rows))

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Give up the samples whose job is `unwanted`."""
        self._leave([row for row in self._rows if unwanted(row.job)])

    @torch.inference_mode()
    def admit(self, jobs: Sequence[Job]) -> list[Done]:
        """Read the jobs' prompts, each distinct one once, and draw every job's first token.

        Returns the jobs that are finished by that token.
        """
        prompts = sorted(dict.fromkeys(job.prompt for job in jobs), key=len)
        order = {prompt: place for place, prompt in enumerate(prompts)}
        prefixes = prefill(self._model, prompts)
        self._make_room(len(jobs), max((job.max_new_tokens for job in jobs), default=0))
        begun = points(np.array([job.seed for job in jobs], dtype=np.uint64)).tolist()
        fresh = [
            _Row(job, prefixes[order[job.prompt]], self._free.pop(), point)
            for job, point in zip(jobs, begun, strict=True)
        ]
        fresh.sort(key=lambda row: order[row.job.prompt])
        self._rows += fresh
        return self._draw(fresh, torch.stack([row.prefix.logits for row in fresh])) if fresh else []

    @torch.inference_mode()
    def step(self) -> list[Done]:
        """Decode one more token of every sample and return the samples that it finished."""
        if not self._rows:
            return []
        model, step = self._model, self._begin()
        hidden = functional.embedding(torch.tensor([row.tokens[-1] for row in self._rows]), model.embedding)
        for index, own in enumerate(self._own):
            _layer(model, index, hidden, step, own)
        return self._draw(self._rows, functional.linear(_normalized(model, hidden, model.norm), model.head))

    def _begin(self) -> _Step:
        counts = np.array([len(row.tokens) - 1 for row in self._rows])
        lengths = np.array([row.prefix.length for row in self._rows])
        slots = np.array([row.slot for row in self._rows])
        return _Step(turns(self._model, lengths + counts), slots, counts, list(_groups(self._rows)))

    def _draw(self, rows: Sequence[_Row], scores: Tensor) -> list[Done]:
        """Draw the next token of each row; the samples that it finished leave and are returned."""
        jobs = [row.job for row in rows]
        seeds = np.array([job.seed for job in jobs], dtype=np.uint64)
        places = np.array([len(row.tokens) for row in rows], dtype=np.uint64)
        at = numbers(np.array([row.point for row in rows]), np.array([row.width for row in rows]), seeds, places)
        temperatures = np.array([job.temperature for job in jobs], np.float32)
        drawn = draw(scores.numpy(), at, temperatures, np.array([job.min_p for job in jobs], np.float32))
        done, left = [], []
        for row, token, point, share in zip(rows, *(each.tolist() for each in drawn), strict=True):
            row.point, row.width = point, row.width * share
            row.tokens.append(token)
            stopped = token == self._end
            if stopped or len(row.tokens) == row.job.max_new_tokens:
                tokens = tuple(row.tokens[:-1] if stopped else row.tokens)
                done.append(Done(row.job, tokens, "stop" if stopped else "length"))
                left.append(row)
        self._leave(left)
        return done

    def _leave(self, rows: Sequence[_Row]) -> None:
        gone = set(map(id, rows))
        self._free += [row.slot for row in rows]
        self._rows = [row for row in self._rows if id(row) not in gone]

    def _make_room(self, rows: int, columns: int) -> None:
        """Have at least `rows` free places in the samples' own cache, all of at least `columns` tokens."""
        there, _, capacity, _ = self._own[0][0].shape
        more = -(-max(rows - len(self._free), 0) // SLOTS) * SLOTS
        if more or columns > capacity:
            self._free += range(there, there + more)
            wanted = (there + more, max(columns, capacity))
            self._own = [(_larger(keys, *wanted), _larger(values, *wanted)) for keys, values in self._own]


def _groups(rows: Sequence[_Row]) -> Iterator[tuple[slice, Prefix]]:
    """Yield each prompt with the rows that are its samples."""
    start = 0
    for _, members in groupby(rows, key=lambda row: id(row.prefix)):
        found = list(members)
        yield slice(start, start + len(found)), found[0].prefix
        start += len(found)


def _larger(cache: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return a copy of a cache ``(rows, kv heads, columns, head size)`` with more rows or columns."""
    found = np.empty((rows, cache.shape[1], columns, cache.shape[3]), np.float32)
    found[: cache.shape[0], :, : cache.shape[2]] = cache
    return found


def _layer(
    model: Llama,
    index: int,
    hidden: Tensor,
    step: _Step,
    own: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Add to ``hidden`` ``(rows, width)``, one new token per row, what one layer makes of it."""
    layer = model.layers[index]
    states = functional.linear(_normalized(model, hidden, layer.attention_norm), layer.qkv)
    normalize_heads(model, layer, states)
    attended = torch.empty((len(hidden), model.heads * model.head_size))
    arrays, out, (cosine, sine) = states.numpy(), attended.numpy(), step.turn
    for rows, prefix in step.groups:
        turn, slots, counts = (cosine[rows], sine[rows]), step.slots[rows], step.counts[rows]
        kernels.attend(arrays[rows], turn, prefix.layers[index], own, slots, counts, out[rows])
    hidden.addmm_(attended, layer.out.t())
    gate_up = functional.linear(_normalized(model, hidden, layer.mlp_norm), layer.gate_up)
    gated = torch.empty((len(hidden), gate_up.shape[1] // 2))
    kernels.gate(gate_up.numpy(), gated.numpy())
    hidden.addmm_(gated, layer.down.t())


def _normalized(model: Llama, hidden: Tensor, weight: Tensor) -> Tensor:
    out = torch.empty_like(hidden)
    kernels.normalize(hidden.numpy(), weight.numpy(), model.epsilon, out.numpy())
    return out
