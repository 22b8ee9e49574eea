"""Which rows are trained on, in which order, as padded batches. All of it follows from a seed and the shards' names, so
that interrupted training resumes exactly. Knows encoded rows; knows no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from soar.pretrain.encode import Rows, encode_to, encoded, shard_paths, stored_at, token_weights
from soar.pretrain.recipe import Recipe
from soar.seeds import rng as keyed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MULTIPLE = 16
"""Rows are padded to a multiple of this: few distinct shapes keep the arithmetic fast."""


@dataclass(frozen=True)
class Batch:
    """Padded rows ``(rows, longest)`` with each token's weight as a target; ``tokens`` counts them without padding."""

    ids: torch.Tensor
    weights: torch.Tensor
    tokens: int


@dataclass(frozen=True)
class Source:
    """Where batches come from: the corpus, a folder for its encoded form, how to encode it, and how to cut batches.

    The last `held_out` rows of the corpus' first shard are never trained on.
    """

    corpus: Path
    encoded: Path
    tokenizer: "PreTrainedTokenizerBase"
    recipe: Recipe
    seed: int
    batch_tokens: int
    longest: int
    held_out: int


def batches(source: Source, shards: tuple[str, ...], done: int) -> Iterator[tuple[tuple[str, ...], int, Batch]]:
    """Yield batches endlessly, each with the shards started so far and how many batches of the last one are then
    done; `shards` and `done` say where to start."""
    while True:
        if shards:
            rows = _rows(source, shards[-1])
            chosen = np.arange(len(rows) - (source.held_out if shards[-1] == first_shard(source) else 0))
            rng = keyed(source.seed, "batches", shards[-1], shards.count(shards[-1]))
            plan = cut(rows.lengths, chosen, source.batch_tokens, rng)
            for position in range(done, len(plan)):
                yield shards, position + 1, batch_of(rows, plan[position], source)
        there = [path.name for path in shard_paths(source.corpus)]
        shards, done = (*shards, next_shard(there, shards)), 0


def encode_ahead(source: Source, processes: int) -> None:
    """Encode the shards that exist and are not encoded yet, several at once."""
    jobs = [
        (path, source.encoded, source.tokenizer, source.recipe, source.longest)
        for path in shard_paths(source.corpus)
        if not stored_at(path, source.encoded).exists()
    ]
    if jobs:
        # Spawned: the model may be on a GPU by now, and CUDA does not survive a fork.
        with get_context("spawn").Pool(min(processes, len(jobs))) as pool:
            pool.starmap(encode_to, jobs, chunksize=1)


def first_shard(source: Source) -> str:
    """Return the name of the shard whose last rows are held out."""
    return shard_paths(source.corpus)[0].name


def held_out_batches(source: Source) -> list[Batch]:
    """Return the rows that are never trained on."""
    rows = _rows(source, first_shard(source))
    chosen = np.arange(len(rows))[-source.held_out :]
    plan = cut(rows.lengths, chosen, source.batch_tokens, keyed(source.seed, "held out"))
    return [batch_of(rows, indices, source) for indices in plan]


def next_shard(there: Sequence[str], begun: Sequence[str]) -> str:
    """Return the shard that was started least often, the first by name among equals."""
    return min(there, key=lambda name: (begun.count(name), name))


def cut(lengths: NDArray[np.int64], chosen: NDArray[np.int64], batch_tokens: int, rng: Generator) -> list[NDArray]:
    """Return the `chosen` rows as batches of similar lengths, up to `batch_tokens` each with padding, shuffled."""
    order = rng.permutation(chosen)
    order = order[np.argsort(lengths[order], kind="stable")]
    plan, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or (stop - start + 1) * _padded(int(lengths[order[stop]])) > batch_tokens:
            plan.append(order[start:stop])
            start = stop
    return [plan[index] for index in rng.permutation(len(plan))]


def batch_of(rows: Rows, indices: NDArray[np.int64], source: Source) -> Batch:
    """Return the rows at `indices`, padded at the end."""
    lengths = rows.lengths[indices]
    padding = source.tokenizer.pad_token_id
    ids = np.full((len(indices), _padded(int(lengths.max()))), padding, dtype=np.int64)
    for line, index in enumerate(indices):
        ids[line, : lengths[line]] = rows.row(index)
    weights = token_weights(ids, rows.prompts[indices], lengths, source.tokenizer, source.recipe)
    return Batch(torch.from_numpy(ids), torch.from_numpy(weights), int(lengths.sum()))


def _padded(length: int) -> int:
    return int(-(-length // MULTIPLE) * MULTIPLE)


def _rows(source: Source, name: str) -> Rows:
    return encoded(source.corpus / name, source.encoded, source.tokenizer, source.recipe, source.longest)
