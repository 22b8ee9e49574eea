import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from asking import ask, by_seed
from hypothesis import given
from hypothesis import strategies as st
from loopback import as_json, serving

from soar.lm.openai.learnt import Learnt
from soar.lm.openai.refusal import read_refusal, retry_after
from soar.lm.openai.reply import UnusableReply, read_reply
from soar.lm.openai.request import DROPPABLE
from soar.types import Completion

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
    ],
)
def test_a_wait_is_read_in_every_form(headers, seconds):
    assert retry_after(headers, now=NOON) == seconds


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("min_p is not supported", {"min_p"}),
        ("'n' is not supported", {"n"}),
        ("can\\n't do that n times", set()),
        ("seedling and top_pancake", set()),
        ("top_k: Extra inputs", {"top_k"}),
    ],
)
def test_only_whole_names_of_fields_count(message, named):
    assert read_refusal(400, f'{{"message": "{message}"}}', DROPPABLE).named == named


CUT_OFF = (
    "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher"
    " max_tokens."
)


@pytest.mark.parametrize(
    ("status", "said", "ending"),
    [
        (400, {"message": CUT_OFF, "type": "invalid_request_error", "param": None, "code": None}, "length"),
        (500, {"message": f"BadRequestError: {CUT_OFF}"}, "length"),
        (400, {"message": "The response was filtered", "code": "content_filter"}, "content_filter"),
        (400, {"message": "Invalid prompt: your prompt was flagged", "code": "invalid_prompt"}, "content_filter"),
    ],
)
def test_a_refusal_that_says_how_completions_ended_gives_them_empty_and_blames_no_field(status, said, ending, caplog):
    """OpenAI's models that reason may reach the limit before they have written anything."""
    with serving(lambda body, number: as_json({"error": said}, status) if number == 0 else by_seed(body, number)) as s:
        learnt = Learnt("here")
        hard = ask(s.url, 4, learnt=learnt)
        easy = ask(s.url, 4, learnt=learnt)
    assert hard.error is None
    assert [replace(each, seconds=0.0) for _, each in hard.found] == [Completion("", ending)] * 4
    assert easy.texts == ["100", "101", "102", "103"]
    assert len(s.bodies) == 2
    assert {"min_p", "top_k", "n", "max_tokens"} <= s.bodies[1].keys()
    assert caplog.text == ""


@given(st.integers(400, 599), st.text(max_size=80))
def test_any_refusal_can_be_read(status, body):
    assert read_refusal(status, body, DROPPABLE).message


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_that_is_no_reply_is_nonsense(value):
    with pytest.raises(UnusableReply):
        read_reply(json.dumps(value).encode())
