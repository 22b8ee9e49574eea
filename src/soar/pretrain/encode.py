"""Exercises as token ids, ready for training: the prompt, then the program, and how much each token counts.

Knows lines and the tokenizer; only the recipe knows what a line says. A shard of the corpus becomes one array file.
"""

import gzip
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soar.errors import DataError
from soar.pretrain.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROGRAM, NOTHING = 1.0, 0.0
"""The weight in the loss of a token of the program or its end, and of padding."""

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


def shard_paths(corpus: Path) -> list[Path]:
    """Return the shards that exist now; `DataError` if there are none."""
    paths = sorted(corpus.glob("shard-*.jsonl.gz"))
    if not paths:
        raise DataError(f"no shards in {corpus}: make some with python -m soar.pretrain.DOMAIN.generate")
    return paths


def read_lines(path: Path) -> Iterator[str]:
    """Yield a shard's lines in their order."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        yield from file


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a shard aside and rename it: a shard that exists is complete, and the same lines make the same bytes."""
    aside = path.with_name(path.name + ".part")
    with gzip.GzipFile(aside, "wb", compresslevel=6, mtime=0) as file:
        file.writelines(line.encode("ascii") + b"\n" for line in lines)
    aside.rename(path)


def encode_shard(path: Path, tokenizer: "PreTrainedTokenizerBase", recipe: Recipe, longest: int) -> Rows:
    """Return a shard's exercises as token ids; those of more than `longest` tokens are left out."""
    pairs = [recipe.texts(line) for line in read_lines(path)]
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


def encoded(path: Path, folder: Path, tokenizer: "PreTrainedTokenizerBase", recipe: Recipe, longest: int) -> Rows:
    """Return an encoded shard, read from `folder` if it was encoded before."""
    stored = stored_at(path, folder)
    if not stored.exists():
        encode_to(path, folder, tokenizer, recipe, longest)
    with np.load(stored) as arrays:
        return Rows(arrays["ids"], arrays["ends"], arrays["prompts"])


def encode_to(path: Path, folder: Path, tokenizer: "PreTrainedTokenizerBase", recipe: Recipe, longest: int) -> None:
    """Encode a shard into `folder`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = encode_shard(path, tokenizer, recipe, longest)
    stored = stored_at(path, folder)
    aside = stored.with_suffix(f".{os.getpid()}.part.npz")
    np.savez(aside, ids=rows.ids, ends=rows.ends, prompts=rows.prompts)
    aside.rename(stored)


def stored_at(path: Path, folder: Path) -> Path:
    """Return where a shard's encoded form is kept."""
    return folder / (path.name.split(".")[0] + ".npz")


def token_weights(
    ids: NDArray[np.int64],
    prompts: NDArray[np.int32],
    lengths: NDArray[np.int64],
    tokenizer: "PreTrainedTokenizerBase",
    recipe: Recipe,
) -> NDArray[np.float32]:
    """Return each token's weight as a target in a padded batch ``(rows, longest)``, in the same shape."""
    place = np.arange(ids.shape[1])
    program = (place >= prompts[:, None]) & (place < lengths[:, None])
    weights = np.where(place < prompts[:, None], recipe.prompt_weights(ids, tokenizer), NOTHING)
    return np.where(program, PROGRAM, weights).astype(np.float32)
