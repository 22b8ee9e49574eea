"""Embeddings of program texts, to find similar ones (§3.4). Knows texts and vectors; knows no task."""

import importlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from soar.errors import ConfigError
from soar.learning.settings import PAPER_EMBEDDING

Embed: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""Maps texts to ``(n, d)`` float32 rows of length 1."""

PAPER_COSINE = 0.9
"""The cosine by CodeRankEmbed above which the paper counts two programs as duplicates."""

NGRAM_COSINE = 0.985
"""The same for `ngrams`; high enough that two programs of some twenty lexemes that differ in one constant both stay."""

DIMENSIONS = 768
MAX_N = 3
"""The most lexemes of an n-gram."""

_LEXEME = re.compile(r"\w+|[^\w\s]")


def ngrams(texts: Sequence[str]) -> np.ndarray:
    """Return counts of n-grams of lexemes, hashed with signs into `DIMENSIONS` numbers.

    A stand-in for a code embedding that needs no weights: it sees words, not meaning.
    """
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        lexemes = _LEXEME.findall(text)
        for size in range(1, MAX_N + 1):
            for gram, count in Counter(zip(*(lexemes[at:] for at in range(size)), strict=False)).items():
                code = zlib.crc32(" ".join(gram).encode())
                row[(code >> 1) % DIMENSIONS] += count if code & 1 else -count
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def embedder(name: str) -> Embed:
    """Return the embedding function of a sentence-transformers model: a folder, or a name in the Hugging Face cache.
    The model is loaded now, once; `ConfigError` says what is missing."""
    model = _loaded(name)

    def embed(texts: Sequence[str]) -> np.ndarray:
        with _on_gpu(model):
            encoded = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(encoded, dtype=np.float32)

    return embed


@contextmanager
def _on_gpu(model: Any) -> Iterator[None]:
    """Move a model onto the GPU meanwhile, if there is one: between two searches its memory belongs to the trainer."""
    import torch

    if not torch.cuda.is_available():
        yield
        return
    model.to("cuda")
    try:
        yield
    finally:
        model.to("cpu")
        torch.cuda.empty_cache()


@lru_cache(maxsize=1)
def _loaded(name: str) -> Any:
    try:
        library = importlib.import_module("sentence_transformers")
        return library.SentenceTransformer(name, device="cpu", local_files_only=True, trust_remote_code=True)
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(
            f'learning.deduplicate = "embeddings" needs the package sentence-transformers (pip install'
            f" 'soar-synthesis[embeddings]') and the model {name} on this machine, as a folder or in the Hugging Face"
            f' cache ({error}); install them, or choose "ngrams", "text" or "outputs"'
        ) from None


def code_rank_embed(texts: Sequence[str]) -> np.ndarray:
    """Return the embeddings of the paper's model, as `embedder` does."""
    return embedder(PAPER_EMBEDDING)(texts)
