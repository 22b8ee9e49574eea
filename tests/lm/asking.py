"""Asking a server on loopback for completions, and what came of it."""

import asyncio
import time
from dataclasses import replace

from loopback import choices

from soar.errors import EndpointError
from soar.lm.openai.client import Limits, OpenAICompatible
from soar.lm.openai.learnt import Learnt
from soar.types import Completion, Message, Prompt, Sampling

PROMPT = (Message("system", "rules"), Message("user", "task"))
QUICK = Limits(deadline_seconds=5.0, give_up_seconds=5.0, backoff_seconds=0.02)
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


def ask(
    url: str,
    count: int = 1,
    prompt: Prompt = PROMPT,
    times: int = 1,
    learnt: Learnt | None = None,
    api_key_env: str | None = None,
    **limits,
) -> Asked:
    """Ask for `count` completions with seeds 100, 101, …, `times` times over one connection; the last is returned."""

    async def all_of_it() -> Asked:
        lm = OpenAICompatible("some-model", url, api_key_env, limits=replace(QUICK, **limits), learnt=learnt)
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
