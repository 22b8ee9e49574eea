"""An engine that the run owns, as a language model: started, checked for the right weights, watched, restarted when it
dies, ended.

Knows when to start and end it; `process` knows its processes, `soar.lm.openai` how to ask it.
"""

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai

from soar.errors import EndpointError
from soar.lm.openai.alike import refuse_other_weights
from soar.lm.openai.client import Limits, OpenAICompatible
from soar.lm.openai.learnt import Learnt
from soar.lm.openai.request import open_client
from soar.lm.served.engines import Engine
from soar.lm.served.process import EngineProcess, end_left_over, free_port
from soar.types import Completion, Prompt, Sampling

if TYPE_CHECKING:
    from soar.lm.transformers.text import Text

logger = logging.getLogger(__name__)

MAX_DEATHS = 3
"""How many deaths in a row are followed by a restart; the next one is final."""
STEADY_SECONDS = 600.0
"""An engine that lived this long before it died starts the count anew."""
POLL = 0.2
NOTICE_SECONDS = 30.0
"""The time between two warnings that an engine is still starting."""


class Served:
    """An engine that serves one folder of weights at `address`, and a connection to it."""

    def __init__(
        self,
        engine: Engine,
        python: str,
        weights: Path,
        kept: Path | None,
        *,
        engine_args: Sequence[str] = (),
        context: int | None = None,
        start_seconds: float = 1800.0,
        limits: Limits = Limits(),
        learnt: Learnt | None = None,
    ) -> None:
        """The engine starts on first use; see `soar.lm.served.Backend` for the settings. Logs and records, and findings
        without `learnt`, go to `kept` (None: to a temporary folder, removed by `close`)."""
        self._temporary = None if kept else tempfile.mkdtemp(prefix="soar-engine-")
        self._kept = kept or Path(self._temporary or "")
        self._weights, self._engine = weights.resolve(), engine
        self._patience, self._deadline = start_seconds, limits.deadline_seconds
        self._context = context
        port = free_port()
        self._command = engine.command(python, self._weights, port, engine_args)
        self.address = f"http://127.0.0.1:{port}"
        self._model = engine.asked_for(self._weights)
        self._client = OpenAICompatible(
            self._model,
            f"{self.address}/v1",
            limits=replace(limits, concurrency=min(limits.concurrency, engine.at_once or limits.concurrency)),
            learnt=learnt or learnt_of(engine, self._kept),
            reached=True,  # it is up when first asked; FIRST_CONTACT_SECONDS would cut a restart short
        )
        self._process: EngineProcess | None = None
        self._up: asyncio.Task[EngineProcess] | None = None
        self._watching: asyncio.Task[None] | None = None

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return False for a prompt longer than the configured context, or one that the engine has refused as too
        long; otherwise only the engine knows."""
        if self._context is not None and len(self._text.tokens(prompt)) + max_new_tokens > self._context:
            return False
        return self._client.fits(prompt, max_new_tokens)

    def prompts(self, completions: int) -> int:
        """Return how many times a call for so many completions sends its prompt at most."""
        return self._client.prompts(completions)

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as `soar.lm.openai.client.OpenAICompatible` does, once the engine is up;
        `EndpointError` with the end of its log if it does not start or keeps dying."""
        if self._up is None:
            self._up = asyncio.create_task(self._start_and_wait())
        process = await asyncio.shield(self._up)  # a caller that is cancelled must not cancel the start
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(process))
        found = self._client.generate(prompt, seeds, sampling)
        following: asyncio.Future[tuple[int, Completion] | None] | None = None
        try:
            while True:
                following = asyncio.ensure_future(anext(found, None))
                await asyncio.wait({following, self._watching}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    self._watching.result()  # it ends only by an error: the engine is given up
                item = following.result()
                if item is None:
                    return
                yield item
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            await found.aclose()

    @cached_property
    def _text(self) -> "Text":
        from soar.lm.transformers.text import Text

        return Text(self._weights)

    def requests(self) -> dict[str, int]:
        """Return the requests made so far, the attempts that repeated one, and the requests given up."""
        return self._client.requests()

    async def close(self) -> None:
        """End the engine and all that it started."""
        tasks: list[asyncio.Task[Any]] = [task for task in (self._up, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()
        # Not in a thread: nothing may continue before the engine is gone, even if this is cancelled again.
        if self._process is not None:
            self._process.end()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self) -> EngineProcess:
        self._process = EngineProcess(self._weights.name, self._kept, self._command, self._engine.environment)
        return self._process

    async def _start_and_wait(self) -> EngineProcess:
        process = self._start()
        await self._wait_until_up(process)
        return process

    async def _watch(self, process: EngineProcess) -> None:
        """Restart the engine whenever it dies; `EndpointError` once it has died too often."""
        deaths, since = 0, time.monotonic()
        while True:
            while (code := process.ended()) is None:
                await asyncio.sleep(POLL)
            deaths = 1 if time.monotonic() - since > STEADY_SECONDS else deaths + 1
            if deaths > MAX_DEATHS:
                raise EndpointError(f"the engine died {deaths} times in a row. {_last_words(process)}")
            words = "the engine died (exit code %s); restarting it. Its log: %s"
            logger.warning(words, code, process.log)
            process.end()
            process = self._start()
            with suppress(_Died):  # the loop counts it as one more death
                await self._wait_until_up(process)
            since = time.monotonic()

    async def _wait_until_up(self, process: EngineProcess) -> None:
        """Wait until the engine answers, and check that it serves the right weights."""
        started, said = time.monotonic(), time.monotonic()
        async with open_client(f"{self.address}/v1", None) as client:
            while not await _is_up(client, self.address):
                waited = time.monotonic() - started
                if process.ended() is not None:
                    raise _Died(f"the engine ended before it answered. {_last_words(process)}")
                if waited > self._patience:
                    raise EndpointError(
                        f"the engine did not answer within lm.start_seconds = {self._patience:g}."
                        f" {_last_words(process)}"
                    )
                if time.monotonic() - said > NOTICE_SECONDS:
                    said = time.monotonic()
                    logger.warning("waiting for the engine, %.0f s so far; its log: %s", waited, process.log)
                await asyncio.sleep(POLL)
            patient = client.with_options(timeout=self._deadline)
            await refuse_other_weights(patient, self._model, self._weights, self._engine.fields)
        logger.info("the engine serves %s after %.0f s", self._weights, time.monotonic() - started)


def learnt_of(engine: Engine, kept: Path) -> Learnt:
    """Return what is known of an engine, which is kept in a folder."""
    return Learnt(engine.name, leaves_out=engine.leaves_out, fields=engine.fields, kept=kept)


def _last_words(process: EngineProcess) -> str:
    code = process.ended()
    ended = "" if code is None else f"Exit code {code}. "
    return f"{ended}Its log {process.log} ends:\n{process.last_lines()}"


class _Died(EndpointError):
    """The engine ended while it was starting."""


def end_earlier(folder: Path) -> None:
    """End the engines that an earlier run left running, with a warning for each."""
    for command in end_left_over(folder):
        logger.warning("ended an engine that an earlier run had left running: %s", command)


async def _is_up(client: openai.AsyncOpenAI, address: str) -> bool:
    """Return whether a server is up: its /health says so or, if it has no /health, it answers at all."""
    import httpx2

    try:
        reply = await client.with_options(timeout=5.0).get(f"{address}/health", cast_to=httpx2.Response)
    except openai.APIStatusError as error:
        return error.status_code in (404, 405)
    except openai.APIError:
        return False
    return reply.is_success
