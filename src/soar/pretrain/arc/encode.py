"""Exercises as token ids, ready to be learnt from: the prompt, then the program, and which tokens count how much.

Knows the corpus, the rendering and the tokenizer; knows no model. A shard of the corpus becomes one array file.
"""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soar.domains.arc.compact import PARENT, WRITE, Compact
from soar.domains.arc.grid_text import OUT, PAIR, TEST
from soar.pretrain.arc.corpus import Exercise, from_line
from soar.pretrain.arc.tokenizer import token_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROGRAM, GRID, NOTHING = 1.0, 0.1, 0.0
"""What a token's loss counts: program tokens and the end, tokens of wanted outputs in the prompt, everything else."""

BATCH_OF_TEXTS = 500
"""How many texts are tokenized in one call."""


@dataclass(frozen=True)
class Rows:
    """Encoded exercises: row i is ``ids[ends[i-1]:ends[i]]``, of which the first ``prompts[i]`` are the prompt."""

    ids: NDArray[np.uint16]
    ends: NDArray[np.int64]
    prompts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ends)

    def row(self, index: int) -> NDArray[np.uint16]:
        """Return one row's token ids."""
        return self.ids[self.ends[index - 1] if index else 0 : self.ends[index]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The rows' lengths in tokens."""
        return np.diff(self.ends, prepend=0)


def texts(exercise: Exercise, rendering: Compact) -> tuple[str, str]:
    """Return prompt and completion: a refinement of its parent where it has one, else a sample."""
    task, parent = exercise.task().without_answers(), exercise.parent_program()
    detail = rendering.details(task)[0]
    prompt = rendering.sampling(task, None, detail) if parent is None else rendering.refinement(task, [parent], detail)
    return prompt, rendering.completion(exercise.code)


def read_shard(path: Path) -> Iterator[Exercise]:
    """Yield a shard's exercises in their order."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        for line in file:
            yield from_line(line)


def encode_shard(path: Path, tokenizer: "PreTrainedTokenizerBase", rendering: Compact, longest: int) -> Rows:
    """Return a shard's exercises as token ids; those of more than `longest` tokens are left out."""
    pairs = [texts(exercise, rendering) for exercise in read_shard(path)]
    rows, prompts = [], []
    for start in range(0, len(pairs), BATCH_OF_TEXTS):
        batch = pairs[start : start + BATCH_OF_TEXTS]
        heads = tokenizer([prompt for prompt, _ in batch])["input_ids"]
        tails = tokenizer([completion for _, completion in batch])["input_ids"]
        for head, tail in zip(heads, tails, strict=True):
            if len(head) + len(tail) < longest:
                rows.append(np.array([*head, *tail, tokenizer.eos_token_id], dtype=np.uint16))
                prompts.append(len(head))
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return Rows(np.concatenate(rows), ends, np.array(prompts, dtype=np.int32))


def encoded(path: Path, folder: Path, tokenizer: "PreTrainedTokenizerBase", rendering: Compact, longest: int) -> Rows:
    """Return a shard encoded, from `folder` where it has been encoded before."""
    stored = stored_at(path, folder)
    if not stored.exists():
        encode_to(path, folder, tokenizer, rendering, longest)
    with np.load(stored) as arrays:
        return Rows(arrays["ids"], arrays["ends"], arrays["prompts"])


def encode_to(path: Path, folder: Path, tokenizer: "PreTrainedTokenizerBase", rendering: Compact, longest: int) -> None:
    """Encode a shard into `folder`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = encode_shard(path, tokenizer, rendering, longest)
    stored = stored_at(path, folder)
    aside = stored.with_suffix(f".{os.getpid()}.part.npz")
    np.savez(aside, ids=rows.ids, ends=rows.ends, prompts=rows.prompts)
    aside.rename(stored)


def stored_at(path: Path, folder: Path) -> Path:
    """Return where a shard's encoded form is kept."""
    return folder / (path.name.split(".")[0] + ".npz")


def token_weights(
    ids: NDArray[np.int64], prompts: NDArray[np.int32], lengths: NDArray[np.int64], tokenizer: "PreTrainedTokenizerBase"
) -> NDArray[np.float32]:
    """Return what each token of a padded batch ``(rows, longest)`` counts as a target, same shape."""
    out, begin, test, parent, write = (token_id(tokenizer, token) for token in (OUT, PAIR, TEST, PARENT, WRITE))
    place = np.arange(ids.shape[1])
    marks = np.where(ids == out, 1, 0) - np.where(np.isin(ids, (begin, test, parent, write)), 1, 0)
    last = np.maximum.accumulate(np.where(marks != 0, place, 0), axis=1)
    within = (np.take_along_axis(marks, last, axis=1) == 1) & (marks == 0)
    program = (place >= prompts[:, None]) & (place < lengths[:, None])
    weights = np.where(within & (place < prompts[:, None]), GRID, NOTHING)
    return np.where(program, PROGRAM, weights).astype(np.float32)
