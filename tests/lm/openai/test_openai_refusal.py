import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.lm.openai.refusal import read_refusal, retry_after
from soar.lm.openai.reply import UnusableReply, read_reply
from soar.lm.openai.request import DROPPABLE

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


@given(st.integers(400, 599), st.text(max_size=80))
def test_any_refusal_can_be_read(status, body):
    assert read_refusal(status, body, DROPPABLE).message


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_that_is_no_reply_is_nonsense(value):
    with pytest.raises(UnusableReply):
        read_reply(json.dumps(value).encode())
