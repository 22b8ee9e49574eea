import numpy as np
import pytest
import torch
from small_llama import save_small_llama

from soar.errors import EndpointError
from soar.lm import shared_prefix
from soar.lm.draw import draw, numbers, points
from soar.lm.llama import load_llama, prefill
from soar.lm.shared_prefix import Job, SharedPrefixDecoder

PROMPTS = tuple(tuple(range(5, 5 + length)) for length in (50, 7, 23))


@pytest.fixture(scope="module", params=["llama", "qwen3", "grouped"])
def models(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    changes = {"num_attention_heads": 4, "num_key_value_heads": 2} if request.param == "grouped" else {}
    reference = save_small_llama(folder, "qwen3" if request.param == "qwen3" else "llama", **changes)
    return reference, load_llama(folder)


def reference_logits(reference, tokens):
    with torch.no_grad():
        return reference(torch.tensor([tokens])).logits[0]


def decode(model, *batches, end=3):
    decoder, done = SharedPrefixDecoder(model, end), []
    for jobs in batches:
        done += decoder.admit(jobs)
        for _ in range(5):
            done += decoder.step()
    while decoder.active:
        done += decoder.step()
    return done


def jobs(samples=4, new=20):
    return [Job(p, 100 * n + s, 1.0, 0.05, new, (n, s)) for n, p in enumerate(PROMPTS) for s in range(samples + n)]


def test_logits_after_ragged_prompts_are_those_of_transformers(models):
    reference, model = models
    prefixes = prefill(model, PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        expected = reference_logits(reference, prompt)[-1]
        assert torch.allclose(prefixes[row].logits, expected, atol=1e-4)


def drawn(seed, logits):
    """The tokens that a seed gives, one row of logits after the other."""
    seeds, width, tokens = np.array([seed], dtype=np.uint64), np.ones(1), []
    at, one = points(seeds), np.ones(1, np.float32)
    for place, row in enumerate(logits):
        at = numbers(at, width, seeds, np.array([place], dtype=np.uint64))
        token, at, share = draw(row[None], np.zeros(1, np.int64), at, one, 0.05 * one)
        width = width * share
        tokens.append(int(token[0]))
    return tokens


def test_every_token_is_the_one_that_transformers_logits_give(models):
    reference, model = models
    wanted = jobs()
    done = decode(model, wanted[:6], wanted[6:])
    assert sorted(each.job.tag for each in done) == sorted(job.tag for job in wanted)
    for each in done:
        tokens = [*each.tokens, *([3] if each.finish_reason == "stop" else [])]
        logits = reference_logits(reference, [*each.job.prompt, *tokens])[len(each.job.prompt) - 1 : -1]
        assert tokens == drawn(each.job.seed, logits.numpy())


def test_a_sample_does_not_depend_on_its_neighbours(models):
    _, model = models
    together = {each.job.tag: each.tokens for each in decode(model, jobs())}
    for job in jobs()[::4]:
        assert [each.tokens for each in decode(model, [job])] == [together[job.tag]]


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_what_samples_have_in_common_is_computed_once(models, monkeypatch, temperature):
    _, model = models
    rows, layer = [], shared_prefix._layer

    def counted(model, index, hidden, *more):
        rows.append(len(hidden))
        layer(model, index, hidden, *more)

    monkeypatch.setattr(shared_prefix, "_layer", counted)
    done = decode(model, [Job(PROMPTS[0], seed, temperature, 0.0, 8) for seed in range(20)], end=-1)
    begun = {each.tokens[: length + 1] for each in done for length in range(7)}
    assert sum(rows) == len(begun) * len(model.layers)


def test_samples_end_by_themselves_or_at_their_limit(models):
    _, model = models
    done = decode(model, jobs(samples=60, new=6))
    assert {each.finish_reason for each in done} == {"length", "stop"}
    for each in done:
        assert 3 not in each.tokens
        assert len(each.tokens) == 6 if each.finish_reason == "length" else len(each.tokens) < 6


def test_dropped_samples_never_arrive(models):
    _, model = models
    decoder = SharedPrefixDecoder(model, -1)
    decoder.admit(jobs(new=10))
    decoder.drop(lambda job: job.tag[0] == 1)
    done = [each for _ in range(12) for each in decoder.step()]
    assert {each.job.tag[0] for each in done} == {0, 2}


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EndpointError, match=r"config\.json"):
        load_llama(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EndpointError, match="bert"):
        load_llama(tmp_path)
