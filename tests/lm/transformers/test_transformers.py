import asyncio
import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch
from small_models import END, EOS, SAMPLING, collect, save_small_model, texts, use

from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.learning.trainers.tokens import read_tokens
from soar.lm.transformers.load import out_of_memory
from soar.lm.transformers.text import Text
from soar.types import Message, Sampling

CHAT = (Message("system", "You write programs."), Message("user", "Mirror every row of 12 and 30."))
OTHER = (Message("system", "You write programs."), Message("user", "Turn 4 round, then 5, then 6, and so on."))


def test_the_same_samples_come_for_the_same_seeds_whatever_else_is_in_flight(small):
    async def action(lm):
        alone = await collect(lm, CHAT, [5])
        found = [alone * 16, await collect(lm, CHAT, [5] * 16)]
        batch = await collect(lm, CHAT, range(16))
        missing = await collect(lm, CHAT, [3, 5, 11])
        found += [missing, [batch[3], batch[5], batch[11]]]
        others = (collect(lm, OTHER, range(20), replace(SAMPLING, max_new_tokens=40)), collect(lm, "a b", [1]))
        among, *_ = await asyncio.gather(collect(lm, CHAT, range(16)), *others)
        await collect(lm, (*OTHER, Message("assistant", "x" * 90)), [1])
        return [*found, batch, among, await collect(lm, CHAT, range(16))]

    same, repeated, missing, picked, batch, *again = map(texts, use(small, action))
    assert len(set(batch)) == 16
    assert same == repeated == [batch[5]] * 16
    assert missing == picked
    assert again == [batch] * 2


def test_a_small_batch_gives_the_same_samples_as_a_large_one(small):
    large, small_ = (use(small, lambda lm: collect(lm, CHAT, range(30)), batch=batch) for batch in (64, 8))
    assert texts(large) == texts(small_)


def test_decoded_alone_in_a_fixed_shape_the_samples_do_not_depend_on_the_others_either(small):
    async def action(lm):
        alone = await collect(lm, CHAT, [5])
        batch, _ = await asyncio.gather(collect(lm, CHAT, range(11)), collect(lm, OTHER, range(5)))
        return texts(alone), texts(batch)

    alone, batch = use(small, action, dtype="bfloat16", batch=8)
    assert len(set(batch)) == 11
    assert alone == [batch[5]]


def test_a_model_whose_attention_is_not_shared_gives_the_same_samples(tmp_path, small, caplog):
    save_small_model(tmp_path, "Mistral", sliding_window=500)
    shared = use(small, lambda lm: collect(lm, CHAT, range(10)))
    assert caplog.messages == []
    own = use(tmp_path, lambda lm: collect(lm, CHAT, range(10)))
    assert "its own copy of the prompt" in caplog.text
    assert texts(own) == texts(shared), "a Mistral is a Llama where its window is wide"


def test_without_chance_it_writes_what_generate_writes(small):
    from transformers import AutoModelForCausalLM

    (found,) = use(small, lambda lm: collect(lm, CHAT, [0], Sampling(1.0, 1.0, 30)))
    model = AutoModelForCausalLM.from_pretrained(small)
    prompt = torch.tensor([Text(small).tokens(CHAT)])
    expected = model.generate(prompt, do_sample=False, max_new_tokens=30, eos_token_id=[EOS, END])  # type: ignore[operator]
    assert found.text == Text(small).text(tuple(expected[0, prompt.shape[1] :].tolist()))


def test_prompts_are_told_as_the_trainer_tells_them(small, tmp_path):
    from transformers import AutoTokenizer

    chat = [{"role": message.role, "content": message.content} for message in CHAT]
    rows = [
        {"prompt": chat, "completion": [{"role": "assistant", "content": "ok"}]},
        {"prompt": "plain text", "completion": "ok"},
    ]
    (tmp_path / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = AutoTokenizer.from_pretrained(small)
    told, _ = read_tokens(tmp_path / "rows", tokenizer, 1000)
    text = Text(small)
    for tokens, prompt in zip(told, (CHAT, "plain text"), strict=True):
        assert text.tokens(prompt) == tuple(tokens.ids[: tokens.masked])
    assert told[0].ids[told[0].masked :][-2] == END


def test_an_answer_ends_at_every_token_that_the_model_or_its_template_names(tmp_path):
    model = save_small_model(tmp_path)
    assert Text(tmp_path).stops(model) == {EOS, END}
    model.generation_config.eos_token_id = [7, 9]
    assert Text(tmp_path).stops(model) == {EOS, END, 7, 9}


def test_completions_are_counted_and_say_why_they_ended(small):
    completions = use(small, lambda lm: collect(lm, CHAT, range(24), replace(SAMPLING, max_new_tokens=100)))
    tokenizer = Text(small)
    prompt = len(tokenizer.tokens(CHAT))
    assert {each.prompt_tokens for each in completions} == {prompt}
    assert {each.finish_reason for each in completions} == {"stop", "length"}
    assert all(each.completion_tokens == 100 for each in completions if each.finish_reason == "length")
    assert all(each.completion_tokens <= 100 for each in completions)
    assert not any("<|" in each.text or "<eos>" in each.text for each in completions)


def test_what_does_not_fit_the_context_is_refused_before_anything_is_generated(small):
    async def action(lm):
        length = len(Text(small).tokens(CHAT))
        assert lm.fits(CHAT, 200 - length)
        assert not lm.fits(CHAT, 201 - length)
        with pytest.raises(PromptTooLong, match="exceed the context of 200"):
            await collect(lm, CHAT, [1], replace(SAMPLING, max_new_tokens=201 - length))

    use(small, action, context=200)


def test_out_of_memory_fewer_are_decoded_side_by_side_and_nothing_is_lost(small, caplog):
    expected = use(small, lambda lm: collect(lm, CHAT, range(20)))

    async def action(lm):
        step, sizes = lm._model.step, []

        def narrow(groups, tokens):
            sizes.append(len(tokens))
            if len(tokens) > 10:
                raise torch.OutOfMemoryError("no")
            return step(groups, tokens)

        lm._model.step = narrow
        found = await collect(lm, CHAT, range(20))
        assert max(sizes[2:]) <= 8
        return found

    assert texts(use(small, action, batch=32)) == texts(expected)
    assert [message for message in caplog.messages if "out of memory" in message] == [
        f"out of memory: at most {rows} samples side by side from now on" for rows in (16, 8)
    ]


def test_where_a_request_does_not_fit_the_memory_it_is_decoded_in_smaller_batches_of_one_shape(small):
    async def action(lm):
        step, sizes = lm._model.step, []
        lm._model.step = lambda groups, tokens: sizes.append(len(tokens)) or step(groups, tokens)
        lm._most_tokens = 13 * SAMPLING.max_new_tokens
        found = await collect(lm, CHAT, range(30))
        alone = await collect(lm, CHAT, [29])
        assert set(sizes) == {12}
        lm._most_tokens = 10**6
        await collect(lm, CHAT, [1])
        assert sizes[-1] == 32
        return texts(found), texts(alone)

    found, alone = use(small, action, dtype="bfloat16", batch=32)
    assert len(found) == 30
    assert alone == found[29:]


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("no"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_recognised_in_whatever_form_it_is_said(error, is_it):
    assert out_of_memory(error) is is_it


@pytest.mark.parametrize(("error", "kind"), [("CUDA error: out of memory", EndpointError), ("no", RuntimeError)])
def test_weights_that_do_not_fit_the_device_are_said(small, monkeypatch, error, kind):
    def full(*_):
        raise RuntimeError(error)

    monkeypatch.setattr("transformers.LlamaForCausalLM.to", full)
    with pytest.raises(kind, match="GiB in float32, more than is free on cpu" if kind is EndpointError else "no"):
        use(small, collect)


def test_an_error_of_the_model_reaches_those_that_wait_and_the_next_request_is_served(small):
    async def action(lm):
        step = lm._model.step
        lm._model.step = lambda *_: 1 / 0
        with pytest.raises(EndpointError, match="ZeroDivisionError"):
            await asyncio.wait_for(collect(lm, CHAT, [1]), 10)
        lm._model.step = step
        assert len(await collect(lm, CHAT, [1])) == 1

    use(small, action)


def test_a_cancelled_request_gives_its_place_to_the_next(small):
    async def action(lm):
        slow = asyncio.create_task(collect(lm, CHAT, range(8), replace(SAMPLING, max_new_tokens=400)))
        await asyncio.sleep(0.05)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        await collect(lm, OTHER, [1], replace(SAMPLING, max_new_tokens=1))
        assert lm._decoder.rows == 0
        assert lm.requests() == {"issued": 2, "retried": 0, "failed": 0}

    use(small, action)


def test_closing_ends_what_waits_and_frees_the_model(small):
    async def action(lm):
        model = weakref.ref(lm._model._model)
        waiting = asyncio.create_task(collect(lm, CHAT, range(64), replace(SAMPLING, max_new_tokens=400)))
        await asyncio.sleep(0.05)
        await lm.close()
        with pytest.raises(EndpointError, match="closed"):
            await asyncio.wait_for(waiting, 10)
        with pytest.raises(EndpointError, match="closed"):
            await collect(lm, CHAT, [1])
        gc.collect()
        assert model() is None

    use(small, action)


def test_a_device_that_is_not_there_and_a_model_that_cannot_be_read_are_said(small, tmp_path):
    with pytest.raises(ConfigError, match=r"lm\.device"):
        use(small, collect, device="nonsense")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EndpointError, match="cannot be"):
        use(tmp_path, collect)
