from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_llama import save_small_llama

from soar.errors import EndpointError
from soar.lm.embedded import prefill as reading
from soar.lm.embedded import shared_prefix
from soar.lm.embedded.branches import Job
from soar.lm.embedded.draw import Field, draw, race, start
from soar.lm.embedded.kernels import uniforms
from soar.lm.embedded.llama import load_llama
from soar.lm.embedded.prefill import prefill
from soar.lm.embedded.shared_prefix import SharedPrefixDecoder

PROMPTS = tuple(tuple(range(5, 5 + length)) for length in (50, 7, 23))


@pytest.fixture(scope="module", params=["llama", "qwen3", "grouped"])
def models(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    changes = {"num_attention_heads": 4, "num_key_value_heads": 2} if request.param == "grouped" else {}
    reference = save_small_llama(folder, "qwen3" if request.param == "qwen3" else "llama", **changes)
    return reference, load_llama(folder)


def reference_logits(reference, tokens):
    with torch.no_grad():
        return reference(torch.tensor([tokens])).logits[0].numpy()


def decode(model, *batches, end=3):
    decoder, done = SharedPrefixDecoder(model, end), []
    for jobs in batches:
        done += decoder.admit(jobs)
        for _ in range(5):
            done += decoder.step()
    while decoder.active:
        done += decoder.step()
    return done


def jobs(samples=4, new=20, **changes):
    found = []
    for n, prompt in enumerate(PROMPTS):
        seeds = tuple(range(100 * n, 100 * n + samples + n))
        found.append(Job(prompt, seeds, 1.0, 0.05, new, tag=n, **changes))
    return found


def by_place(done):
    return {(each.job.tag, each.index): (each.tokens, each.finish_reason) for each in done}


def test_logits_after_ragged_prompts_are_those_of_transformers(models):
    reference, model = models
    prefixes = prefill(model, PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        assert np.allclose(prefixes[row].logits, reference_logits(reference, prompt)[-1], atol=1e-4)


@pytest.mark.parametrize(("together", "asking"), [(1, 8), (60, 3), (1000, 23)])
def test_in_how_many_passes_prompts_are_read_changes_nothing(models, monkeypatch, together, asking):
    reference, model = models
    monkeypatch.setattr(reading, "GROUP_TOKENS", together)
    monkeypatch.setattr(reading, "QUERY_BLOCK", asking)
    begun = [None, None, prefill(model, PROMPTS[2:])[0].first(9)]
    for prompt, found in zip(PROMPTS, prefill(model, PROMPTS, begun), strict=True):
        assert found.length == len(prompt)
        assert np.allclose(found.logits, reference_logits(reference, prompt)[-1], atol=1e-4)


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 20))
def test_prompts_read_together_are_neighbours_and_not_too_long(lengths, total):
    groups = [lengths[each] for each in reading.grouped(lengths, total)]
    assert list(chain.from_iterable(groups)) == lengths
    assert all(len(group) == 1 or sum(group) <= total for group in groups)
    assert all(sum(one) + other[0] > total for one, other in pairwise(groups)), "no group could have taken one more"


def drawn(seed, logits):
    """The tokens that a seed gives, one row of logits after the other."""
    one, zero = np.ones(1, np.float32), np.zeros(1, np.int64)
    places = np.arange(len(logits), dtype=np.uint64)[:, None]
    at = [uniforms(np.array([seed], dtype=np.uint64), place) for place in places]
    return [int(draw(row[None], zero, u, one, 0.05 * one)[0]) for row, u in zip(logits, at, strict=True)]


def test_every_token_is_the_one_that_transformers_logits_give(models):
    reference, model = models
    wanted = jobs()
    done = decode(model, wanted[:2], wanted[2:])
    assert sorted(by_place(done)) == [(n, index) for n in range(3) for index in range(4 + n)]
    for each in done:
        tokens = [*each.tokens, *([3] if each.finish_reason == "stop" else [])]
        logits = reference_logits(reference, [*each.job.prompt, *tokens])[len(each.job.prompt) - 1 : -1]
        assert tokens == drawn(each.job.seeds[each.index], logits)


def test_distinct_samples_are_those_that_transformers_logits_give(models):
    """The race by hand: all prefixes of one length side by side, their logits from transformers."""
    reference, model = models
    job = Job(PROMPTS[1], tuple(range(12)), 1.0, 0.0, 5, distinct=True)
    racing, ended = [((), start(0))], []
    while racing:
        logits = np.stack([reference_logits(reference, [*job.prompt, *tokens])[-1] for tokens, _ in racing])
        field = Field([runner for _, runner in racing], [runner for *_, runner in ended], 12, 1.0, 0.0)
        (found,) = race(logits, [field])
        longer = [((*racing[row][0], token), runner) for row, token, runner in found]
        first = sorted([*longer, *ended], key=lambda each: each[-1])[:12]
        ended = [each for each in first if each[0][-1] == 3 or len(each[0]) == 5]
        racing = [each for each in first if each not in ended]
    wanted = [tokens[:-1] if tokens[-1] == 3 else tokens for tokens, _ in sorted(ended, key=lambda each: each[-1])]
    done = by_place(decode(model, jobs(), [job]))
    assert [done[None, index][0] for index in range(12)] == wanted


@pytest.mark.parametrize("distinct", [False, True])
def test_samples_do_not_depend_on_other_jobs(models, distinct):
    _, model = models
    others = [replace(job, tag="other") for job in jobs(samples=9)[1:]]
    together = by_place(decode(model, [*others, *jobs(distinct=distinct)]))
    for job in jobs(distinct=distinct)[::2]:
        alone = by_place(decode(model, [job]))
        assert alone == {place: together[place] for place in alone}


def test_a_sample_does_not_depend_on_the_others_of_its_job(models):
    _, model = models
    job = jobs()[1]
    together = by_place(decode(model, [job]))
    for index, seed in enumerate(job.seeds):
        assert [each.tokens for each in decode(model, [replace(job, seeds=(seed,))])] == [together[1, index][0]]


def test_fewer_distinct_samples_are_the_first_of_more(models):
    _, model = models
    many, few = (by_place(decode(model, jobs(samples=count, distinct=True))) for count in (40, 5))
    assert all(many[place] == few[place] for place in few)
    assert len(set(many.values())) > 100


def test_where_too_few_are_probable_enough_distinct_samples_are_repeated(models):
    _, model = models
    done = by_place(decode(model, [Job(PROMPTS[0], tuple(range(10)), 1.0, 1.0, 6, distinct=True)]))
    assert len(done) == 10
    assert len(set(done.values())) == 1


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_what_samples_have_in_common_is_computed_once(models, monkeypatch, temperature):
    _, model = models
    rows, layer = [], shared_prefix._layer

    def counted(model, index, hidden, *more):
        rows.append(len(hidden))
        layer(model, index, hidden, *more)

    monkeypatch.setattr(shared_prefix, "_layer", counted)
    done = decode(model, [Job(PROMPTS[0], tuple(range(20)), temperature, 0.0, 8)], end=-1)
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
    decoder.drop(lambda job: job.tag == 1)
    done = [each for _ in range(12) for each in decoder.step()]
    assert {each.job.tag for each in done} == {0, 2}


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EndpointError, match=r"config\.json"):
        load_llama(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EndpointError, match="bert"):
        load_llama(tmp_path)
