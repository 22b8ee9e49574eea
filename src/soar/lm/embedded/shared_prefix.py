"""Decodes many samples of many prompts at once; what samples have in common is computed once and stored once.

Samples of one prompt share its cache. Samples of one job with the same tokens so far are one branch, which grows as one
until they draw different tokens. New jobs join between any two tokens, finished samples leave. Knows token ids; knows
neither text nor threads. `draw` draws the tokens; compiled code is in `kernels`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from soar.lm.embedded import kernels
from soar.lm.embedded.branches import Branch, Done, Ended, Growth, Job, Run, all_samples, grow
from soar.lm.embedded.llama import Llama, finish, logits, project, rotations
from soar.lm.embedded.prefill import Prefix
from soar.lm.embedded.prefixes import Prefixes
from soar.lm.embedded.tensors import Floats

SLOTS = 64
"""By how many slots the cache of samples' own tokens grows."""


@dataclass(frozen=True)
class _Step:
    """What all layers of a step share: for each branch the cosine and sine of its position, its slot in the cache and
    how many tokens are there; and for each prompt the branches of its samples."""

    turn: tuple[Floats, Floats]
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    groups: list[tuple[slice, Prefix]]


class SharedPrefixDecoder:
    """A batch of samples being decoded. Use from one thread. A prompt's branches are adjacent."""

    def __init__(self, model: Llama, end: int, prefixes: Prefixes | None = None) -> None:
        """Decode with a model until token `end`; `prefixes`, the prompts it has read, may be shared by decoders."""
        self._model = model
        self._prefixes = prefixes or Prefixes(model)
        self._end = end
        self._branches: list[Branch] = []
        self._free: list[int] = []
        empty = np.empty((0, model.kv_heads, 0, model.head_size), np.float32)
        self._own = [(empty, empty) for _ in model.layers]

    @property
    def active(self) -> int:
        """How many samples are being decoded."""
        return sum(branch.count for branch in self._branches)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the cache of prompts holds."""
        return sum(prefix.length for _, prefix in _groups(self._branches))

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Drop the jobs that are `unwanted`."""
        self._free += [branch.slot for branch in self._branches if unwanted(branch.run.job)]
        self._branches = [branch for branch in self._branches if not unwanted(branch.run.job)]

    def admit(self, jobs: Sequence[Job]) -> list[Done]:
        """Read the jobs' prompts, each distinct one once, and draw every sample's first token.

        Returns the samples that this token finishes.
        """
        if not jobs:
            return []
        ordered = sorted(jobs, key=lambda job: (len(job.prompt), job.prompt))
        prompts = list(dict.fromkeys(job.prompt for job in ordered))
        prefixes = dict(zip(prompts, self._prefixes.read(prompts), strict=True))
        runs = [Run(job, prefixes[job.prompt]) for job in ordered]
        places, _, columns, _ = self._own[0][0].shape
        longest = max(job.max_new_tokens for job in jobs)
        if longest > columns:
            self._enlarge(places, longest)
        fresh = [Branch(run, self._free_slot(), all_samples(run.job)) for run in runs]
        grown, done = self._grow(fresh, np.stack([run.prefix.logits for run in runs]))
        self._branches += grown
        return done

    def step(self) -> list[Done]:
        """Decode one more token of every sample and return the samples that it finishes."""
        if not self._branches:
            return []
        model, step = self._model, self._prepare()
        hidden = model.embedding[[branch.tokens[-1] for branch in self._branches]]
        for index, own in enumerate(self._own):
            _layer(model, index, hidden, step, own)
        self._branches, done = self._grow(self._branches, logits(model, hidden))
        return done

    def _prepare(self) -> _Step:
        counts = np.array([len(branch.tokens) - 1 for branch in self._branches])
        lengths = np.array([branch.run.prefix.length for branch in self._branches])
        slots = np.array([branch.slot for branch in self._branches])
        return _Step(rotations(self._model, lengths + counts), slots, counts, list(_groups(self._branches)))

    def _grow(self, branches: Sequence[Branch], scores: Floats) -> tuple[list[Branch], list[Done]]:
        """Draw the next token of every sample; return the branches that continue, and the samples that it finishes."""
        growths = [
            self._unfinished(branch, growth) for branch, growth in zip(branches, grow(branches, scores), strict=True)
        ]
        self._free += [branch.slot for branch, growth in zip(branches, growths, strict=True) if not growth]
        grown: list[Branch] = []
        copies: list[tuple[int, int, int]] = []
        for branch, growth in zip(branches, growths, strict=True):
            for number, (token, samples) in enumerate(growth):
                # The first continuation takes over the branch's slot, each other one gets a copy.
                slot = self._free_slot() if number else branch.slot
                grown.append(Branch(branch.run, slot, samples, (*branch.tokens, token)))
                if number:
                    copies.append((branch.slot, slot, len(branch.tokens)))
        self._copy(copies)
        going = {branch.run for branch in grown}
        runs = dict.fromkeys(branch.run for branch in branches)
        return grown, [done for run in runs if not (run.job.distinct and run in going) for done in run.hand_over()]

    def _unfinished(self, branch: Branch, growth: Growth) -> Growth:
        """Hand to a branch's run the samples that the new tokens end, and return the rest."""
        going: Growth = []
        for token, samples in growth:
            if token == self._end:
                branch.run.ended.append(Ended(samples, branch.tokens, "stop"))
            elif len(branch.tokens) + 1 == branch.run.job.max_new_tokens:
                branch.run.ended.append(Ended(samples, (*branch.tokens, token), "length"))
            else:
                going.append((token, samples))
        return going

    def _copy(self, copies: Sequence[tuple[int, int, int]]) -> None:
        """Copy between slots of the samples' cache: from which, to which, how many tokens."""
        if copies:
            sources, targets, counts = (np.array(each) for each in zip(*copies, strict=True))
            for cache in chain.from_iterable(self._own):
                kernels.copy(cache, sources, targets, counts)

    def _free_slot(self) -> int:
        """Return a free slot in the samples' cache, which grows if there is none."""
        if not self._free:
            there, _, columns, _ = self._own[0][0].shape
            self._enlarge(there + SLOTS, columns)
        return self._free.pop()

    def _enlarge(self, places: int, columns: int) -> None:
        """Enlarge the samples' cache to `places` slots of `columns` tokens each."""
        self._free += range(len(self._own[0][0]), places)
        self._own = [(_larger(keys, places, columns), _larger(values, places, columns)) for keys, values in self._own]


def _groups(branches: Sequence[Branch]) -> Iterator[tuple[slice, Prefix]]:
    """Yield each prompt with the branches of its samples."""
    start = 0
    for _, members in groupby(branches, key=lambda branch: id(branch.run.prefix)):
        found = list(members)
        yield slice(start, start + len(found)), found[0].run.prefix
        start += len(found)


def _larger(cache: Floats, rows: int, columns: int) -> Floats:
    """Return a copy of a cache ``(rows, kv heads, columns, head size)`` with more rows or columns."""
    found = np.empty((rows, cache.shape[1], columns, cache.shape[3]), np.float32)
    found[: cache.shape[0], :, : cache.shape[2]] = cache
    return found


def _layer(model: Llama, index: int, hidden: Floats, step: _Step, own: tuple[Floats, Floats]) -> None:
    """Replace ``hidden`` ``(rows, width)``, one new token per row, by one layer's output, in place."""
    layer = model.layers[index]
    states = project(model, layer, hidden)
    attended = np.empty((len(hidden), model.heads * model.head_size), np.float32)
    cosine, sine = step.turn
    for rows, prefix in step.groups:
        turn, slots, counts = (cosine[rows], sine[rows]), step.slots[rows], step.counts[rows]
        kernels.attend(states[rows], turn, prefix.layers[index], own, slots, counts, attended[rows])
    finish(model, layer, hidden, attended)
