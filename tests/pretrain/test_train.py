import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from soar.domains.arc.compact import Compact
from soar.domains.arc.grid_text import GRID_LEXEMES
from soar.domains.arc.program_text import wrap
from soar.errors import DataError
from soar.lm.embedded.llama import load_llama
from soar.lm.embedded.prefill import prefill
from soar.pretrain.arc.corpus import Exercise, write_shard
from soar.pretrain.arc.recipe import GRID, recipe
from soar.pretrain.batches import Source, cut, encode_ahead, next_shard
from soar.pretrain.encode import PROGRAM, encode_shard, encoded, shard_paths, stored_at, token_weights
from soar.pretrain.model import grown_model
from soar.pretrain.muon import orthogonal
from soar.pretrain.train import Settings, rate
from soar.pretrain.train import train as train_on


def exercise(number):
    rng = np.random.default_rng(number)
    grids = [rng.integers(0, 4, (3, 2 + number % 4)) for _ in range(3)]
    colour = number % 10
    inputs = [tuple(map(tuple, grid.tolist())) for grid in grids]
    outputs = [tuple(map(tuple, np.where(grid == 1, colour, grid).tolist())) for grid in grids]
    parent = wrap("g = g.T") if number % 3 == 0 else None
    turned = tuple(tuple(map(tuple, grid.T.tolist())) for grid in grids) if parent else None
    code = wrap(f"g[g == 1] = {colour}")
    return Exercise(tuple(inputs), tuple(outputs), code, ("recolour",), "made", parent, turned)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for shard in range(2):
        write_shard(folder / f"shard-0-{shard:05d}.jsonl.gz", [exercise(100 * shard + n) for n in range(60)])
    return folder


RECIPE = recipe()


def train(settings):
    train_on(settings, RECIPE)


def settings(corpus, out, **changes):
    small = Settings(corpus, out, batch_tokens=512, held_out=10, width=32, head_size=16, layers=2, mlp=32, warmup=5)
    return replace(small, **{"steps": 12, "muon_lr": 4e-3, **changes})


def weights(out):
    return load_llama(out / "model")


def test_training_lowers_the_loss_on_rows_it_never_saw(corpus, tmp_path):
    train(settings(corpus, tmp_path, steps=40))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["held_out"] < 4.0
    assert lines[-1]["step"] == 40


def test_an_interrupted_training_goes_on_to_the_same_weights(corpus, tmp_path):
    train(settings(corpus, tmp_path / "whole"))
    stopped = settings(corpus, tmp_path / "parts", decay=1e-9)
    whole = settings(corpus, tmp_path / "level", decay=1e-9)
    train(whole)
    train(replace(stopped, steps=7))
    train(stopped)
    for a, b in zip(weights(tmp_path / "level").layers, weights(tmp_path / "parts").layers, strict=True):
        assert np.array_equal(a.qkv, b.qkv)
        assert np.array_equal(a.down, b.down)


def test_a_trained_folder_computes_in_the_decoder_what_it_computes_in_transformers(corpus, tmp_path):
    from transformers import AutoModelForCausalLM

    train(settings(corpus, tmp_path, steps=3))
    prompt = tuple(range(5, 40))
    reference = AutoModelForCausalLM.from_pretrained(tmp_path / "model", local_files_only=True)
    with torch.no_grad():
        expected = reference(torch.tensor([prompt])).logits[0, -1].numpy()
    assert np.allclose(prefill(weights(tmp_path), [prompt])[0].logits, expected, atol=1e-4)


def test_what_was_encoded_ahead_is_what_training_would_have_encoded(corpus, tmp_path):
    tokenizer = RECIPE.tokenizer([Compact().completion(exercise(n).code) for n in range(60)])
    source = Source(corpus, tmp_path, tokenizer, RECIPE, seed=0, batch_tokens=512, longest=512, held_out=10)
    encode_ahead(source, processes=2)
    for path in shard_paths(corpus):
        assert stored_at(path, tmp_path).exists()
        there = encoded(path, tmp_path, tokenizer, RECIPE, 512)
        expected = encode_shard(path, tokenizer, RECIPE, 512)
        assert np.array_equal(there.ids, expected.ids)
        assert np.array_equal(there.ends, expected.ends)
        assert np.array_equal(there.prompts, expected.prompts)


def test_what_counts_as_a_target_is_the_program_and_the_wanted_outputs(corpus):
    shard = sorted(corpus.glob("*.gz"))[0]
    tokenizer = RECIPE.tokenizer([Compact().completion(exercise(n).code) for n in range(60)])
    rows = encode_shard(shard, tokenizer, RECIPE, 512)
    for index in (0, 1):
        ids = rows.row(index)[None].astype(np.int64)
        found = token_weights(ids, rows.prompts[index : index + 1], rows.lengths[index : index + 1], tokenizer, RECIPE)[
            0
        ]
        program = tokenizer.decode(ids[0][found == np.float32(PROGRAM)], skip_special_tokens=True)
        assert program == Compact().completion(exercise(index).code)
        prompt = str(tokenizer.decode(ids[0][: rows.prompts[index]]))
        outputs = [part.split("in")[0].split("test")[0] for part in prompt.split("out")[1:]]
        assert tokenizer.decode(ids[0][found == np.float32(GRID)]) == "".join(outputs)


def test_batches_hold_every_chosen_row_once_and_not_more_tokens_than_allowed():
    lengths = np.random.default_rng(0).integers(10, 300, 500)
    chosen = np.arange(450)
    plan = cut(lengths, chosen, 1024, np.random.default_rng(1))
    assert sorted(np.concatenate(plan)) == list(chosen)
    assert all(len(rows) * -(-lengths[rows].max() // 16) * 16 <= 1024 for rows in plan)


def test_every_shard_is_learnt_from_once_before_any_is_twice():
    assert next_shard(["a", "b", "c"], ["a"]) == "b"
    assert next_shard(["a", "b"], ["a", "b"]) == "a"
    assert next_shard(["a", "b", "new"], ["a", "b", "a"]) == "new"


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    some = Settings(Path(), Path(), warmup=10, decay=0.5)
    assert rate(some, 0, 0.0) == 0.1
    assert rate(some, 50, 0.4) == 1.0
    assert rate(some, 90, 0.75) == 0.5
    assert rate(some, 99, 1.0) == 0.0


def test_an_orthogonal_update_has_singular_values_near_one():
    for shape in ((2, 24, 24), (2, 40, 16), (2, 16, 40)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert values[:, :10].min() > 0.4
        assert values.max() < 1.3


def test_an_empty_corpus_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"soar\.pretrain\.DOMAIN\.generate"):
        train(settings(tmp_path, tmp_path / "out"))


def test_a_training_begins_with_another_models_weights_under_a_new_vocabulary(corpus, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(settings(corpus, tmp_path / "first", steps=3))
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "first" / "model", local_files_only=True)
    old = AutoTokenizer.from_pretrained(tmp_path / "first" / "model", local_files_only=True)
    new = RECIPE.tokenizer(["g[g == 1] = 2\ng = np.unheard(g)"] * 30)
    after = grown_model(tmp_path / "first" / "model", new)

    def embedding(model, tokenizer, text):
        return model.get_input_embeddings().weight[tokenizer(text, add_special_tokens=False)["input_ids"]].detach()

    assert "unheard" in new.get_vocab()
    assert "unheard" not in old.get_vocab()
    assert torch.allclose(embedding(after, new, "unheard")[0], embedding(before, old, "unheard").mean(0), atol=1e-6)
    assert torch.equal(embedding(after, new, "7"), embedding(before, old, "7"))
    grids = "\n".join(list(GRID_LEXEMES)[:40])
    with torch.no_grad():
        logits = [m(t(grids, return_tensors="pt")["input_ids"]).logits for m, t in ((before, old), (after, new))]
    assert torch.allclose(logits[0][..., 7], logits[1][..., 7], atol=1e-5)


def test_added_layers_change_nothing_at_first(corpus, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(settings(corpus, tmp_path / "first", steps=3))
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "first" / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "first" / "model", local_files_only=True)
    after = grown_model(tmp_path / "first" / "model", tokenizer, layers=5)
    assert after.config.num_hidden_layers == len(after.model.layers) == 5
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        assert torch.allclose(before(ids).logits, after(ids).logits, atol=1e-5)


def test_a_training_goes_on_from_a_models_loss(corpus, tmp_path):
    train(settings(corpus, tmp_path / "first", steps=40))
    first = json.loads((tmp_path / "first" / "log.jsonl").read_text().splitlines()[-1])["held_out"]
    train(settings(corpus, tmp_path / "second", steps=1, begin=tmp_path / "first" / "model", width=999))
    second = json.loads((tmp_path / "second" / "log.jsonl").read_text().splitlines()[-1])["held_out"]
    assert abs(first - second) < 0.2 < 4.0 - first
