"""A transformers model as a language model: requests of all callers wait in one queue, one thread decodes them.

Knows text, threads and how much fits; `decode` decodes samples together. A completion depends on its prompt, its own
seed and the machine, not on what else is in flight: on a CPU in 32-bit floats because the rows of a batch do not affect
each other (see `decode`), elsewhere because each request is decoded alone, in batches of one fixed shape.
"""

import asyncio
import gc
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from soar.errors import EndpointError, PromptTooLong
from soar.lm.request import Request
from soar.lm.transformers.decode import GRANULE, CachedModel, Decoder, Done, Job, rows_are_alike
from soar.lm.transformers.load import Dtype, context_of, device_of, free_bytes, load, out_of_memory
from soar.lm.transformers.probe import refuse_other_weights
from soar.lm.transformers.repeated import Repeated
from soar.lm.transformers.shared import SharedPrefix, can_share
from soar.lm.transformers.text import Text
from soar.types import Completion, Prompt, Sampling

logger = logging.getLogger(__name__)

SHARE = 0.4
"""The share of the memory left after loading that the samples' own tokens may take; cached prompts may take half as
much, intermediate results the rest."""


class Transformers:
    """A causal language model in this process."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        dtype: Dtype = "auto",
        context: int | None = None,
        batch: int = 64,
        exact: bool = True,
    ) -> None:
        """Load the model in `folder`; see `soar.lm.transformers.Backend` for the settings."""
        place = device_of(device)
        self._text = Text(folder)
        model = load(folder, place, dtype)
        refuse_other_weights(folder, self._text, model)
        self._context = context_of(model, context)
        self._rows = -(-batch // GRANULE) * GRANULE
        self._alone = exact and not rows_are_alike(model, self._rows)
        reason = can_share(model)
        if reason is not None:
            logger.warning("%s: each sample gets its own copy of the prompt, which is slower: %s", folder, reason)
        per_token = _bytes_per_token(model)
        room = free_bytes(place) / per_token
        self._most_tokens = int(SHARE * room)
        self._model: CachedModel = Repeated(model) if reason else SharedPrefix(model, int(SHARE / 2 * room))
        self._decoder = Decoder(self._model, self._text.stops(model), self._rows if self._alone else GRANULE)
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._issued = 0
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)
        self._thread.start()

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return whether the prompt and that many new tokens fit the context."""
        return len(self._text.tokens(prompt)) + max_new_tokens <= self._context

    def prompts(self, completions: int) -> int:
        """Return how many times a call counts its prompt: with every completion."""
        return completions

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as soon as it is decoded; each depends on its own seed alone."""
        tokens = self._text.tokens(prompt)
        if len(tokens) + sampling.max_new_tokens > self._context:
            raise PromptTooLong(
                f"{len(tokens)} + {sampling.max_new_tokens} tokens exceed the context of {self._context}"
            )
        request = Request(asyncio.get_running_loop(), asyncio.Queue())
        how = (sampling.temperature, sampling.min_p, sampling.max_new_tokens)
        with self._wake:
            if self._closed:
                raise EndpointError("the model is closed")
            self._issued += 1
            self._waiting.append(Job(tokens, tuple(enumerate(seeds)), *how, tag=request))
            self._wake.notify()
        try:
            for _ in seeds:
                item = await request.arrived.get()
                if isinstance(item, EndpointError):
                    raise item
                if isinstance(item, Exception):
                    raise EndpointError(f"the model failed: {item!r}") from item
                yield item
        finally:
            request.cancelled = True

    def requests(self) -> dict[str, int]:
        """Return the calls made so far; nothing is retried."""
        return {"issued": self._issued, "retried": 0, "failed": 0}

    async def close(self) -> None:
        """End the thread and free the model; requests still being decoded fail."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        if hasattr(self, "_model"):  # a second call finds it gone
            del self._model, self._decoder
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _decode(self) -> None:
        """Decode requests until closed: the body of the thread. An error goes to callers whose requests it broke."""
        held: list[Job] = []
        while True:
            held = [job for job in held if not job.tag.cancelled]
            job = self._take()
            if self._closed:
                break
            held += [job] if job else []
            try:
                self._decoder.drop(lambda job: job.tag.cancelled)
                if job is not None:
                    self._deliver(self._decoder.admit(job))
                    job = None  # the decoder holds it now: `_recover` must not count it twice
                self._deliver(self._decoder.step())
            except Exception as error:  # noqa: BLE001 — whatever it is, callers must not wait forever
                held = self._recover(held, job, error)
        for job in [*held, *self._waiting]:
            job.tag.put(EndpointError("the model was closed"))

    def _take(self) -> Job | None:
        """Return what to decode next, from the request that has waited longest; wait if there is nothing to do."""
        with self._wake:
            while not (self._closed or self._decoder.rows or self._waiting):
                self._wake.wait()
            while self._waiting and self._waiting[0].tag.cancelled:
                self._waiting.popleft()
            if self._closed or not self._waiting or (self._alone and self._decoder.rows):
                return None
            first = self._waiting[0]
            room = min(self._rows - self._decoder.rows, self._room(first.max_new_tokens))
            if room < GRANULE:
                return None
            if self._alone:  # the batch is empty: its shape follows from the request and the memory
                self._decoder.granule = room
            self._waiting.popleft()
            if len(first.samples) > room:
                self._waiting.appendleft(replace(first, samples=first.samples[room:]))
            return replace(first, samples=first.samples[:room])

    def _room(self, max_new_tokens: int) -> int:
        """Return how many more rows fit the memory if each decodes all the tokens it may."""
        free = (self._most_tokens - self._decoder.tokens) // max_new_tokens // GRANULE * GRANULE
        # An empty batch takes one granule however little fits, or the request would wait forever.
        return free if self._decoder.rows else max(free, GRANULE)

    def _recover(self, held: list[Job], job: Job | None, error: Exception) -> list[Job]:
        """Empty the batch after an error. Out of memory: decode its samples again, fewer side by side from now on;
        otherwise their callers get the error. Return the jobs that are still held."""
        given_up = [*self._decoder.give_up(), *([job] if job else ())]
        self._model.forget()
        if not out_of_memory(error) or self._rows <= GRANULE:
            for each in held:
                each.tag.put(error)
            return []
        gc.collect()  # what failed may hold its tensors in a circle
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._rows = max(GRANULE, self._rows // 2 // GRANULE * GRANULE)
        logger.warning("out of memory: at most %d samples side by side from now on", self._rows)
        with self._wake:
            self._waiting.extendleft(reversed(given_up))
        return held

    def _deliver(self, decoded: Sequence[Done]) -> None:
        """Hand decoded samples to their callers."""
        for done in decoded:
            request: Request = done.job.tag
            count = len(done.tokens) + (done.finish_reason == "stop")
            seconds = time.monotonic() - request.started
            text = self._text.text(done.tokens)
            request.put((done.index, Completion(text, done.finish_reason, len(done.job.prompt), count, seconds)))


def _bytes_per_token(model: object) -> int:
    """Return the size of one token's keys and values in all layers."""
    config = model.config.get_text_config()  # type: ignore[attr-defined]
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize  # type: ignore[attr-defined]
