"""How a program's text becomes a vector: by n-grams, number by number, and by a model's library, call by call."""

import importlib
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from soar.errors import ConfigError
from soar.learning import embed
from soar.learning.embed import DIMENSIONS, NGRAM_COSINE, PAPER_COSINE, code_rank_embed, embedder, ngrams


def counted(grams):
    row = np.zeros(768)
    for gram, count in grams.items():
        code = zlib.crc32(gram.encode())
        row[(code >> 1) % 768] += count if code & 1 else -count
    return row / np.linalg.norm(row)


def test_a_text_is_the_counts_of_one_to_three_lexemes_in_a_row():
    found = ngrams(["a  =\na", "", "x_1!é"])
    assert (found.shape, found.dtype) == ((3, DIMENSIONS), np.float32)
    assert found[0] == pytest.approx(counted({"a": 2, "=": 1, "a =": 1, "= a": 1, "a = a": 1}))
    assert not found[1].any()
    assert found[2] == pytest.approx(counted({"x_1": 1, "!": 1, "é": 1, "x_1 !": 1, "! é": 1, "x_1 ! é": 1}))
    assert ngrams([]).shape == (0, 768)


def test_the_bounds_are_the_papers_and_one_for_ngrams():
    assert (PAPER_COSINE, NGRAM_COSINE) == (0.9, 0.985)


@pytest.fixture
def library(monkeypatch):
    """Stand in for sentence-transformers; what it was told is kept."""
    told: list[object] = []

    class Model:
        def __init__(self, *given, **more):
            told.append((given, more))
            if given == ("broken",):
                raise OSError("no such model")

        def encode(self, *given, **more):
            told.append((given, more))
            return [[1, 0], [0, 1]]

    def imported(name):
        assert name == "sentence_transformers"
        return SimpleNamespace(SentenceTransformer=Model)

    embed._loaded.cache_clear()
    monkeypatch.setattr(importlib, "import_module", imported)
    yield told
    embed._loaded.cache_clear()


LOADED = {"device": "cpu", "local_files_only": True, "trust_remote_code": True}
ENCODED = {"normalize_embeddings": True, "show_progress_bar": False}


def test_a_model_is_loaded_once_from_this_machine_and_gives_unit_vectors(library):
    found, _ = (embedder("a/model")(("x", "y")) for _ in range(2))
    assert library == [(("a/model",), LOADED), ((["x", "y"],), ENCODED), ((["x", "y"],), ENCODED)]
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0], [0, 1]]


def test_one_model_is_held_at_a_time(library):
    for name in ("a", "b", "a"):
        embedder(name)
    assert [given for given, _ in library] == [("a",), ("b",), ("a",)]


def test_the_papers_embedding_is_that_of_its_model(library):
    assert code_rank_embed(["x"]).tolist() == [[1, 0], [0, 1]]
    assert library == [(("nomic-ai/CodeRankEmbed",), LOADED), ((["x"],), ENCODED)]


def test_a_model_that_is_not_there_is_said_with_what_to_install_or_choose(library):
    with pytest.raises(ConfigError) as error:
        embedder("broken")
    assert str(error.value) == (
        'learning.deduplicate = "embeddings" needs the package sentence-transformers (pip install'
        " 'soar-synthesis[embeddings]') and the model broken on this machine, as a folder or in the Hugging Face cache"
        ' (no such model); install them, or choose "ngrams", "text" or "outputs"'
    )
