"""What a server does not take is found out, said once and minded from then on."""

import asyncio
import re

import pytest
from asking import ask, by_seed
from loopback import as_json, choices, error, serving

from soar.errors import PromptTooLong
from soar.lm.openai import Backend
from soar.lm.openai.learnt import Learnt
from soar.lm.openai.refusal import read_refusal
from soar.lm.openai.request import without_system
from soar.search.settings import SamplingSettings
from soar.types import Message, Sampling


def said(caplog, words: str) -> int:
    return sum(words in record.message for record in caplog.records)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "Only one completion choice is allowed"),
        (400, "Only one completion choice is allowed"),
        (501, "Multiple completions are not supported"),
        (422, "This model returns just one completion"),
    ],
)
def test_where_only_one_choice_is_allowed_one_is_asked_for_at_a_time(caplog, status, words):
    def behave(body, number):
        return error(status, words) if body.get("n", 1) > 1 else choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 4, times=2)
    assert asked.texts == ["100", "101", "102", "103"]
    assert [body.get("n") for body in server.bodies] == [4] + [None] * 8
    assert said(caplog, "n is off from now on") == 1


@pytest.mark.parametrize("words", ["min_p is not supported", "Unexpected keyword argument 'min_p'", "unknown: min_p"])
def test_a_field_that_a_500_names_is_dropped(caplog, words):
    with serving(lambda body, number: error(500, words) if "min_p" in body else by_seed(body, number)) as server:
        assert ask(server.url, times=2).texts == ["100"]
    assert ["min_p" in body for body in server.bodies] == [True, False, False]
    assert said(caplog, "min_p is off from now on") == 1


def test_a_500_that_refuses_nothing_drops_nothing():
    words = "CUDA out of memory while sampling with min_p"
    with serving(lambda body, number: error(500, words) if number == 0 else by_seed(body, number)) as server:
        assert ask(server.url).texts == ["100"]
    assert "min_p" in server.bodies[-1]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "System role not supported"),
        (500, "System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (500, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, "Only user and assistant roles are supported!"),
        (422, "Input should be 'user' or 'assistant': messages.0.role 'system'"),
    ],
)
def test_the_system_text_moves_into_the_user_message(caplog, status, words):
    def behave(body, number):
        roles = [message["role"] for message in body["messages"]]
        return error(status, words) if roles != ["user"] else by_seed(body, number)

    with serving(behave) as server:
        assert ask(server.url, 2, times=2).texts == ["100", "101"]
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "rules\n\ntask"}]
    assert len(server.bodies) == 3
    assert said(caplog, "system message goes into the user message") == 1
    assert "min_p" in server.bodies[-1]


def test_messages_without_system_take_turns():
    roles = ("system", "user", "assistant", "system", "user", "user")
    merged = without_system([Message(role, str(place)) for place, role in enumerate(roles)])
    assert [(m.role, m.content) for m in merged] == [("user", "0\n\n1"), ("assistant", "2"), ("user", "3\n\n4\n\n5")]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    "words",
    [
        "valid range of max_tokens is [1, 16]",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 16]",
        "max_tokens is too large: 32. This model supports at most 16 completion tokens",
        "max_tokens must be at most 16, got 32",
    ],
)
def test_the_limit_of_new_tokens_is_lowered_to_what_the_server_says(caplog, status, words):
    with serving(lambda body, number: error(status, words) if body["max_tokens"] > 16 else choices("a")) as server:
        assert ask(server.url, times=2).texts == ["a"]
    assert [body["max_tokens"] for body in server.bodies] == [32, 16, 16]
    assert said(caplog, "at most 16 new tokens") == 1


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("valid range of max_tokens is [1,512]", 512),
        ("max_tokens must not exceed 1,024", 1024),
        ("max_tokens (4096) > 2048", 2048),
        ("Error 400: max_new_tokens should be <= 1000 for gpt-4-0613", 1000),
        ("max_tokens must be an integer", None),
        ("the seed must be below 1024", None),
    ],
)
def test_a_limit_of_new_tokens_is_read_as_it_is_written(words, limit):
    assert read_refusal(400, as_json({"error": {"message": words}}).body.decode(), ()).most_tokens(4096) == limit


def test_a_limit_that_is_not_said_is_an_error_that_names_the_settings():
    with serving(lambda *_: error(400, "too many max_tokens")) as server:
        found = str(ask(server.url).error)
    named = set(re.findall(r"sampling\.(\w+)", found))
    assert named == {"sample_tokens", "refine_tokens"}
    assert named <= SamplingSettings.model_fields.keys()


@pytest.mark.parametrize(
    ("words", "room"),
    [
        ("maximum context length is 2048 tokens. However, you requested 2060 tokens (2028 in the messages, 32 in the"
         " completion)", 20),
        ("'max_tokens' is too large: 32. This model's maximum context length is 2048 tokens and your request has 2028"
         " input tokens", 20),
        ("maximum context length is 2048 tokens. However, you requested 2060 tokens", 20),
        ("maximum context length is 2048 tokens. However, you requested 32 output tokens and your prompt contains 2028"
         " input tokens", 20),
        ("maximum context length is 2048 tokens. However, you requested 2100 tokens", -20),
        ("the request exceeds the available context size, try increasing it", None),
    ],
)  # fmt: skip
def test_the_room_behind_a_prompt_is_read_from_a_refusal(words, room):
    assert read_refusal(400, as_json({"error": {"message": words}}).body.decode(), ()).room(32) == room


def test_fewer_new_tokens_are_asked_for_behind_a_prompt_that_fills_the_context(caplog):
    words = "maximum context length is 2048 tokens. However, you requested 2060 tokens (2028 in the messages)"
    with serving(lambda body, number: error(400, words) if body["max_tokens"] > 20 else choices("a")) as server:
        asked = ask(server.url, times=2)
    assert (asked.texts, asked.fits) == (["a"], True)
    assert [body["max_tokens"] for body in server.bodies] == [32, 20, 20]
    assert said(caplog, "context is too short") == 1


def test_a_prompt_that_leaves_little_room_is_too_long():
    words = "maximum context length is 2048 tokens. However, you requested 2078 tokens (2046 in the messages)"
    with serving(lambda *_: error(400, words)) as server:
        assert isinstance(ask(server.url).error, PromptTooLong)
    assert len(server.bodies) == 1


def test_choices_that_broke_off_are_asked_for_again():
    def behave(body, number):
        count = body.get("n", 1)
        listed = [
            {"message": {"content": f"{number}"}, "finish_reason": "error" if number == 0 and place == 1 else "stop"}
            for place in range(count)
        ]
        return as_json({"choices": listed})

    with serving(behave) as server:
        asked = ask(server.url, 3)
    assert asked.texts == ["0", "0", "1"]
    assert [(body["seed"], body.get("n")) for body in server.bodies] == [(100, 3), (102, None)]
    assert all(completion.finish_reason == "stop" for _, completion in asked.found)


@pytest.mark.parametrize(
    "answer",
    [
        error(500, "Internal server error, request 8f3a-11"),
        as_json({"choices": [{"message": {"content": None}, "finish_reason": "error"}]}),
        as_json({"error": {"message": "no such model"}}),
        error(500, "seed must be positive, and so must everything"),
    ],
)
def test_an_error_that_does_not_go_away_is_given_up_after_a_few_repeats(answer):
    with serving(lambda *_: answer) as server:
        asked = ask(server.url, give_up_seconds=3600.0, backoff_seconds=0.001)
    assert "the same answer 8 times" in str(asked.error)
    assert "lm.base_url" in str(asked.error)
    assert asked.requests["failed"] == 1
    assert len(server.bodies) <= 9


def test_numbers_and_identifiers_do_not_make_an_error_another_one():
    with serving(lambda body, number: error(500, f"worker {number} died, request id req-{number}f3a")) as server:
        assert "the same answer" in str(ask(server.url, give_up_seconds=3600.0, backoff_seconds=0.001).error)


@pytest.mark.slow
def test_a_server_that_is_loading_is_waited_for_however_often_it_says_so():
    with serving(lambda body, number: error(503, "loading") if number < 12 else choices("a")) as server:
        assert ask(server.url, backoff_seconds=0.001).texts == ["a"]


def cold(body) -> bool:
    return body["temperature"] == 0.0


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
def test_whether_temperature_acts_is_looked_at_once_and_kept(caplog, tmp_path, heeds):
    def behave(body, number):
        return choices("one") if heeds and cold(body) else by_seed(body, number)

    with serving(behave) as server:
        asked = ask(server.url, 4, times=2, learnt=Learnt("here", kept=tmp_path))
        assert asked.texts == ["100", "101", "102", "103"]
        assert ask(server.url, 4, learnt=Learnt("here", kept=tmp_path)).error is None
    assert sum(map(cold, server.bodies)) == 3
    assert asked.requests["issued"] == len(server.bodies) - 1
    assert said(caplog, "may ignore sampling.temperature") == (not heeds)


def test_where_nothing_cold_is_answered_nothing_is_known_of_temperature(caplog, tmp_path):
    def behave(body, number):
        return error(400, "no") if cold(body) else by_seed(body, number)

    with serving(behave) as server:
        assert ask(server.url, 2, times=2, learnt=Learnt("here", kept=tmp_path)).texts == ["100", "101"]
    assert sum(map(cold, server.bodies)) == 1
    assert not said(caplog, "temperature")


def test_how_often_a_prompt_is_sent_is_found_out_and_kept_and_never_more_than_expected(tmp_path):
    def one(body, number):
        return choices(str(body["seed"]))

    def two(body, number):
        return by_seed({**body, "n": min(body.get("n", 1), 2)}, number)

    for name, behave, then in (("all", by_seed, 1), ("one", one, 5), ("two", two, 3)):
        learnt = Learnt(name, kept=tmp_path)
        with serving(behave) as server:
            for _ in range(5):
                before = len([body for body in server.bodies if not cold(body)])
                expected = learnt.prompts(5)
                ask(server.url, 5, learnt=learnt)
                assert len([body for body in server.bodies if not cold(body)]) - before <= expected
        assert learnt.prompts(5) == then
        assert Learnt(name, kept=tmp_path).prompts(5) == then
    assert Learnt("new").prompts(5) == 5


def test_connections_to_one_server_share_what_is_found_out(tmp_path):
    def behave(body, number):
        return error(400, "unknown: min_p") if "min_p" in body else by_seed(body, number)

    async def ask_both():
        backend = Backend(Backend.Settings(model="m", base_url=server.url))
        backend.keep_in(tmp_path)
        first, second = backend.open(None), backend.open(None)
        for lm in (first, second):
            async for _ in lm.generate("x", (1, 2), Sampling(1.0, 0.05, 8)):
                pass
        await first.close()
        await second.close()

    with serving(behave) as server:
        asyncio.run(ask_both())
    assert sum("min_p" in body for body in server.bodies) == 1
