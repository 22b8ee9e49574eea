"""Decoding many samples of many prompts at once; what samples have in common is computed once and kept once.

Samples of one prompt share its cache, and those whose tokens are the same so far are one branch, which grows as one
until they draw different tokens. New prompts join between any two tokens, finished samples leave. Knows token ids;
knows neither text nor threads. What is compiled is in `kernels`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
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


@dataclass(eq=False, slots=True)
class _Sample:
    """A sample being decoded: the point at which its next token is drawn, and the probability of its tokens so far,
    `width`."""

    job: Job
    point: float
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class _Branch:
    """Samples of one prompt with the same tokens so far, and the place of these tokens in the samples' cache."""

    prefix: Prefix
    slot: int
    samples: Sequence[_Sample]
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Step:
    """What is the same in all layers of a step: for each branch the sine and cosine of its position, its place in the
    cache and how many tokens stand there; and for each prompt which branches are its samples'."""

    turn: tuple[NDArray[np.float32], NDArray[np.float32]]
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    groups: list[tuple[slice, Prefix]]


class SharedPrefixDecoder:
    """A batch of samples in the course of being decoded. Use from one thread. A prompt's branches stand together."""

    def __init__(self, model: Llama, end: int) -> None:
        self._model = model
        self._end = end
        self._branches: list[_Branch] = []
        self._free: list[int] = []
        empty = np.empty((0, model.kv_heads, 0, model.head_size), np.float32)
        self._own = [(empty, empty) for _ in model.layers]

    @property
    def active(self) -> int:
        """How many samples are being decoded."""
        return sum(len(branch.samples) for branch in self._branches)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the cache of prompts holds."""
        return sum(prefix.length for _, prefix in _groups(self._branches))

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Give up the samples whose job is `unwanted`."""
        there, self._branches = self._branches, []
        for branch in there:
            wanted = [sample for sample in branch.samples if not unwanted(sample.job)]
            if wanted:
                self._branches.append(replace(branch, samples=wanted))
            else:
                self._free.append(branch.slot)

    @torch.inference_mode()
    def admit(self, jobs: Sequence[Job]) -> list[Done]:
        """Read the jobs' prompts, each distinct one once, and draw every job's first token.

        Returns the jobs that are finished by that token.
        """
        if not jobs:
            return []
        begun = points(np.array([job.seed for job in jobs], dtype=np.uint64)).tolist()
        samples: dict[tuple[int, ...], list[_Sample]] = {}
        for job, point in zip(jobs, begun, strict=True):
            samples.setdefault(job.prompt, []).append(_Sample(job, point))
        prompts = sorted(samples, key=len)
        prefixes = prefill(self._model, prompts)
        self._make_room(self.active + len(jobs), max(job.max_new_tokens for job in jobs))
        fresh = [
            _Branch(prefix, self._free.pop(), samples[prompt]) for prompt, prefix in zip(prompts, prefixes, strict=True)
        ]
        grown, done = self._grow(fresh, torch.stack([prefix.logits for prefix in prefixes]))
        self._branches += grown
        return done

    @torch.inference_mode()
    def step(self) -> list[Done]:
        """Decode one more token of every sample and return the samples that it finished."""
        if not self._branches:
            return []
        model, step = self._model, self._begin()
        hidden = functional.embedding(torch.tensor([branch.tokens[-1] for branch in self._branches]), model.embedding)
        for index, own in enumerate(self._own):
            _layer(model, index, hidden, step, own)
        scores = functional.linear(_normalized(model, hidden, model.norm), model.head)
        self._branches, done = self._grow(self._branches, scores)
        return done

    def _begin(self) -> _Step:
        counts = np.array([len(branch.tokens) - 1 for branch in self._branches])
        lengths = np.array([branch.prefix.length for branch in self._branches])
        slots = np.array([branch.slot for branch in self._branches])
        return _Step(turns(self._model, lengths + counts), slots, counts, list(_groups(self._branches)))

    def _grow(self, branches: Sequence[_Branch], scores: Tensor) -> tuple[list[_Branch], list[Done]]:
        """Draw the next token of every sample; return the branches that go on, and the samples that it finished."""
        grown: list[_Branch] = []
        done: list[Done] = []
        for branch, tokens in zip(branches, _draw(branches, scores), strict=True):
            going: list[_Branch] = []
            for token, samples in _by_token(branch.samples, tokens):
                if token == self._end:
                    done += [Done(sample.job, branch.tokens, "stop") for sample in samples]
                    continue
                longer = (*branch.tokens, token)
                cut = len(longer)
                done += [Done(sample.job, longer, "length") for sample in samples if sample.job.max_new_tokens == cut]
                unfinished = [sample for sample in samples if sample.job.max_new_tokens > cut]
                if unfinished:
                    slot = self._copied(branch) if going else branch.slot
                    going.append(_Branch(branch.prefix, slot, unfinished, longer))
            if not going:
                self._free.append(branch.slot)
            grown += going
        return grown, done

    def _copied(self, branch: _Branch) -> int:
        """Return a place in the samples' cache that holds what the branch's place holds."""
        slot, count = self._free.pop(), len(branch.tokens)
        for keys, values in self._own:
            keys[slot, :, :count] = keys[branch.slot, :, :count]
            values[slot, :, :count] = values[branch.slot, :, :count]
        return slot

    def _make_room(self, samples: int, columns: int) -> None:
        """Have a place for each of `samples` samples in their cache, all of at least `columns` tokens."""
        there, _, capacity, _ = self._own[0][0].shape
        more = -(-max(samples - there, 0) // SLOTS) * SLOTS
        if more or columns > capacity:
            self._free += range(there, there + more)
            wanted = (there + more, max(columns, capacity))
            self._own = [(_larger(keys, *wanted), _larger(values, *wanted)) for keys, values in self._own]


def _groups(branches: Sequence[_Branch]) -> Iterator[tuple[slice, Prefix]]:
    """Yield each prompt with the branches that are its samples'."""
    start = 0
    for _, members in groupby(branches, key=lambda branch: id(branch.prefix)):
        found = list(members)
        yield slice(start, start + len(found)), found[0].prefix
        start += len(found)


def _by_token(samples: Sequence[_Sample], tokens: Sequence[int]) -> Iterable[tuple[int, Sequence[_Sample]]]:
    """Return each token that was drawn with the samples that drew it."""
    if len(samples) == 1:
        return ((tokens[0], samples),)
    found: dict[int, list[_Sample]] = {}
    for sample, token in zip(samples, tokens, strict=True):
        found.setdefault(token, []).append(sample)
    return found.items()


def _draw(branches: Sequence[_Branch], scores: Tensor) -> Iterator[list[int]]:
    """Draw the next token of every sample from its branch's row of ``scores`` ``(branches, vocabulary)``; yield those
    of one branch after the other."""
    samples = [sample for branch in branches for sample in branch.samples]
    sizes = [len(branch.samples) for branch in branches]
    jobs = [sample.job for sample in samples]
    at = numbers(
        np.array([sample.point for sample in samples]),
        np.array([sample.width for sample in samples]),
        np.array([job.seed for job in jobs], dtype=np.uint64),
        np.repeat(np.array([len(branch.tokens) for branch in branches], dtype=np.uint64), sizes),
    )
    tokens, rest, shares = draw(
        scores.numpy(),
        np.repeat(np.arange(len(branches)), sizes),
        at,
        np.array([job.temperature for job in jobs], np.float32),
        np.array([job.min_p for job in jobs], np.float32),
    )
    for sample, point, share in zip(samples, rest.tolist(), shares.tolist(), strict=True):
        sample.point, sample.width = point, sample.width * share
    drawn = iter(tokens.tolist())
    for size in sizes:
        yield list(islice(drawn, size))


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
