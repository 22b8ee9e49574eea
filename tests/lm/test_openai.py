import asyncio
import json
import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from loopback import Answer, as_json, choices, error, serving

from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.lm.openai import OpenAICompatible
from soar.types import Completion, Message, Prompt, Sampling

PROMPT = (Message("system", "rules"), Message("user", "task"))
SAMPLING = Sampling(temperature=0.7, min_p=0.05, max_new_tokens=32)


class Asked:
    """What one `generate` brought: the completions by place in order of arrival, the error, the counters, the time."""

    def __init__(self) -> None:
        self.found: list[tuple[int, Completion]] = []
        self.error: Exception | None = None
        self.requests: dict[str, int] = {}
        self.seconds = 0.0
        self.fits = True

    @property
    def texts(self) -> list[str]:
        return [completion.text for _, completion in sorted(self.found, key=lambda item: item[0])]


def ask(url: str, count: int = 1, prompt: Prompt = PROMPT, times: int = 1, **settings) -> Asked:
    """Ask for `count` completions with seeds 100, 101, …, `times` times over one connection; the last is returned."""

    async def all_of_it() -> Asked:
        options = {"deadline_seconds": 5.0, "give_up_seconds": 5.0, "backoff_seconds": 0.02, **settings}
        lm = OpenAICompatible("some-model", url, **options)
        asked = Asked()
        for _ in range(times):
            asked = Asked()
            begun = time.monotonic()
            try:
                async for item in lm.generate(prompt, range(100, 100 + count), SAMPLING):
                    asked.found.append(item)
            except EndpointError as problem:
                asked.error = problem
            asked.seconds = time.monotonic() - begun
        asked.requests = lm.requests()
        asked.fits = lm.fits(prompt, SAMPLING.max_new_tokens)
        await lm.close()
        return asked

    return asyncio.run(all_of_it())


def by_seed(body, number):
    """A server that honours n and seeds."""
    return choices(*(f"{body['seed'] + index}" for index in range(body.get("n", 1))))


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
        asked = ask(server.url, 5, times=2)
    assert asked.texts == ["100", "101", "102", "103", "104"]
    assert sorted(body["seed"] for body in server.bodies) == sorted([100, 101, 102, 103, 104] * 2)
    assert [body.get("n") for body in server.bodies] == [5] + [None] * 9


def test_a_server_that_caps_n_is_asked_again_for_the_rest():
    with serving(lambda body, number: by_seed({**body, "n": min(body.get("n", 1), 2)}, number)) as server:
        asked = ask(server.url, 5)
    assert asked.texts == ["100", "101", "102", "103", "104"]
    assert [(body["seed"], body.get("n", 1)) for body in server.bodies] == [(100, 5), (102, 3), (104, 1)]


def test_surplus_choices_are_not_taken():
    with serving(lambda body, number: choices("a", "b", "c")) as server:
        assert ask(server.url, 2).texts == ["a", "b"]


@pytest.mark.parametrize(
    ("status", "refused", "words"),
    [
        (400, "min_p", {"error": {"message": "Unrecognized request argument supplied: min_p"}}),
        (400, "min_p", {"error": {"message": "no", "param": "min_p"}}),
        (422, "min_p", {"detail": [{"loc": ["body", "min_p"], "msg": "not permitted", "input": {"seed": 1}}]}),
        (422, "min_p", {"detail": "Unexpected keys in the request: {'min_p'}"}),
        (400, "seed", {"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed')}]"}),
        (400, "top_k", {"error": "property 'top_k' is unsupported"}),
        (400, "n", {"error": {"message": "'n' must be 1"}}),
    ],
)  # fmt: skip
def test_a_refused_field_is_dropped_once_and_for_all_and_said_loudly(caplog, status, refused, words):
    def behave(body, number):
        return as_json(words, status) if refused in body else by_seed({"seed": 0, **body}, number)

    with serving(behave) as server:
        asked = ask(server.url, 2, times=2)
    assert asked.error is None
    assert len(asked.found) == 2
    assert [refused in body for body in server.bodies] == [True] + [False] * (len(server.bodies) - 1)
    warned = [record.message for record in caplog.records if "off from now on" in record.message]
    assert len(warned) == 1
    assert refused in warned[0]
    assert server.url in warned[0]


def test_several_refused_fields_are_dropped_one_after_the_other():
    def behave(body, number):
        refused = [field for field in ("min_p", "top_k", "seed", "max_tokens") if field in body]
        return error(400, f"Unsupported parameter: '{refused[0]}'") if refused else choices("a")

    with serving(behave) as server:
        assert ask(server.url).texts == ["a"]
    assert server.bodies[-1]["max_completion_tokens"] == 32


def test_a_refusal_that_names_no_field_costs_the_extensions_first():
    def behave(body, number):
        return Answer(422, b"Unprocessable Entity") if {"min_p", "top_k"} & body.keys() else choices("a")

    with serving(behave) as server:
        assert ask(server.url).texts == ["a"]
    assert len(server.bodies) == 2


def test_requests_on_their_way_when_a_field_is_refused_are_sent_again():
    def behave(body, number):
        if "n" not in body and "min_p" in body:
            time.sleep(0.1)
            return error(400, "unknown field min_p")
        return choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 6)
    assert len(asked.found) == 6
    assert asked.error is None


def test_a_refusal_without_a_remedy_is_an_error_with_the_servers_words():
    with serving(lambda body, number: error(400, "messages must alternate")) as server:
        asked = ask(server.url)
    assert "messages must alternate" in str(asked.error)
    assert asked.requests["failed"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        Answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"}),
        Answer(200, b'{"choices": [{"message": {"content": "cut o', {"Content-Type": "application/json"}),
        Answer(200, b'{"choices": [{"mess', {"Content-Type": "application/json"}, announce=500),
        Answer(200, b"", {"Content-Type": "application/json"}),
        Answer(200, b"[" * 100_000, {"Content-Type": "application/json"}),
        Answer(200, b"\xff\xfe\xff", {"Content-Type": "application/json"}),
        Answer(drop=True),
        as_json([]),
        as_json({"error": {"message": "overloaded"}}),
        as_json({"choices": []}),
        as_json({"choices": [3, {"message": None}]}),
        error(500, "out of memory"),
        Answer(502, b"<html>Bad Gateway</html>"),
        error(503, "loading"),
        error(408, "slow"),
        error(429, "slow down"),
    ],
)
def test_what_may_pass_is_asked_again(bad):
    with serving(lambda body, number: bad if number < 2 else choices("good")) as server:
        asked = ask(server.url)
    assert asked.texts == ["good"]
    assert asked.requests == {"issued": 1, "retried": 2, "failed": 0}


@pytest.mark.parametrize(
    "header",
    [
        {"Retry_After": "0.4"},
        {"retry_after_ms": "400"},
        {"Retry_After": format_datetime(datetime.now(UTC) + timedelta(hours=-1), usegmt=True)},
    ],
)
def test_retry_after_is_honoured_by_all_requests(header):
    past = "GMT" in next(iter(header.values()))
    with serving(lambda body, number: error(429, "slow", **header) if number == 0 else choices("a")) as server:
        asked = ask(server.url)
    assert asked.texts == ["a"]
    assert (server.times[1] - server.times[0] >= 0.4) != past


def test_other_requests_wait_too_when_a_server_asks_for_a_pause():
    def behave(body, number):
        if number == 0:
            return choices("0")
        return error(429, "slow", Retry_After="0.4") if number == 1 else choices(str(body["seed"]))

    with serving(behave) as server:
        assert len(ask(server.url, 6, concurrency=1).found) == 6
    assert min(moment - server.times[1] for moment in server.times[2:]) >= 0.4


@pytest.mark.parametrize("pieces", [(b"x" * 10,), tuple(bytes([32]) for _ in range(40))])
def test_a_stalled_or_dripping_body_is_given_up_at_the_deadline(pieces):
    slow = Answer(200, headers={"Content-Type": "application/json"}, pieces=pieces, pause=4.0 / len(pieces))
    with serving(lambda body, number: slow if number == 0 else choices("good")) as server:
        asked = ask(server.url, deadline_seconds=0.3)
    assert asked.texts == ["good"]
    assert asked.seconds < 2.0


def test_an_endpoint_that_is_down_is_waited_for_and_said_so(caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def come_up():
        time.sleep(0.6)
        with serving(by_seed, port):
            done.wait()

    done = threading.Event()
    thread = threading.Thread(target=come_up)
    thread.start()
    asked = ask(f"http://127.0.0.1:{port}/v1", 3, backoff_seconds=0.1)
    done.set()
    thread.join()
    assert asked.texts == ["100", "101", "102"]
    said = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["trying again" in said[0].message, "answers again" in said[-1].message, len(said)] == [True, True, 2]


def test_an_endpoint_that_stays_down_is_given_up_with_address_and_cause():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        asked = ask(url, give_up_seconds=0.3)
    assert url in str(asked.error)
    assert "Connection error" in str(asked.error)
    assert asked.requests["failed"] == 1
    assert asked.seconds < 3.0


def test_an_endpoint_that_has_never_answered_is_not_waited_for_as_long_as_one_that_has(monkeypatch):
    monkeypatch.setattr("soar.lm.openai.FIRST_CONTACT_SECONDS", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        asked = ask(f"http://127.0.0.1:{free.getsockname()[1]}/v1", give_up_seconds=3600.0)
    assert "for 0.3 s" in str(asked.error)
    assert asked.seconds < 3.0

    with serving(lambda body, number: error(503, "loading") if number < 3 else by_seed(body, number)) as server:
        asked = ask(server.url, give_up_seconds=3600.0, backoff_seconds=0.2)
    assert asked.texts == ["100"]
    assert asked.seconds > 0.6


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
