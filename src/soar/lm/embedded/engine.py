"""The small model that ships with the package, or a finetuned one in its place, as a language model.

Requests of all callers wait in one queue; a few threads take them in batches and decode them side by side. Knows text
and threads; `shared_prefix` decodes samples together.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tokenizers import Tokenizer

from soar.cores import available_cores
from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.lm.embedded import SHIPPED
from soar.lm.embedded.branches import Done, Job
from soar.lm.embedded.llama import load_llama, read_config
from soar.lm.embedded.one_thread import one_thread
from soar.lm.embedded.prefixes import Prefixes
from soar.lm.embedded.shared_prefix import SharedPrefixDecoder
from soar.lm.request import Request
from soar.types import Completion, Prompt, Sampling

LONGEST_PROGRAM = 256
"""The most new tokens of a completion, whatever a caller allows: the model knows no program that long."""

SAMPLES = 384
"""How many samples one thread decodes side by side: more would not fit the processor's cache."""

PROMPT_TOKENS = 16384
"""How many tokens of prompts one thread keeps in its cache."""


class Embedded:
    """A small Llama or Qwen3 in this process, on the CPU. Prompts are plain text of the compact rendering."""

    def __init__(self, weights: Path | None = None, threads: int | None = None) -> None:
        """Load a model's folder, the shipped one by default; `threads` decode, one per core by default."""
        folder = weights or SHIPPED
        self._model = load_llama(folder)
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # noqa: BLE001 — tokenizers raises nothing more precise
            raise EndpointError(f"the tokenizer in {folder} cannot be read: {error}") from None
        end = read_config(folder)["eos_token_id"]
        self._waiting: deque[Job] = deque()
        self._idle = 0
        self._wake = threading.Condition()
        self._closed = False
        self._issued = 0
        count = threads or available_cores()
        prefixes = Prefixes(self._model)
        decoders = [SharedPrefixDecoder(self._model, end, prefixes) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._decode, args=(each,), name="decode", daemon=True) for each in decoders
        ]
        self._held = ExitStack()
        self._held.enter_context(one_thread())
        for thread in self._threads:
            thread.start()

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return whether the prompt and that many new tokens, at most `LONGEST_PROGRAM`, fit the context."""
        return len(self._tokens(prompt)) + min(max_new_tokens, LONGEST_PROGRAM) <= self._model.context

    def prompts(self, completions: int) -> int:
        """Return how many times a call counts its prompt: with every completion."""
        return completions

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as soon as it is decoded; each depends on its own seed alone, up to rounding.

        Distinct completions are drawn without replacement and follow from the first seed: a larger request with the
        same first seed begins with the same completions.
        """
        tokens = self._tokens(prompt)
        limit = min(sampling.max_new_tokens, LONGEST_PROGRAM)
        if len(tokens) + limit > self._model.context:
            raise PromptTooLong(f"{len(tokens)} + {limit} tokens exceed the context of {self._model.context}")
        if self._closed:
            raise EndpointError("the embedded model is closed")
        request = Request(asyncio.get_running_loop(), asyncio.Queue())
        how = (sampling.temperature, sampling.min_p, limit, sampling.distinct)
        self._issued += 1
        with self._wake:
            self._waiting.append(Job(tokens, tuple(seeds), *how, tag=request))
            self._wake.notify()
        try:
            for _ in seeds:
                item = await request.arrived.get()
                if isinstance(item, EndpointError):
                    raise item
                if isinstance(item, Exception):
                    raise EndpointError(f"the embedded model failed: {item!r}") from item
                yield item
        finally:
            request.cancelled = True

    def requests(self) -> dict[str, int]:
        """Return the calls made so far; nothing is retried."""
        return {"issued": self._issued, "retried": 0, "failed": 0}

    async def close(self) -> None:
        """End the threads; samples being decoded are dropped, and whoever waits for them gets an `EndpointError`."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        await asyncio.to_thread(lambda: [thread.join() for thread in self._threads])
        for job in self._waiting:
            job.tag.put(EndpointError("the embedded model was closed"))
        self._held.close()

    def _tokens(self, prompt: Prompt) -> tuple[int, ...]:
        if not isinstance(prompt, str):
            raise ConfigError('the embedded model reads plain text: set rendering = "compact" in section [prompt]')
        return tuple(self._tokenizer.encode(prompt, add_special_tokens=False).ids)

    def _decode(self, decoder: SharedPrefixDecoder) -> None:
        """Decode requests until closed: the body of one thread. An error goes to callers whose requests it broke."""
        held: list[Request] = []
        while True:
            held = [request for request in held if not request.cancelled]
            taken = self._take(decoder)
            held += [job.tag for job in taken]
            if self._closed:
                for request in held:
                    request.put(EndpointError("the embedded model was closed"))
                return
            try:
                done = decoder.admit(taken)
                decoder.drop(lambda job: job.tag.cancelled)
                for sample in done + decoder.step():
                    self._deliver(sample)
            except Exception as error:  # noqa: BLE001 — whatever it is, callers must not wait forever
                decoder.drop(lambda _: True)
                for request in held:
                    request.put(error)

    def _take(self, decoder: SharedPrefixDecoder) -> list[Job]:
        """Return the jobs to admit now; wait for one if there is nothing to decode."""
        taken: list[Job] = []
        samples, prompts = decoder.active, decoder.prompt_tokens
        if samples > SAMPLES // 2:
            return taken
        with self._wake:
            self._idle += 1
            while not self._closed and not samples and not self._waiting:
                self._wake.wait()
            self._idle -= 1
            most = min(SAMPLES, self._share(samples))
            for job in _by_length(self._waiting):
                samples, prompts = samples + len(job.seeds), prompts + len(job.prompt)
                if (decoder.active or taken) and (samples > most or prompts > PROMPT_TOKENS):
                    break
                self._waiting.remove(job)
                taken.append(job)
            # A request wakes one thread; what that one leaves is passed on to the next.
            if self._waiting and self._idle:
                self._wake.notify()
        return taken

    def _share(self, active: int) -> int:
        """Return how many samples a thread with `active` ones may have so that each idle thread gets as many: otherwise
        one thread would decode a small search, and the end of every search, alone."""
        waiting = sum(len(job.seeds) for job in self._waiting)
        return -(-(active + waiting) // (1 + self._idle))

    def _deliver(self, done: Done) -> None:
        """Hand a decoded sample to its caller."""
        request: Request = done.job.tag
        text = self._tokenizer.decode(list(done.tokens), skip_special_tokens=True)
        count = len(done.tokens) + (done.finish_reason == "stop")
        seconds = time.monotonic() - request.started
        request.put((done.index, Completion(text, done.finish_reason, len(done.job.prompt), count, seconds)))


def _by_length(waiting: Sequence[Job]) -> list[Job]:
    """Return the jobs in the order to admit them: the oldest, then by how close their prompts are in length."""
    return sorted(waiting, key=lambda job: abs(len(job.prompt) - len(waiting[0].prompt)))
