import pytest
import torch
from small_models import save_small_model

from soar.lm.transformers.attention import Own
from soar.lm.transformers.decode import GRANULE, rows_are_alike
from soar.lm.transformers.shared import SharedPrefix, can_share, common

PROMPT = tuple(torch.randint(6, 262, (150,), generator=torch.Generator().manual_seed(1)).tolist())
ANSWER = tuple(torch.randint(6, 262, (70,), generator=torch.Generator().manual_seed(2)).tolist())


@torch.inference_mode()
def expected(model, tokens):
    return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3"])
def test_shared_attention_agrees_with_the_models_own(tmp_path, family):
    model = save_small_model(tmp_path, family)
    whole = expected(model, PROMPT + ANSWER)
    assert can_share(model) is None
    assert torch.equal(expected(model, PROMPT + ANSWER), whole), "looking has changed the model"
    shared = SharedPrefix(model, 1000)
    prefix = shared.read(PROMPT)
    assert (prefix.logits - whole[len(PROMPT) - 1]).abs().max() < 1e-4
    own = shared.begin(prefix, 4)
    for place, token in enumerate(ANSWER, len(PROMPT)):
        logits = shared.step([own], [token, 7, 8, token])
        assert (logits[[0, 3]] - whole[place]).abs().max() < 1e-4


def test_groups_of_several_prompts_are_decoded_together(tmp_path):
    model = save_small_model(tmp_path)
    prompts = (PROMPT, PROMPT[:100] + ANSWER[:9], ANSWER)
    wholes = [expected(model, prompt + ANSWER[:3]) for prompt in prompts]
    shared = SharedPrefix(model, 1000)
    groups = [shared.begin(shared.read(prompt), rows) for prompt, rows in zip(prompts, (4, 8, 4), strict=True)]
    for place, token in enumerate(ANSWER[:3]):
        logits = shared.step(groups, [token] * 16)
        for row, prompt, whole in zip((0, 4, 15), prompts, wholes, strict=True):
            assert (logits[row] - whole[len(prompt) + place]).abs().max() < 1e-4


def test_what_a_prompt_leaves_behind_is_the_same_bits_whatever_was_read_before(small):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(small, dtype=torch.float32)
    alone = SharedPrefix(model, 1000).read(PROMPT)
    for before in (PROMPT[:70] + ANSWER, PROMPT[:149], PROMPT + ANSWER, ANSWER):
        shared = SharedPrefix(model, 1000)
        shared.read(before)
        again = shared.read(PROMPT)
        assert torch.equal(again.logits, alone.logits)
        assert all(torch.equal(a, b) for a, b in zip(again.keys, alone.keys, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(again.values, alone.values, strict=True))


def test_a_prompt_that_begins_like_a_known_one_is_read_from_there_on(small):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(small, dtype=torch.float32)
    read: list[int] = []
    model.register_forward_pre_hook(lambda _, __, more: read.append(more["input_ids"].numel()), with_kwargs=True)
    shared = SharedPrefix(model, 400)
    for prompt, blocks in ((PROMPT, 3), (PROMPT[:130] + ANSWER[:50], 1), (PROMPT, 0), (ANSWER + PROMPT, 4)):
        read.clear()
        shared.read(prompt)
        assert read == [64] * blocks
    shared.read(ANSWER * 4)
    read.clear()
    shared.read(PROMPT)
    assert read == [64] * 3, "what was not asked for longest is forgotten"


def test_a_model_that_does_not_attend_to_all_tokens_is_not_shared(tmp_path):
    model = save_small_model(tmp_path, "Mistral", sliding_window=64)
    assert "attend to all" in str(can_share(model))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("layers", "vocabulary"), [(3, 262), (24, 20_000)])
def test_rounding_is_not_taken_for_another_attention_nor_the_reverse(tmp_path, monkeypatch, layers, vocabulary, dtype):
    model = save_small_model(tmp_path, num_hidden_layers=layers, vocab_size=vocabulary).to(dtype)
    assert can_share(model) is None
    assert model.config._attn_implementation == "sdpa"
    attend = Own.attend

    def other(self, layer, query, key, value, scale):
        return attend(self, layer, query, key, value, 1.5 * scale)

    monkeypatch.setattr(Own, "attend", other)
    assert "standard deviations, and between two ways of its own by" in str(can_share(model))
    assert model.config._attn_implementation == "sdpa"


def test_rows_are_called_alike_where_they_have_the_same_bits_in_any_company(small):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(small, dtype=torch.float32)
    weights = [weight for weight in model.parameters() if weight.dim() == 2]
    together = [torch.randn((64, weight.shape[1]), generator=torch.Generator().manual_seed(3)) for weight in weights]
    alike = all(
        torch.equal(rows[-count:] @ weight.T, (rows @ weight.T)[-count:])
        for rows, weight in zip(together, weights, strict=True)
        for count in range(GRANULE, 65, GRANULE)
    )
    assert rows_are_alike(model, 64) == alike, "on most processors they do, on some they do not"
    halved = AutoModelForCausalLM.from_pretrained(small, dtype=torch.bfloat16)
    assert not rows_are_alike(halved, 64)


def test_prompts_are_compared_from_their_beginning():
    assert common((1, 2, 3), (1, 2, 4)) == 2
    assert common((1, 2), (1, 2, 4)) == 2
    assert common((), (1,)) == 0
