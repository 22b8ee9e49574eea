"""Embeddings of program texts, to tell which are alike (§3.4). Knows text and vectors; knows no task."""

import importlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from soar.errors import ConfigError

Embed: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""Texts to ``(n, d)`` float32 rows of length 1."""

PAPER_COSINE = 0.9
"""Above this, the paper calls two programs the same, by CodeRankEmbed."""

NGRAM_COSINE = 0.985
"""The same for `ngrams`. Two programs that differ in one constant of some twenty lexemes stay two."""

DIMENSIONS = 768
LONGEST = 3
"""How many lexemes an n-gram has at most."""

MODEL = "nomic-ai/CodeRankEmbed"

_LEXEME = re.compile(r"\w+|[^\w\s]")


def ngrams(texts: Sequence[str]) -> np.ndarray:
    """Return counts of n-grams of lexemes, hashed with signs into `DIMENSIONS` numbers.

    A stand-in for a code embedding that needs no weights: it sees words, not meaning.
    """
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        lexemes = _LEXEME.findall(text)
        for size in range(1, LONGEST + 1):
            for gram, count in Counter(zip(*(lexemes[at:] for at in range(size)), strict=False)).items():
                code = zlib.crc32(" ".join(gram).encode())
                row[(code >> 1) % DIMENSIONS] += count if code & 1 else -count
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def code_rank_embed(texts: Sequence[str]) -> np.ndarray:
    """Return CodeRankEmbed's embeddings. Needs the package sentence-transformers, and the model's weights on this
    machine; `ConfigError` says what is missing."""
    encoded = code_rank_embed_model().encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(encoded, dtype=np.float32)


@lru_cache(maxsize=1)
def code_rank_embed_model() -> Any:
    """Return the model of CodeRankEmbed, loaded once; `ConfigError` says what is missing."""
    try:
        library = importlib.import_module("sentence_transformers")
        return library.SentenceTransformer(MODEL, local_files_only=True, trust_remote_code=True)
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(
            f'learning.deduplicate = "embeddings" needs sentence-transformers and the weights of {MODEL} on this'
            f' machine ({error}); install and download them, or choose "ngrams", "text" or "outputs"'
        ) from None
