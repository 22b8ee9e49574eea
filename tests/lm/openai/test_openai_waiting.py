"""What passes is waited for: bad replies, pauses a server asks for, stalled bodies, endpoints that are down."""

import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from asking import ask, by_seed
from loopback import Answer, as_json, choices, error, serving

from soar.errors import PromptTooLong


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
    monkeypatch.setattr("soar.lm.openai.client.FIRST_CONTACT_SECONDS", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        asked = ask(f"http://127.0.0.1:{free.getsockname()[1]}/v1", give_up_seconds=3600.0)
    assert "in 0 s, and the next retry would come after the limit of 0.3 s" in str(asked.error)
    assert asked.seconds < 3.0

    with serving(lambda body, number: error(503, "loading") if number < 3 else by_seed(body, number)) as server:
        asked = ask(server.url, give_up_seconds=3600.0, backoff_seconds=0.2)
    assert asked.texts == ["100"]
    assert asked.seconds > 0.6


FULL = as_json({"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}, 500)
"""What llama.cpp's server says when its slots together have filled the cache that they share."""


def test_a_server_whose_requests_fill_its_memory_together_is_sent_fewer_at_once():
    running, lock = [0], threading.Lock()

    def behave(body, number):
        with lock:
            running[0] += 1
            crowded = running[0] > 2
        time.sleep(0.0 if crowded else 0.05)
        with lock:
            running[0] -= 1
        return FULL if crowded else choices(str(body["seed"]))

    with serving(behave) as server:
        asked = ask(server.url, 17, concurrency=16, backoff_seconds=0.05, times=2)
    assert (asked.error, asked.fits) == (None, True)
    assert asked.texts == [str(seed) for seed in range(100, 117)]


def test_a_server_too_small_for_one_request_is_given_up_with_what_to_do():
    with serving(lambda *_: FULL) as server:
        asked = ask(server.url, concurrency=4, give_up_seconds=3600.0, backoff_seconds=0.001)
    assert not isinstance(asked.error, PromptTooLong)
    assert asked.fits
    for words in ("Context size has been exceeded", "--ctx-size", "lm.concurrency", "sampling.sample_tokens"):
        assert words in str(asked.error)
    assert len(server.bodies) <= 11


def test_an_overload_is_waited_for_however_often_it_is_said():
    with serving(lambda body, number: error(529, "overloaded") if number < 10 else choices("a")) as server:
        assert ask(server.url, concurrency=1, backoff_seconds=0.001).texts == ["a"]
