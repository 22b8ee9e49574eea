import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_llama import save_small_llama

from soar.lm.embedded import prefixes
from soar.lm.embedded.llama import load_llama
from soar.lm.embedded.prefill import prefill
from soar.lm.embedded.prefixes import SHORTEST, Prefixes, common

TASK = tuple(5 + i % 40 for i in range(SHORTEST + 10))


@pytest.fixture(scope="module", params=["llama", "qwen3", "grouped"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    changes = {"num_attention_heads": 4, "num_key_value_heads": 2} if request.param == "grouped" else {}
    save_small_llama(folder, "qwen3" if request.param == "qwen3" else "llama", **changes)
    return load_llama(folder)


def same(one, other):
    assert one.length == other.length
    assert np.allclose(one.logits, other.logits, atol=1e-4)
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert np.allclose(a, b, atol=1e-4)


def counted(monkeypatch):
    read = []

    def counting(model, prompts, known):
        read.extend(prompt for prompt, cache in zip(prompts, known, strict=True) if cache is None)
        return prefill(model, prompts, known)

    monkeypatch.setattr(prefixes, "prefill", counting)
    return read


def test_a_prompt_read_from_where_it_differs_leaves_what_it_would_by_itself(model, monkeypatch):
    read = counted(monkeypatch)
    known = Prefixes(model)
    prompts = [(*TASK, 2), (*TASK, 1, 50, 51, 2), (*TASK[:-4], 60, 2), TASK[:-3], (*TASK, 2)]
    for prompt in prompts:
        (found,) = known.read([prompt])
        same(found, prefill(model, [prompt])[0])
    assert read == [prompts[0]]


def test_prompts_read_together_keep_their_places(model):
    known = Prefixes(model)
    other, short = tuple(reversed(TASK)), TASK[:9]
    known.read([(*TASK, 2)])
    prompts = [short, other, (*TASK, 1, 2), (*other, 7)]
    for prompt, found in zip(prompts, known.read(prompts), strict=True):
        same(found, prefill(model, [prompt])[0])


def test_prompts_not_asked_for_longest_are_forgotten(model, monkeypatch):
    monkeypatch.setattr(prefixes, "KEPT_TOKENS", 2 * len(TASK))
    known, read = Prefixes(model), counted(monkeypatch)
    first, second, third = ((*TASK[n:], *TASK[:n]) for n in range(3))
    for prompt in (first, second, first, third, first, second):
        known.read([prompt])
    assert read == [first, second, third, second]


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_what_prompts_have_in_common_leaves_one_token_to_read(known, prompt):
    length = common(known, prompt)
    assert length < len(prompt)
    assert known[:length] == prompt[:length]
    assert length in (len(known), len(prompt) - 1) or known[length] != prompt[length]
