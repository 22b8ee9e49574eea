import asyncio
import json

import pytest

from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.lm.scripted import Scripted, prompt_text, weights_digest
from soar.types import Completion, Message, Sampling

PROMPT = (Message("system", "rules"), Message("user", "the task"))
SEEDS = [11, 5, 8]


def answer(prompt: str, seed: int, weights: str = "none given") -> str:
    return f"{prompt}|{seed}|{weights}"


def ask(lm: Scripted, prompt=PROMPT, seeds=SEEDS) -> list[tuple[int, Completion]]:
    async def collect():
        return [item async for item in lm.generate(prompt, seeds, Sampling())]

    return asyncio.run(collect())


def texts(lm: Scripted, seeds=SEEDS) -> list[str]:
    return [completion.text for _, completion in ask(lm, seeds=seeds)]


def test_a_function_answers_each_seed_for_itself():
    found = ask(Scripted(lambda prompt, seed: f"{prompt} {seed}"))
    assert found == [
        (index, Completion(f"rules\n\nthe task {seed}", prompt_tokens=3, completion_tokens=4))
        for index, seed in enumerate(SEEDS)
    ]
    assert texts(Scripted(answer), [5]) == texts(Scripted(answer))[1:2]


def test_a_model_is_named_by_module_and_function(monkeypatch, tmp_path):
    (tmp_path / "replies_by_name.py").write_text("def reply(prompt, seed):\n    return str(seed)\n\nvalue = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert texts(Scripted("replies_by_name:reply")) == ["11", "5", "8"]
    for wrong in ("replies_by_name:value", "replies_by_name:nothing", "no_such_module:reply", str(tmp_path / "none")):
        with pytest.raises(ConfigError):
            Scripted(wrong)


def test_replies_are_chosen_by_the_seed(tmp_path):
    assert texts(Scripted(["a", "b", "c"])) == ["c", "c", "c"]
    path = tmp_path / "replies.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [{"text": "a"}, {"text": "b", "finish_reason": "length"}]))
    assert [(c.text, c.finish_reason) for _, c in ask(Scripted(str(path)))] == [
        ("b", "length"),
        ("b", "length"),
        ("a", "stop"),
    ]


def test_a_byte_order_mark_before_replies_is_passed_over(tmp_path):
    (tmp_path / "replies.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}')
    assert texts(Scripted(tmp_path / "replies.jsonl"), [1]) == ["a"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"text": 3}', "[" * 100_000])
def test_a_file_without_replies_is_refused(tmp_path, content):
    (tmp_path / "replies.jsonl").write_text(content)
    with pytest.raises(ConfigError):
        Scripted(tmp_path / "replies.jsonl")


def test_weights_change_the_answers_by_their_content(tmp_path):
    for name, content in {"a": "1", "b": "1", "c": "2"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(content)
    digests = [weights_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert texts(Scripted(answer)) == [answer("rules\n\nthe task", seed, "") for seed in SEEDS]
    assert texts(Scripted(answer, weights=tmp_path / "a")) == [
        answer("rules\n\nthe task", seed, digests[0]) for seed in SEEDS
    ]
    replies = [str(number) for number in range(1000)]
    assert texts(Scripted(replies, weights=tmp_path / "a")) != texts(Scripted(replies, weights=tmp_path / "c"))


def test_a_manifest_names_the_weights_without_reading_them(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    before = weights_digest(tmp_path)
    (tmp_path / "log.txt").write_text("took 3 s")
    assert weights_digest(tmp_path) == before


def test_a_failing_call_breaks_off_after_what_was_paid_for():
    lm = Scripted(answer, failing={1})
    assert len(ask(lm, seeds=[1, 2, 3, 4])) == 4
    kept = []  # what arrived before the error; a comprehension would lose it

    async def collect():
        async for item in lm.generate(PROMPT, [1, 2, 3, 4], Sampling()):
            kept.append(item)  # noqa: PERF401

    with pytest.raises(EndpointError):
        asyncio.run(collect())
    assert [index for index, _ in kept] == [0, 1]
    assert lm.requests() == {"issued": 2, "retried": 0, "failed": 1}


def test_a_prompt_over_the_context_is_refused_before_anything_is_generated():
    lm = Scripted(answer, context_characters=5)
    assert lm.fits("12345", 10)
    assert not lm.fits(PROMPT, 10)
    with pytest.raises(PromptTooLong):
        ask(lm)


def test_the_text_of_a_prompt_is_its_messages():
    assert prompt_text(PROMPT) == "rules\n\nthe task"
    assert prompt_text("plain") == "plain"
