"""Fields that a server refuses are left out from then on."""

import time

import pytest
from asking import ask, by_seed
from loopback import Answer, as_json, choices, error, serving


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
