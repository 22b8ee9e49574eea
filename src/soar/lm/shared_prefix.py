"""Decoding many samples of many prompts at once, each prompt's cache kept once.

A sample's attention is over its prompt, shared with its siblings, and over its own tokens; both parts are merged by
their log-sum-exp ("cascade" or "shared-prefix" attention: Juravsky et al. 2024, Hydragen). New prompts join between
any two tokens, finished samples leave. Knows token ids; knows neither text nor threads.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from soar.lm.draw import draw, uniforms
from soar.lm.llama import Layer, Llama, Prefix, alike, finish, logits, prefill, project, rotation

DEAD_SHARE = 0.15
"""Which share of finished rows is decoded along before the batch is packed anew."""

COLUMNS = 32
"""By how many columns the samples' own cache grows."""

GROUP_TOKENS = 1 << 20
"""How many tokens of prompts are attended to in one operation: as many as are about as long."""


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
    """A sample being decoded. ``prompt`` numbers its prompt; ``start`` is the column of its first token in the samples'
    own cache."""

    job: Job
    prompt: int
    prefix: Prefix
    start: int
    tokens: list[int] = field(default_factory=list)
    finished: bool = False


class SharedPrefixDecoder:
    """A batch of samples in the course of being decoded. Use from one thread.

    Rows stand in the order of their prompts' lengths, those of one prompt together.
    """

    def __init__(self, model: Llama, end: int) -> None:
        self._model = model
        self._end = end
        self._rows: list[_Row] = []
        self._groups: list[_Group] = []
        self._own: list[tuple[Tensor, Tensor]] = []
        self._starts = torch.zeros(0)
        self._column = 0
        self._prompts = 0

    @property
    def active(self) -> int:
        """How many samples are being decoded."""
        return sum(not row.finished for row in self._rows)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the cache of prompts holds, padding included."""
        return sum(group.keys[0].shape[0] * group.keys[0].shape[2] for group in self._groups)

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
        read = dict(zip(prompts, enumerate(prefill(self._model, prompts), self._prompts), strict=True))
        self._prompts += len(prompts)
        rows = [_Row(job, *read[job.prompt], self._column) for job in jobs]
        done = self._draw(rows, torch.stack([row.prefix.logits for row in rows]))
        self._pack(rows)
        return done

    @torch.inference_mode()
    def step(self) -> list[Done]:
        """Decode one more token of every sample and return the samples that it finished."""
        if sum(row.finished for row in self._rows) > DEAD_SHARE * len(self._rows):
            self._pack([])
        if not self._rows:
            return []
        self._grow()
        tokens = torch.tensor([row.tokens[-1] for row in self._rows])
        positions = torch.tensor([row.prefix.length + len(row.tokens) - 1 for row in self._rows])
        hidden = functional.embedding(tokens, self._model.embedding)
        turn = rotation(self._model, positions)
        before = torch.arange(self._column + 1) < self._starts[:, None]
        for index, layer in enumerate(self._model.layers):
            shared = [group.part(index) for group in self._groups]
            hidden = _layer(self._model, layer, hidden, turn, shared, self._own[index], before)
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
        if self._column == self._own[0][0].shape[3]:
            self._own = [
                (functional.pad(keys, (0, COLUMNS)), functional.pad(values, (0, 0, 0, COLUMNS)))
                for keys, values in self._own
            ]

    def _pack(self, fresh: Sequence[_Row]) -> None:
        """Drop what is finished and take in new rows."""
        place = {id(row): index for index, row in enumerate(self._rows)}
        kept = [row for row in [*self._rows, *fresh] if not row.finished]
        kept.sort(key=lambda row: (row.prefix.length, row.prompt))
        first = min((row.start for row in kept), default=self._column)
        self._own = self._packed_own([place.get(id(row)) for row in kept], first)
        self._rows, self._column = kept, self._column - first
        for row in kept:
            row.start -= first
        self._starts = torch.tensor([row.start for row in kept])
        earlier = {group.prompts: group for group in self._groups}
        self._groups = _grouped(kept, earlier)

    def _packed_own(self, places: Sequence[int | None], first: int) -> list[tuple[Tensor, Tensor]]:
        """Return the samples' own cache from column `first` on, keys ``(rows, heads, head size, columns)`` and values
        ``(rows, heads, columns, head size)``: row i is what stood at ``places[i]``, or is empty where that is None."""
        model, columns = self._model, self._column - first
        capacity = (columns // COLUMNS + 1) * COLUMNS
        to = torch.tensor([index for index, place in enumerate(places) if place is not None], dtype=torch.long)
        since = torch.tensor([place for place in places if place is not None], dtype=torch.long)
        packed = []
        for layer in range(len(model.layers)):
            keys = torch.zeros((len(places), model.heads, model.head_size, capacity))
            values = torch.zeros((len(places), model.heads, capacity, model.head_size))
            if len(to) and columns:
                old_keys, old_values = self._own[layer]
                keys[to, :, :, :columns] = old_keys[since, :, :, first : self._column]
                values[to, :, :columns] = old_values[since, :, first : self._column]
            packed.append((keys, values))
        return packed


@dataclass(frozen=True)
class _Slots:
    """Where the queries of a group's rows go: row i of it to slot ``index[i]`` of ``prompts × width``, None where rows
    and slots are the same. ``mask`` is ``(prompts, 1, 1, longest)``, −inf where a prompt is padded."""

    rows: slice
    prompts: int
    width: int
    index: Tensor | None
    mask: Tensor


@dataclass(frozen=True)
class _Group:
    """Prompts that are about as long: per layer keys and values ``(prompts, heads, longest, head size)``."""

    prompts: tuple[int, ...]
    keys: list[Tensor]
    values: list[Tensor]
    slots: _Slots

    def part(self, layer: int) -> tuple[Tensor, Tensor, _Slots]:
        """Return one layer's keys and values, and where queries go."""
        return self.keys[layer], self.values[layer], self.slots


def _grouped(rows: Sequence[_Row], earlier: dict[tuple[int, ...], _Group]) -> list[_Group]:
    """Return the groups of the rows' prompts; the cache of a group that was there before is taken over."""
    prefixes = {row.prompt: row.prefix for row in rows}
    counts = Counter(row.prompt for row in rows)
    numbers = list(prefixes)
    groups, start = [], 0
    for members in alike([prefix.length for prefix in prefixes.values()], GROUP_TOKENS):
        names = tuple(numbers[index] for index in members)
        found = [prefixes[name] for name in names]
        widths = [counts[name] for name in names]
        slots = _slots(start, widths, [prefix.length for prefix in found])
        same = earlier.get(names)
        keys = same.keys if same else _stacked([prefix.keys for prefix in found])
        values = same.values if same else _stacked([prefix.values for prefix in found])
        groups.append(_Group(names, keys, values, slots))
        start += sum(widths)
    return groups


def _slots(start: int, widths: Sequence[int], lengths: Sequence[int]) -> _Slots:
    """Return the slots of a group whose prompts have `widths` rows each, the first of them row `start`."""
    width = max(widths)
    index = [prompt * width + place for prompt, count in enumerate(widths) for place in range(count)]
    mask = torch.zeros((len(widths), 1, 1, max(lengths)))
    for prompt, length in enumerate(lengths):
        mask[prompt, :, :, length:] = -torch.inf
    full = len(index) == len(widths) * width
    rows = slice(start, start + len(index))
    return _Slots(rows, len(widths), width, None if full else torch.tensor(index), mask)


def _stacked(caches: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return per layer the prompts' caches below each other, padded to the longest."""
    heads, _, size = caches[0][0].shape
    longest = max(cache[0].shape[1] for cache in caches)
    stacked = []
    for layer in range(len(caches[0])):
        whole = torch.zeros((len(caches), heads, longest, size))
        for prompt, cache in enumerate(caches):
            whole[prompt, :, : cache[layer].shape[1]] = cache[layer]
        stacked.append(whole)
    return stacked


def _layer(
    model: Llama,
    layer: Layer,
    hidden: Tensor,
    turn: tuple[Tensor, Tensor],
    shared: Sequence[tuple[Tensor, Tensor, _Slots]],
    own: tuple[Tensor, Tensor],
    before: Tensor,
) -> Tensor:
    """Return one layer's output ``(rows, width)`` for one new token per row, whose key and value join `own`."""
    query, key, value = project(model, layer, hidden, turn)
    column = before.shape[1] - 1
    own[0][..., column] = key
    own[1][:, :, column] = value
    query = query * model.head_size**-0.5
    parts = [_over_prompts(query[slots.rows], keys, values, slots) for keys, values, slots in shared]
    far, far_top, far_sum = (torch.cat(part) for part in zip(*parts, strict=True))
    near, near_top, near_sum = _over_own(query, own, before)
    top = torch.maximum(far_top, near_top)
    far_part, near_part = (far_top - top).exp_(), (near_top - top).exp_()
    total = far_sum * far_part + near_sum * near_part
    attended = far * (far_part / total)[..., None] + near * (near_part / total)[..., None]
    return finish(model, layer, hidden, attended.flatten(1))


def _over_prompts(query: Tensor, keys: Tensor, values: Tensor, slots: _Slots) -> tuple[Tensor, Tensor, Tensor]:
    """Return unnormalised attention ``(rows, heads, head size)`` over the prompts, its largest score and its sum of
    weights, both ``(rows, heads)``."""
    heads, size = query.shape[1:]
    if slots.index is not None:
        spread = query.new_zeros((slots.prompts * slots.width, heads, size))
        query = spread.index_copy_(0, slots.index, query)
    scores = query.view(slots.prompts, slots.width, heads, size).transpose(1, 2) @ keys.transpose(2, 3)
    scores += slots.mask
    top = scores.amax(dim=-1)
    scores = scores.sub_(top[..., None]).exp_()
    results = (scores @ values, top, scores.sum(dim=-1))
    flat = [part.transpose(1, 2).reshape(slots.prompts * slots.width, heads, *part.shape[3:]) for part in results]
    far, far_top, far_sum = flat if slots.index is None else [part.index_select(0, slots.index) for part in flat]
    return far, far_top, far_sum


def _over_own(query: Tensor, own: tuple[Tensor, Tensor], before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same over each row's own tokens; `before` ``(rows, columns)`` is true where a row had not begun."""
    columns = before.shape[1]
    scores = (query[:, :, None] @ own[0][..., :columns])[:, :, 0]
    scores.masked_fill_(before[:, None], -torch.inf)
    top = scores.amax(dim=-1)
    scores = scores.sub_(top[..., None]).exp_()
    return (scores[:, :, None] @ own[1][:, :, :columns])[:, :, 0], top, scores.sum(dim=-1)
