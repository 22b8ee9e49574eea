"""A reply is bounded in size and read with mistrust, and keys stay where they belong."""

import gzip
import json
import time
import tracemalloc

import pytest
from asking import ask, by_seed
from hypothesis import given
from hypothesis import strategies as st
from loopback import Answer, as_json, choices, error, serving

from soar.errors import ConfigError
from soar.lm.openai import Backend
from soar.lm.openai.reply import KEPT, MAX_TEXT, MAX_TOKENS, read_reply

KEY = "sk-0123456789/abc"
JSON = {"Content-Type": "application/json"}


def one(message: object, reason: str = "stop", **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}], **more}).encode()


def test_a_reply_that_unpacks_to_gigabytes_is_a_bad_reply():
    packed = gzip.compress(b" " * 150_000_000, 1)
    bomb = Answer(200, packed, {**JSON, "Content-Encoding": "gzip"})
    with serving(lambda body, number: bomb if number == 0 else choices("good")) as server:
        tracemalloc.start()
        asked = ask(server.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert asked.texts == ["good"]
    assert asked.requests == {"issued": 1, "retried": 1, "failed": 0}
    assert peak < 120_000_000


def test_an_error_that_unpacks_to_gigabytes_is_bounded_too():
    packed = gzip.compress(b" " * 150_000_000, 1)
    bomb = Answer(500, packed, {**JSON, "Content-Encoding": "gzip"})
    with serving(lambda body, number: bomb if number == 0 else choices("good")) as server:
        assert ask(server.url).texts == ["good"]


def test_a_reply_of_many_megabytes_is_not_read_to_its_end():
    huge = Answer(200, headers=JSON, pieces=(b" " * 50_000_000,))
    with serving(lambda body, number: huge if number == 0 else choices("good")) as server:
        begun = time.monotonic()
        assert ask(server.url, deadline_seconds=30.0).texts == ["good"]
    assert time.monotonic() - begun < 20.0


def test_packed_replies_are_read():
    body = gzip.compress(choices("good").body)
    with serving(lambda *_: Answer(200, body, {**JSON, "Content-Encoding": "gzip"})) as server:
        assert ask(server.url).texts == ["good"]


def test_a_text_without_end_is_kept_in_part_and_counts_as_cut_off():
    ((text, reason),) = read_reply(one({"content": "x" * (MAX_TEXT + 1)})).choices
    assert (len(text), reason) == (KEPT, "length")
    assert len(read_reply(one({"content": "x" * MAX_TEXT})).choices[0][0]) == MAX_TEXT


@pytest.mark.parametrize("count", [2**70, 2**63, MAX_TOKENS + 1, -1, "12", True, 1.5, None, [1], {}])
def test_a_count_of_tokens_that_makes_no_sense_counts_as_none(count):
    usage = {"prompt_tokens": count, "completion_tokens": count}
    reply = read_reply(one({"content": "a"}, usage=usage))
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)


@given(st.recursive(st.none() | st.integers() | st.text() | st.booleans(), lambda x: st.dictionaries(st.text(), x)))
@pytest.mark.slow
def test_any_usage_gives_numbers_that_a_database_takes(usage):
    reply = read_reply(one({"content": "a"}, usage=usage))
    assert 0 <= reply.prompt_tokens <= MAX_TOKENS


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("content", [None, "", "\n"])
def test_reasoning_is_the_text_where_there_is_no_content(name, content):
    with serving(lambda *_: Answer(200, one({"content": content, name: "```python\n1\n```"}), JSON)) as server:
        assert ask(server.url).texts == ["```python\n1\n```"]


def test_reasoning_beside_a_content_is_left_out():
    assert read_reply(one({"content": "a", "reasoning_content": "b"})).choices == (("a", "stop"),)


@pytest.mark.parametrize(
    "answer",
    [
        error(401, f"Incorrect API key provided: {KEY}"),
        error(400, f"bad header Authorization: Bearer {KEY}, max_tokens"),
        error(500, f"cannot log in with {KEY}"),
        Answer(403, b'{"error": {"message": "no access for ' + KEY.replace("/", "\\/").encode() + b'"}}', JSON),
        Answer(200, b'{"error": "' + b"x" * 140 + KEY.replace("/", "\\/").encode() + b'"}', JSON),
        Answer(200, f"<html>{KEY}</html>".encode()),
        as_json({"error": {"message": f"no access for {KEY}"}}),
    ],
)
def test_a_key_that_a_server_repeats_is_never_said(answer, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", KEY)
    with serving(lambda *_: answer) as server:
        asked = ask(server.url, api_key_env="SOME_KEY", backoff_seconds=0.001)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "[key]" in str(asked.error)
    assert "0123456789" not in f"{asked.error} {caplog.text}"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{KEY.replace('/', '')}@host/v1",
        "https://sk-0123456789@host/v1",
        "https://host/v1?key=sk-0123456789",
        "https://host/v1?version=3&api_key=sk-0123456789",
        "https://host/v1#access_token=sk-0123456789",
    ],
)
def test_a_key_in_the_address_is_refused_without_being_said(url):
    with pytest.raises(ConfigError, match=r"lm\.api_key_env") as caught:
        Backend(Backend.Settings(model="m", base_url=url))
    assert "0123456789" not in str(caught.value)


def test_a_key_in_an_address_that_is_none_is_not_said():
    with pytest.raises(ConfigError, match="not an address") as caught:
        Backend(Backend.Settings(model="m", base_url="user:sk-0123456789@host/v1"))
    assert "0123456789" not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_without_being_said():
    with pytest.raises(ConfigError, match="not the name of a variable") as caught:
        Backend(Backend.Settings(model="m", base_url="https://host/v1", api_key_env="sk-0123456789"))
    assert "0123456789" not in str(caught.value)


def test_no_stop_strings_are_sent():
    with serving(by_seed) as server:
        ask(server.url)
    assert len(server.bodies[0].get("stop", [])) <= 4
