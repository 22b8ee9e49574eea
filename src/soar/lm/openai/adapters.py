"""Adapters on a server that somebody else runs: loaded under a name of their own, checked, used, unloaded.

Knows the two requests for this (vLLM's ``load_lora_adapter`` and ``unload_lora_adapter``). Never stops the server, and
touches no adapter that is not on record as ours.
"""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import openai

from soar.errors import ConfigError, EndpointError, StoreError
from soar.files import MANIFEST, write_atomically
from soar.lm.openai.alike import refuse_other_weights
from soar.lm.openai.client import OpenAICompatible
from soar.lm.openai.request import open_client, read_key
from soar.types import Completion, Prompt, Sampling

logger = logging.getLogger(__name__)

LOAD, UNLOAD = "/load_lora_adapter", "/unload_lora_adapter"
FILE = "adapters.json"
SECONDS = 300.0
"""How long a server may take to load an adapter."""


class WithAdapter:
    """A connection to a server that loads an adapter. `client` asks for the model by the adapter's name."""

    def __init__(self, client: OpenAICompatible, weights: Path, adapters: "LoadedAdapters") -> None:
        self._client, self._weights, self._adapters = client, weights, adapters
        self._name = name_of(weights)
        adapters.use(self._name)
        self._ready: asyncio.Task[None] | None = None

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return False for a prompt that the server has refused as too long; otherwise only the server knows."""
        return self._client.fits(prompt, max_new_tokens)

    def prompts(self, completions: int) -> int:
        """Return how many times a call for so many completions sends its prompt at most."""
        return self._client.prompts(completions)

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield completions as `soar.lm.openai.client.OpenAICompatible` does, once the adapter is loaded."""
        if self._ready is None:
            self._ready = asyncio.create_task(self._adapters.load(self._weights))
        await asyncio.shield(self._ready)  # a caller that is cancelled must not cancel what all callers wait for
        async with aclosing(self._client.generate(prompt, seeds, sampling)) as found:
            async for item in found:
                yield item

    def requests(self) -> dict[str, int]:
        """Return the requests for completions made so far."""
        return self._client.requests()

    async def close(self) -> None:
        """Unload the adapter, unless another connection uses it, and close all connections."""
        if self._ready is not None:
            self._ready.cancel()
            await asyncio.gather(self._ready, return_exceptions=True)
        await self._adapters.leave(self._name, asked_for=self._ready is not None)
        await self._client.close()


class LoadedAdapters:
    """Our adapters on a server, on record in a file in `kept` (None: for this session only). One object for all of a
    session's connections: what any of them uses is left alone."""

    def __init__(self, base_url: str, api_key_env: str | None, kept: Path | None) -> None:
        self._url, self._key = base_url, read_key(api_key_env, base_url)
        self._file = kept / FILE if kept else None
        self._names = set(self._read().get(base_url, []))
        self._users: Counter[str] = Counter()

    def use(self, name: str) -> None:
        """Announce a connection that uses an adapter, before any is loaded; it ends with `leave`."""
        self._users[name] += 1

    async def load(self, weights: Path) -> None:
        """Have the server load the adapter of published weights, and unload those of ours that nobody uses, which a
        killed session left; check how it answers.

        `EndpointError` if the server does not load it, `StoreError` if it answers with other weights.
        """
        name = name_of(weights)
        async with open_client(self._url, self._key) as opened:
            client = opened.with_options(timeout=SECONDS)
            await self._unload(client, [each for each in self._names if not self._users[each]])
            self._note(self._names | {name})  # before it is loaded: a session killed in between leaves it on record
            path = str((weights / "adapter").resolve())
            try:
                await client.post(LOAD, body={"lora_name": name, "lora_path": path}, cast_to=str)
            except openai.APIError as error:
                if "already" not in str(error):  # loaded by an earlier session that was killed
                    raise EndpointError(
                        f"{self._url} does not load the adapter {path}: {error}. It must see this folder and"
                        " accept adapters of this rank (vLLM: --enable-lora --max-lora-rank)"
                    ) from None
            await refuse_other_weights(client, name, weights)

    async def leave(self, name: str, *, asked_for: bool) -> None:
        """End a connection's use of an adapter. If it had `asked_for` it, have the server unload what is ours and
        nobody uses any more."""
        self._users[name] -= 1
        unused = [each for each in self._names if not self._users[each]]
        if asked_for and unused:
            async with open_client(self._url, self._key) as opened:
                await self._unload(opened.with_options(timeout=SECONDS), unused)

    async def _unload(self, client: openai.AsyncOpenAI, names: Sequence[str]) -> None:
        """Have the server unload adapters; those that it knows no more leave the record."""
        for name in names:
            try:
                await client.post(UNLOAD, body={"lora_name": name}, cast_to=str)
            except openai.APIStatusError:
                pass  # it was restarted in the meantime and does not know the name
            except openai.APIError as error:
                logger.warning("cannot reach %s to unload the adapter %s: %s", self._url, name, error)
                continue
            self._note(self._names - {name})

    def _note(self, names: set[str]) -> None:
        self._names = names
        if self._file is not None:
            write_atomically(self._file, json.dumps({**self._read(), self._url: sorted(names)}))

    def _read(self) -> dict[str, list[str]]:
        with suppress(OSError, ValueError):
            if self._file is not None:
                return json.loads(self._file.read_text(encoding="utf-8"))
        return {}


def name_of(weights: Path) -> str:
    """Return the name to load an adapter under: its number and a hash, so that none is mistaken for another.

    `StoreError` if the weights were not published or have no adapter.
    """
    try:
        digest = hashlib.sha256((weights / MANIFEST).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise StoreError(f"{weights} holds no published weights: {error}") from None
    if not (weights / "adapter").is_dir():
        raise StoreError(f"{weights} holds no adapter/: a server that somebody else runs takes nothing else")
    return f"soar-{weights.name}-{digest}"


def refuse_without_adapters(base_url: str, api_key_env: str | None) -> None:
    """Raise `ConfigError` if a server does not load adapters at run time. It is asked to load nothing: one that loads
    adapters says what is missing, others do not know the request. `EndpointError` if it cannot be asked."""
    key = read_key(api_key_env, base_url)
    with openai.OpenAI(base_url=base_url, api_key=key or "none", max_retries=1, timeout=20.0) as client:
        try:
            client.post(LOAD, body={}, cast_to=str)
        except openai.APIStatusError as error:
            if error.status_code in (400, 422):
                return
            if error.status_code in (404, 405, 501):
                raise ConfigError(
                    f"{base_url} does not load adapters at run time (status {error.status_code}), so it cannot"
                    " serve the finetuned model: start vLLM with --enable-lora and the environment variable"
                    ' VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, or set lm.backend = "served", which starts an engine with'
                    " the finetuned model, or do not finetune (iterations = 1 in every stage)"
                ) from None
            raise EndpointError(f"cannot ask {base_url} whether it loads adapters: {error}") from None
        except openai.APIError as error:
            raise EndpointError(f"cannot ask {base_url} whether it loads adapters: {error}") from None
