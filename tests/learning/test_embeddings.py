"""Deduplication by the embeddings of a real sentence-transformers model, from a folder and without a network."""

import numpy as np
import pytest
from made import TASK, acting
from sentences import make_model

from soar.config import validated
from soar.learning import embed
from soar.learning.embed import embedder
from soar.method import open_backend, open_domain, open_method

pytestmark = pytest.mark.slow  # torch is imported, a model is made

CODES = [
    "def transform(grid):\n    return grid",
    "def transform(grid):\n\n    return   grid",
    "def transform(grid):\n    return [row[::-1] for row in grid]",
    "def transform(grid):\n    return [[cell + 1 for cell in row] for row in grid]",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("embedding"), CODES)


def kept(model, **learning):
    """Return the places of the programs that stay, as a run's method has it."""
    settings = {"embedding": str(model), "deduplicate": "embeddings", "curator": "uniform", **learning}
    config = validated(
        {
            "lm": {"backend": "scripted", "model": "builtins:len"},
            "learning": settings,
            "finetune": {"trainer": "scripted"},
            "stages": [{"iterations": 2}],
        }
    )
    method = open_method(config, open_domain("arc"), open_backend(config))
    found = [acting(n, n, code=code) for n, code in enumerate(CODES)]
    rows = method.learning.examples(TASK.without_answers(), found, 0, frozenset())
    return {program.origin.index for program in found if program.key in {row["program"] for row in rows}}


def test_texts_are_embedded_as_unit_vectors_of_the_model_that_is_named(model):
    vectors = embedder(str(model))(CODES)
    assert (vectors.shape, vectors.dtype) == ((4, 32), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-5), "blanks are no words"
    assert vectors[0] @ vectors[2] < 0.99


@pytest.mark.parametrize("gpu", [True, False])
def test_the_model_is_on_a_gpu_only_while_it_embeds(monkeypatch, gpu):
    import torch

    places = []

    class Model:
        def to(self, place):
            places.append(place)

        def encode(self, texts, **_):
            places.append("encode")
            raise ValueError("no")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: places.append("emptied"))
    monkeypatch.setattr(embed, "_loaded", lambda name: Model())
    with pytest.raises(ValueError, match="no"):
        embedder("any")(["x"])
    assert places == (["cuda", "encode", "cpu", "emptied"] if gpu else ["encode"])


def test_programs_above_the_papers_cosine_are_one_and_the_bound_may_be_another(model):
    cosines = embedder(str(model))(CODES) @ embedder(str(model))(CODES).T
    nearest = float(max(cosines[0, 2], cosines[0, 3], cosines[2, 3]))
    assert kept(model, alike_above=(1 + nearest) / 2) == {0, 2, 3}, "the shortest of what is alike stays"
    assert len(kept(model, alike_above=nearest - 0.01)) < 3
    paper = kept(model)
    assert paper == kept(model, alike_above=0.9)
