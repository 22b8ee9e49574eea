import logging

import pytest

from soar.errors import EndpointError
from soar.search.replies import CAUSES, USELESS_LIMIT, Replies


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
