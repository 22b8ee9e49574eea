import logging

import pytest

from soar.errors import EndpointError
from soar.search.replies import CAUSES, USELESS_LIMIT, Replies, useless_line


def noted(*statuses: str) -> Replies:
    replies = Replies()
    for status in statuses:
        replies.note(status)
    return replies


def test_a_hundred_useless_replies_in_a_row_are_warned_of_once_with_counts_and_cause(caplog):
    noted(*["empty"] * 30, *["truncated"] * 69)
    assert not caplog.records
    noted(*["code"], *["empty"] * 30, *["truncated"] * 270)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "70 truncated, 30 empty" in said
    assert "sampling.sample_tokens" in said


def test_useless_replies_between_useful_ones_are_not_warned_of(caplog):
    noted(*[*["no-code"] * (USELESS_LIMIT - 1), "code"] * 5).conclude()
    assert not caplog.records


@pytest.mark.parametrize("status", ["empty", "truncated"])
def test_a_search_without_any_answer_ends_with_the_counts_and_the_cause(status):
    with pytest.raises(EndpointError, match=f"none of 3 completions is usable .3 {status}.") as caught:
        noted(*[status] * 3).conclude()
    assert CAUSES[status] in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_search_without_any_code_ends_so_only_if_it_is_no_accident():
    noted(*["no-code"] * (USELESS_LIMIT - 1)).conclude()
    with pytest.raises(EndpointError, match="no block of code"):
        noted(*["no-code"] * USELESS_LIMIT).conclude()


def test_one_useful_reply_is_enough_and_no_reply_is_no_error():
    noted(*["empty"] * 500, "code").conclude()
    noted().conclude()


def test_of_a_model_that_was_finetuned_the_finetuning_is_named_and_no_server():
    replies = Replies(learnt=True)
    for _ in range(USELESS_LIMIT):
        replies.note("no-code")
    with pytest.raises(EndpointError, match=r"the finetuning before this search broke the model.*lower finetune\.lr"):
        replies.conclude()


def test_replies_of_an_earlier_session_count_and_are_not_warned_of_again(caplog):
    replies = Replies()
    replies.note_earlier({"no-code": USELESS_LIMIT - 1})
    replies.note("no-code")
    assert not caplog.records
    with pytest.raises(EndpointError, match=f"none of {USELESS_LIMIT} completions"):
        replies.conclude()
    replies.note_earlier({"code": 1})
    replies.conclude()


def test_a_line_says_why_most_completions_hold_no_program():
    said = useless_line({"ok": 1, "failed": 2, "truncated": 4, "no-code": 1})
    assert said == (
        "5 of 8 completions hold no program (4 truncated, 1 no-code). Most likely completions are cut off: raise"
        " sampling.sample_tokens, or the model's context length on the server; `soar show RUN_DIR TASK` prints one"
    )
    assert useless_line({"no-python": 3}) == (
        "3 of 3 completions hold no program (3 no-python). Most likely the model does not follow the prompt;"
        " `soar show RUN_DIR TASK` prints one"
    )


@pytest.mark.parametrize("statuses", [{}, {"ok": 4, "no-code": 4}, {"waiting": 2, "syntax-error": 1, "empty": 3}])
def test_where_half_of_them_hold_programs_nothing_is_said(statuses):
    assert useless_line(statuses) is None
