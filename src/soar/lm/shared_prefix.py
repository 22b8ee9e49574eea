"""Decoding many samples of many prompts at once, each prompt's cache kept once.

A sample's attention is over its prompt, shared with its siblings, and over its own tokens; both parts are merged by
their log-sum-exp ("cascade" or "shared-prefix" attention: Juravsky et al. 2024, Hydragen). New prompts join between
any two tokens, finished samples leave. Knows token ids; knows neither text nor threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from soar.lm.draw import draw, uniforms
from soar.lm.llama import Layer, Llama, Prefix, finish, logits, prefill, project, rotation

DEAD_SHARE = 0.15
"""Which share of finished rows is decoded along before the batch is packed anew."""

STEP = 32
"""By how many columns the samples' own cache grows."""


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


@dataclass
class _Row:
    """A sample being decoded. ``start`` is the column of its first token in the samples' cache."""

    job: Job
    prompt: int
    start: int
    tokens: list[int] = field(default_factory=list)
    finished: bool = False


class SharedPrefixDecoder:
    """A batch of samples in the course of being decoded. Use from one thread."""

    def __init__(self, model: Llama, end: int) -> None:
        self._model = model
        self._end = end
        self._rows: list[_Row] = []
        self._prompts: list[tuple[int, ...]] = []
        self._shared: list[tuple[Tensor, Tensor]] = []
        self._own: list[tuple[Tensor, Tensor]] = []
        self._column = 0
        self._layout: _Layout | None = None

    @property
    def active(self) -> int:
        """How many samples are being decoded."""
        return sum(not row.finished for row in self._rows)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the cache of prompts holds, padding included."""
        return len(self._prompts) * max(map(len, self._prompts), default=0)

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Give up the samples whose job is `unwanted`."""
        for row in self._rows:
            row.finished |= unwanted(row.job)

    @torch.inference_mode()
    def admit(self, jobs: Sequence[Job]) -> list[Done]:
        """Read the jobs' prompts, each distinct one once, and draw every job's first token.

        Returns the jobs that are finished by that token.
        """
        prompts = sorted(dict.fromkeys(job.prompt for job in jobs), key=len)
        place = {prompt: index for index, prompt in enumerate(prompts)}
        prefix = prefill(self._model, prompts)
        ordered = sorted(jobs, key=lambda job: place[job.prompt])
        rows = [_Row(job, place[job.prompt], self._column) for job in ordered]
        done = self._draw(rows, prefix.logits[[row.prompt for row in rows]])
        self._pack(prompts, prefix, rows)
        return done

    @torch.inference_mode()
    def step(self) -> list[Done]:
        """Decode one more token of every sample and return the samples that it finished."""
        if sum(row.finished for row in self._rows) > DEAD_SHARE * len(self._rows):
            self._pack([], None, [])
        if not self._rows or self._layout is None:
            return []
        self._grow()
        tokens = torch.tensor([row.tokens[-1] for row in self._rows])
        positions = torch.tensor([len(row.job.prompt) + len(row.tokens) - 1 for row in self._rows])
        hidden = functional.embedding(tokens, self._model.embedding)
        turn = rotation(self._model, positions)
        for layer, shared, own in zip(self._model.layers, self._shared, self._own, strict=True):
            hidden = _layer(self._model, layer, hidden, turn, shared, own, self._column, self._layout)
        self._column += 1
        return self._draw(self._rows, logits(self._model, hidden))

    def _draw(self, rows: Sequence[_Row], scores: Tensor) -> list[Done]:
        """Draw the next token of each row and return the samples it finished; finished rows draw in vain."""
        jobs = [row.job for row in rows]
        seeds = np.array([job.seed for job in jobs], dtype=np.uint64)
        numbers = uniforms(seeds, np.array([len(row.tokens) for row in rows], dtype=np.uint64))
        temperatures = torch.tensor([job.temperature for job in jobs])
        drawn = draw(scores, torch.from_numpy(numbers), temperatures, torch.tensor([job.min_p for job in jobs]))
        done = []
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if row.finished:
                continue
            stopped = token == self._end
            row.tokens.append(token)
            if stopped or len(row.tokens) == row.job.max_new_tokens:
                row.finished = True
                tokens = tuple(row.tokens[:-1] if stopped else row.tokens)
                done.append(Done(row.job, tokens, "stop" if stopped else "length"))
        return done

    def _grow(self) -> None:
        """Make room for one more column in the samples' own cache."""
        if self._column == self._own[0][0].shape[2]:
            pad = (0, 0, 0, STEP)
            self._own = [(functional.pad(keys, pad), functional.pad(values, pad)) for keys, values in self._own]

    def _pack(self, prompts: Sequence[tuple[int, ...]], prefix: Prefix | None, rows: Sequence[_Row]) -> None:
        """Drop what is finished and take in new prompts and rows: rows stand in the order of their prompts."""
        kept = [index for index, row in enumerate(self._rows) if not row.finished]
        used = sorted({self._rows[index].prompt for index in kept})
        fresh = [row for row in rows if not row.finished]
        first = min((self._rows[index].start for index in kept), default=self._column)
        self._own = self._packed_own(kept, first, len(fresh))
        self._shared = self._packed_shared(used, prefix)
        renumbered = {old: new for new, old in enumerate(used)}
        for index in kept:
            self._rows[index].prompt = renumbered[self._rows[index].prompt]
        for row in fresh:
            row.prompt += len(used)
        self._rows = [self._rows[index] for index in kept] + fresh
        self._prompts = [self._prompts[index] for index in used] + list(prompts)
        for row in self._rows:
            row.start -= first
        self._column -= first
        self._layout = _Layout.of(self._rows, [len(prompt) for prompt in self._prompts]) if self._rows else None

    def _packed_own(self, kept: Sequence[int], first: int, added: int) -> list[tuple[Tensor, Tensor]]:
        """Return the samples' own cache: `kept` rows from column `first` on, then `added` empty rows."""
        model, columns = self._model, self._column - first
        capacity = (columns // STEP + 1) * STEP
        index = torch.tensor(kept, dtype=torch.long)
        packed = []
        for layer in range(len(model.layers)):
            pair = []
            for side in (0, 1):
                new = torch.zeros((len(kept) + added, model.heads, capacity, model.head_size))
                if kept:
                    old = self._own[layer][side][:, :, first : self._column]
                    new[: len(kept), :, :columns] = old.index_select(0, index)
                pair.append(new)
            packed.append((pair[0], pair[1]))
        return packed

    def _packed_shared(self, used: Sequence[int], prefix: Prefix | None) -> list[tuple[Tensor, Tensor]]:
        """Return the prompts' cache: those in `used`, then those of `prefix`, padded to the longest."""
        if prefix is None and len(used) == len(self._prompts):
            return self._shared
        lengths = [len(self._prompts[index]) for index in used]
        longest = max(lengths + (prefix.lengths if prefix else []), default=0)
        index = torch.tensor(used, dtype=torch.long)
        packed = []
        for layer in range(len(self._model.layers)):
            parts = [part.index_select(0, index) for part in self._shared[layer]] if used else [None, None]
            fresh = (prefix.keys[layer], prefix.values[layer]) if prefix else (None, None)
            pair = [_joined(old, new, longest) for old, new in zip(parts, fresh, strict=True)]
            packed.append((pair[0], pair[1]))
        return packed


def _joined(old: Tensor | None, new: Tensor | None, length: int) -> Tensor:
    """Return two caches ``(prompts, heads, length, head size)`` below each other, cut or padded to `length`."""
    parts = [
        functional.pad(part, (0, 0, 0, length - part.shape[2])) if part.shape[2] < length else part[:, :, :length]
        for part in (old, new)
        if part is not None
    ]
    return torch.cat(parts) if parts else torch.zeros((0, 0, 0, 0))


@dataclass(frozen=True)
class _Layout:
    """Where each row's queries go: slot `slots` of ``prompts × width``; `full` where rows and slots are the same.

    ``prompt_mask`` is ``(prompts, 1, 1, longest)``, −inf where a prompt is padded; ``starts`` the rows' first columns.
    """

    prompts: int
    width: int
    slots: Tensor
    full: bool
    prompt_mask: Tensor
    starts: Tensor

    @staticmethod
    def of(rows: Sequence[_Row], lengths: Sequence[int]) -> "_Layout":
        taken = [0] * len(lengths)
        places = []
        for row in rows:
            places.append(taken[row.prompt])
            taken[row.prompt] += 1
        width = max(taken)
        slots = torch.tensor([row.prompt * width + place for row, place in zip(rows, places, strict=True)])
        mask = torch.zeros((len(lengths), 1, 1, max(lengths)))
        for index, length in enumerate(lengths):
            mask[index, :, :, length:] = -torch.inf
        full = slots.tolist() == list(range(len(lengths) * width))
        return _Layout(len(lengths), width, slots, full, mask, torch.tensor([row.start for row in rows]))


def _layer(
    model: Llama,
    layer: Layer,
    hidden: Tensor,
    turn: tuple[Tensor, Tensor],
    shared: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    column: int,
    layout: _Layout,
) -> Tensor:
    """Return one layer's output ``(rows, width)`` for one new token per row, whose key and value join `own`."""
    query, key, value = project(model, layer, hidden, turn)
    own[0][:, :, column] = key
    own[1][:, :, column] = value
    query = query * model.head_size**-0.5
    far, far_top, far_sum = _over_prompts(query, shared, layout)
    near, near_top, near_sum = _over_own(query, own, column, layout)
    top = torch.maximum(far_top, near_top)
    far_part, near_part = (far_top - top).exp_(), (near_top - top).exp_()
    total = far_sum * far_part + near_sum * near_part
    attended = far * (far_part / total)[..., None] + near * (near_part / total)[..., None]
    return finish(model, layer, hidden, attended.flatten(1))


def _over_prompts(query: Tensor, shared: tuple[Tensor, Tensor], layout: _Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Return unnormalised attention ``(rows, heads, head size)`` over the prompts, its largest score and its sum of
    weights, both ``(rows, heads)``."""
    heads, size = query.shape[1:]
    if not layout.full:
        spread = query.new_zeros((layout.prompts * layout.width, heads, size))
        query = spread.index_copy_(0, layout.slots, query)
    slots = query.view(layout.prompts, layout.width, heads, size).transpose(1, 2)
    scores = slots @ shared[0].transpose(2, 3)
    scores += layout.prompt_mask
    top = scores.amax(dim=-1)
    scores = scores.sub_(top[..., None]).exp_()
    results = (scores @ shared[1], top, scores.sum(dim=-1))
    flat = [part.transpose(1, 2).reshape(layout.prompts * layout.width, heads, *part.shape[3:]) for part in results]
    far, far_top, far_sum = flat if layout.full else [part.index_select(0, layout.slots) for part in flat]
    return far, far_top, far_sum


def _over_own(query: Tensor, own: tuple[Tensor, Tensor], column: int, layout: _Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same over each row's own tokens, columns ``start`` to `column`."""
    keys, values = own[0][:, :, : column + 1], own[1][:, :, : column + 1]
    scores = (keys @ query[..., None])[..., 0]
    before = torch.arange(column + 1) < layout.starts[:, None]
    scores.masked_fill_(before[:, None], -torch.inf)
    top = scores.amax(dim=-1)
    scores = scores.sub_(top[..., None]).exp_()
    return (scores[:, :, None] @ values)[:, :, 0], top, scores.sum(dim=-1)
