"""An endpoint of which almost every third answer is spoilt: each completion comes or is accounted for, and little is
asked twice. And how many requests go out at once."""

import asyncio
import random
import threading
import time
from collections import Counter

import pytest
from loopback import Answer, as_json, choices, error, serving

from soar.errors import EndpointError, PromptTooLong
from soar.lm.openai.client import SAME_ANSWERS, Limits, OpenAICompatible
from soar.lm.openai.rate import Rate
from soar.types import Message, Sampling

PROMPTS, EACH = 500, 4
LONG, BROKEN = range(7), range(7, 10)
"""Prompts that are too long, and prompts at which the server breaks each time."""


def spoilt(chance: random.Random) -> Answer:
    return chance.choice(
        [
            error(429, "slow down", Retry_After="0.05"),
            error(500, f"internal error {chance.random()}"),
            Answer(drop=True),
            Answer(200, pieces=tuple(b" " for _ in range(40)), pause=0.1),
            Answer(200, b'{"choices": [', announce=100),
            Answer(200, b"<html>wait</html>"),
            as_json(None),
            as_json({"choices": [{"no": "message"}]}),
        ]
    )


@pytest.mark.slow
def test_of_2000_completions_none_is_unaccounted_for_and_few_are_asked_for_twice():
    chance, asked = random.Random(0), Counter()

    def behave(body, number):
        prompt = int(body["messages"][0]["content"])
        asked[prompt] += 1
        if prompt in LONG:
            return error(400, "This model's maximum context length is 100 tokens")
        if prompt in BROKEN:
            return error(500, f"CUDA error {number}")
        if chance.random() < 0.3:
            return spoilt(chance)
        return choices(*(f"{prompt} {place}" for place in range(body["n"])), completion=EACH)

    async def one(lm, prompt: int) -> tuple[list[str], Exception | None]:
        texts = []
        try:
            given = (Message("user", str(prompt)),)
            async for _, completion in lm.generate(given, range(EACH), Sampling(1.0, 0.0, 8)):
                texts.append(completion.text)
        except EndpointError as problem:
            return texts, problem
        return texts, None

    async def everything(url):
        lm = OpenAICompatible("m", url, limits=Limits(concurrency=32, deadline_seconds=2.0, backoff_seconds=0.01))
        try:
            return await asyncio.gather(*(one(lm, prompt) for prompt in range(PROMPTS))), lm.requests()
        finally:
            await lm.close()

    with serving(behave) as server:
        found, counts = asyncio.run(everything(server.url))
    for prompt, (texts, problem) in enumerate(found):
        if prompt in LONG:
            assert isinstance(problem, PromptTooLong)
            assert asked[prompt] == 1
        elif prompt in BROKEN:
            assert "so retrying will not help" in str(problem)
            assert asked[prompt] <= SAME_ANSWERS
        else:
            assert problem is None
            assert sorted(texts) == [f"{prompt} {place}" for place in range(EACH)]
    assert len(server.bodies) <= 1.6 * PROMPTS
    assert counts["issued"] + counts["retried"] == len(server.bodies)
    assert (counts["issued"], counts["failed"]) == (PROMPTS, len(LONG) + len(BROKEN))


@pytest.mark.slow
def test_as_many_requests_go_out_at_once_as_the_server_takes():
    most, running, lock = 6, Counter(), threading.Lock()

    def behave(body, number):
        with lock:
            running["now"] += 1
            crowded = running["now"] > most
        time.sleep(0 if crowded else 0.02)
        with lock:
            running["now"] -= 1
            running["refused"] += crowded
        return error(429, "too many") if crowded else choices("a")

    async def everything(url):
        lm = OpenAICompatible("m", url, limits=Limits(concurrency=32, backoff_seconds=0.01))

        async def one(number):
            return [c async for _, c in lm.generate((Message("user", str(number)),), [number], Sampling(1.0, 0.0, 8))]

        try:
            return await asyncio.gather(*map(one, range(400)))
        finally:
            await lm.close()

    with serving(behave) as server:
        found = asyncio.run(everything(server.url))
    assert all(len(each) == 1 for each in found)
    assert running["refused"] < 0.35 * 400, "at 32 at once most would be refused, again and again"


def test_turns_are_halved_once_for_requests_of_one_time_and_come_back_one_by_one():
    async def all_of_it():
        rate = Rate(8)
        begun = [await rate.__aenter__() for _ in range(8)]
        assert [rate.refused(each) for each in begun] == [True] + [False] * 7
        assert rate.limit == 4
        for _ in begun:
            await rate.__aexit__(None, None, None)
        for _ in range(4):
            await asyncio.wait_for(rate.__aenter__(), 1)
        waiting = asyncio.create_task(rate.__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(4):
            rate.answered()
        assert rate.limit == 5
        assert await asyncio.wait_for(waiting, 1) > begun[0]
        for _ in range(100):
            rate.answered()
        assert rate.limit == 8
        later = time.monotonic()
        assert [rate.refused(later), rate.refused(time.monotonic()), rate.refused(time.monotonic())] == [True] * 3
        assert not rate.refused(time.monotonic()), "one goes out always"

    asyncio.run(all_of_it())
