"""What an OpenAI-compatible server is asked and what is made of its replies."""

import asyncio
import json
import time

import pytest
from asking import PROMPT, SAMPLING, ask, by_seed
from loopback import Answer, as_json, choices, error, serving

from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.lm.openai.client import OpenAICompatible


def test_a_server_that_honours_n_is_asked_once():
    with serving(by_seed) as server:
        asked = ask(server.url, 5)
    assert asked.texts == ["100", "101", "102", "103", "104"]
    assert asked.requests == {"issued": 1, "retried": 0, "failed": 0}
    body = server.bodies[0]
    assert body.pop("messages") == [{"role": "system", "content": "rules"}, {"role": "user", "content": "task"}]
    assert body == {
        "model": "some-model",
        "n": 5,
        "seed": 100,
        "temperature": 0.7,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.05,
        "max_tokens": 32,
    }


def test_a_plain_prompt_goes_to_the_text_interface():
    with serving(lambda body, number: as_json({"choices": [{"text": body["prompt"], "finish_reason": "length"}]})) as s:
        asked = ask(s.url, prompt="plain")
    assert s.paths == ["/v1/completions"]
    assert asked.found[0][1].text == "plain"
    assert asked.found[0][1].finish_reason == "length"


def test_where_n_is_ignored_the_missing_are_asked_for_with_their_own_seeds():
    def behave(body, number):
        return choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 5, times=4)
    assert asked.texts == ["100", "101", "102", "103", "104"]
    assert sorted(body["seed"] for body in server.bodies) == sorted([100, 101, 102, 103, 104] * 4)
    assert [body.get("n") for body in server.bodies] == [5, None, None, None, None] * 3 + [None] * 5


def test_n_is_not_given_up_by_odd_answers():
    def behave(body, number):
        return choices(str(body["seed"])) if number % 6 == 0 else by_seed(body, number)

    with serving(behave) as server:
        assert ask(server.url, 5, times=20).texts == ["100", "101", "102", "103", "104"]
    assert server.bodies[-1].get("n") == 5 or server.bodies[-5].get("n") == 5


def test_a_server_that_caps_n_is_asked_again_for_the_rest():
    with serving(lambda body, number: by_seed({**body, "n": min(body.get("n", 1), 2)}, number)) as server:
        asked = ask(server.url, 5)
    assert asked.texts == ["100", "101", "102", "103", "104"]
    assert [(body["seed"], body.get("n", 1)) for body in server.bodies] == [(100, 5), (102, 3), (104, 1)]


def test_surplus_choices_are_not_taken():
    with serving(lambda body, number: choices("a", "b", "c")) as server:
        assert ask(server.url, 2).texts == ["a", "b"]


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "lm.api_key_env"), (403, "lm.api_key_env"), (404, "/v1"), (405, "log")]
)
def test_what_waiting_does_not_mend_is_an_error_at_once(status, advice):
    with serving(lambda body, number: error(status, "no such thing")) as server:
        asked = ask(server.url)
    assert advice in str(asked.error)
    assert "no such thing" in str(asked.error)
    assert len(server.bodies) == 1


def test_an_exhausted_quota_is_an_error_at_once():
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with serving(lambda *_: as_json(body, 429)) as server:
        assert "quota" in str(ask(server.url).error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        error(400, "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens."),
        as_json({"error": {"message": "no", "code": "context_length_exceeded"}}, 400),
        as_json({"error": {"message": "no", "type": "exceed_context_size_error"}}, 400),
        error(422, "The input is too long for this model"),
        error(500, "the request exceeds the available context size, try increasing it"),
        Answer(413, b"Payload Too Large"),
    ],
)
def test_a_prompt_too_long_is_said_so_and_remembered(refusal):
    with serving(lambda body, number: refusal) as server:
        asked = ask(server.url, 4)
    assert isinstance(asked.error, PromptTooLong)
    assert not asked.fits
    assert len(server.bodies) == 1


def test_a_limit_on_new_tokens_is_no_prompt_too_long():
    with serving(lambda *_: error(400, "max_tokens is too large: 32. This model supports at most 16 tokens")) as server:
        asked = ask(server.url)
    assert isinstance(asked.error, EndpointError)
    assert not isinstance(asked.error, PromptTooLong)
    assert asked.fits


def test_null_content_is_an_empty_completion_that_counts():
    with serving(lambda body, number: choices(None, "b", reason="content_filter")) as server:
        asked = ask(server.url, 2)
    assert [(c.text, c.finish_reason) for _, c in asked.found] == [("", "content_filter"), ("b", "content_filter")]
    assert len(server.bodies) == 1


def test_content_in_parts_is_joined_and_a_missing_reason_is_stop():
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    with serving(lambda *_: as_json({"choices": [{"message": {"content": parts}}]})) as server:
        asked = ask(server.url)
    assert (asked.found[0][1].text, asked.found[0][1].finish_reason) == ("ab", "stop")


def test_tokens_of_a_reply_are_shared_among_its_choices():
    with serving(lambda *_: choices("a", "b", "c", prompt=10, completion=20)) as server:
        found = [completion for _, completion in ask(server.url, 3).found]
    assert [c.prompt_tokens for c in found] == [4, 3, 3]
    assert [c.completion_tokens for c in found] == [7, 7, 6]
    assert all(completion.seconds > 0 for completion in found)


def test_a_text_has_a_token_if_its_reply_counts_any():
    with serving(lambda *_: choices("", "", "c", "", prompt=5, completion=1)) as server:
        found = [completion for _, completion in ask(server.url, 4).found]
    assert [c.completion_tokens for c in found] == [0, 0, 1, 0]
    assert [c.prompt_tokens for c in found] == [1, 1, 2, 1]


def test_what_was_paid_for_comes_before_the_error():
    def behave(body, number):
        if body["seed"] == 102:
            return error(401, "the key was revoked")
        time.sleep(0.0 if body["seed"] == 100 else 0.2)
        return choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 5)
    assert asked.texts == ["100", "101", "103", "104"]
    assert "revoked" in str(asked.error)
    assert asked.requests == {"issued": 5, "retried": 0, "failed": 1}


def test_completions_come_as_they_arrive():
    def behave(body, number):
        time.sleep(0.3 if body["seed"] == 101 else 0.0)
        return choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 4)
    assert [place for place, _ in asked.found][-1] == 1


def test_no_more_requests_than_allowed_are_on_their_way():
    def behave(body, number):
        time.sleep(0.02)
        return choices(str(body["seed"]))

    with serving(behave) as server:
        assert len(ask(server.url, 12, concurrency=3).found) == 12
    assert server.most_at_once == 3


def test_a_key_is_sent_from_its_variable_and_a_dummy_otherwise(monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", "secret")
    monkeypatch.delenv("NO_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(by_seed) as server:
        for name in ("SOME_KEY", None, "NO_KEY"):
            ask(server.url, api_key_env=name)
    assert [headers["authorization"] for headers in server.headers] == ["Bearer secret", "Bearer none", "Bearer none"]
    assert [record.message for record in caplog.records if "NO_KEY" in record.message]


@pytest.mark.parametrize("url", ["", "localhost:8000/v1", "ftp://a/v1", "/v1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="base_url"):
        OpenAICompatible("model", url)


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(by_seed) as server:
        assert ask(server.url).texts == ["100"]


def test_identical_answers_are_warned_of_once(caplog):
    with serving(lambda body, number: choices(*["same"] * body["n"])) as server:
        ask(server.url, 4, times=2)
    assert len([record for record in caplog.records if "identical" in record.message]) == 1


def test_a_cancelled_search_leaves_no_request_behind():
    async def begin_and_stop(url):
        lm = OpenAICompatible("model", url)
        before = asyncio.all_tasks()
        task = asyncio.ensure_future(anext(lm.generate(PROMPT, range(4), SAMPLING)))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert asyncio.all_tasks() == before
        await lm.close()

    with serving(lambda *_: Answer(200, pieces=(b"x",), pause=1.0)) as server:
        asyncio.run(begin_and_stop(server.url))


def test_text_outside_unicode_arrives():
    with serving(lambda *_: Answer(200, json.dumps({"choices": [{"message": {"content": "\ud800"}}]}).encode())) as s:
        assert ask(s.url).texts == ["\ud800"]
