"""A language model whose completions are listed or computed: for tests, demonstrations and dry runs.

The same prompt, seed and weights give the same completion, whoever asks and whenever. It learns nothing: whether
weights change the completions is up to the function that returns them.
"""

import asyncio
import hashlib
import inspect
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from pydantic import ConfigDict

from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.settings import Section, resolve
from soar.types import Completion, Prompt, Sampling

Reply: TypeAlias = Callable[..., "str | Completion"]
"""``reply(prompt_text, seed)`` or ``reply(prompt_text, seed, weights_digest)``; the digest is "" without weights."""


class Scripted:
    """Answers by a pure function of the prompt's text and the seed, or with one of several replies, chosen by the seed.

    `model` is such a function, a sequence of replies, ``"package.module:function"``, or a JSONL file of
    ``{"text": …}`` (with ``"finish_reason"``, if it is not "stop"). Tokens are counted as words between white space.

    `latency_seconds` passes before each completion. `context_characters` bounds the prompt; `failing` lists the calls
    of `generate` (the first is 0) that fail with `EndpointError` after half of their completions.
    """

    def __init__(
        self,
        model: str | Path | Sequence[str] | Reply,
        *,
        weights: Path | None = None,
        latency_seconds: float = 0.0,
        context_characters: int | None = None,
        failing: Collection[int] = (),
    ) -> None:
        self._reply = _with_weights(_reply_of(model), "" if weights is None else weights_digest(weights))
        self._latency = latency_seconds
        self._context = context_characters
        self._failing = frozenset(failing)
        self._issued = 0
        self._failed = 0

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:  # noqa: ARG002
        """Return whether the prompt has at most `context_characters` characters."""
        return self._context is None or len(prompt_text(prompt)) <= self._context

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed, in order; each depends on the prompt and its own seed alone."""
        if not self.fits(prompt, sampling.max_new_tokens):
            raise PromptTooLong(f"the prompt has more than the {self._context} characters allowed")
        call, text = self._issued, prompt_text(prompt)
        self._issued += 1
        for index, seed in enumerate(seeds):
            if call in self._failing and 2 * index >= len(seeds):
                self._failed += 1
                raise EndpointError(f"call {call} is scripted to fail after {index} of {len(seeds)} completions")
            await asyncio.sleep(self._latency)
            yield index, _completion(self._reply(text, seed), text)

    def requests(self) -> dict[str, int]:
        """Return the calls made so far; nothing is retried."""
        return {"issued": self._issued, "retried": 0, "failed": self._failed}

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


class Backend:
    """The scripted model in a configuration (``lm.backend = "scripted"``)."""

    class Settings(Section):
        """No model: replies that are given or computed, to try out everything else. `model` is a JSONL file with a
        reply per line, `{"text": "..."}`, one of which is drawn for each completion; or a function
        ``"package.module:name"`` that is called as ``reply(prompt, seed)`` and returns a text. Settings of other
        backends are ignored, so that the scripted model can stand in for any of them."""

        model_config = ConfigDict(extra="ignore")
        model: str

    distinct = True

    def __init__(self, settings: Settings) -> None:
        self.folder = Path(settings.model)
        self._model = settings.model
        _reply_of(settings.model)

    def identity(self) -> dict[str, str]:
        """Return the name of the script."""
        return {"model": self._model}

    def open(self, weights: Path | None) -> Scripted:
        """Open the script with the digest of `weights`."""
        return Scripted(self._model, weights=weights)


def prompt_text(prompt: Prompt) -> str:
    """Return a prompt's text: itself, or the messages' contents with a blank line between."""
    return prompt if isinstance(prompt, str) else "\n\n".join(message.content for message in prompt)


def weights_digest(weights: Path) -> str:
    """Return 16 hex digits that identify the content of a folder of weights: a digest of its manifest, which holds the
    hashes of the rest, or without one of all its files."""
    manifest = weights / "manifest.json"
    files = [manifest] if manifest.is_file() else sorted(path for path in weights.rglob("*") if path.is_file())
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(f"{file.relative_to(weights)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _reply_of(model: str | Path | Sequence[str] | Reply) -> Reply:
    if callable(model):
        return cast(Reply, model)
    if isinstance(model, str) and ":" in model and not Path(model).exists():
        found: Any = resolve(model, {}, "scripted model")
        if not callable(found):
            raise ConfigError(f"scripted model {model!r} is {type(found).__name__}, expected a function")
        return cast(Reply, found)
    replies = _read(Path(model)) if isinstance(model, str | Path) else list(cast("Sequence[str]", model))
    if not replies:
        raise ConfigError(f"scripted model {model!r} holds no reply")

    def chosen(prompt: str, seed: int, digest: str) -> str | Completion:  # noqa: ARG001
        return replies[(seed + int(digest or "0", 16)) % len(replies)]

    return chosen


def _with_weights(reply: Reply, digest: str) -> Callable[[str, int], "str | Completion"]:
    """Return the reply as a function of prompt and seed; the digest is its third argument if it takes one."""
    kinds = [parameter.kind for parameter in inspect.signature(reply).parameters.values()]
    positional = sum(
        kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds
    )
    if positional < 2 and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise ConfigError(
            "a scripted model's function is called with (prompt, seed), and it does not take two arguments"
        )
    if positional >= 3 or inspect.Parameter.VAR_POSITIONAL in kinds:
        return lambda prompt, seed: reply(prompt, seed, digest)
    return reply


def _read(path: Path) -> list[Completion]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f'scripted model {str(path)!r}: expected "package.module:function" or a JSONL file of replies: {error}'
        ) from None
    return [_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _line(path: Path, number: int, line: str) -> Completion:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}, line {number}: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ConfigError(f'{path}, line {number}: expected an object {{"text": …}}')
    return Completion(row["text"], finish_reason=str(row.get("finish_reason", "stop")))


def _completion(reply: str | Completion, prompt: str) -> Completion:
    """Return the reply as a completion; tokens are counted if the reply does not give their number."""
    if isinstance(reply, Completion) and reply.completion_tokens:
        return reply
    text, reason = (reply.text, reply.finish_reason) if isinstance(reply, Completion) else (reply, "stop")
    return Completion(text, reason, prompt_tokens=len(prompt.split()), completion_tokens=len(text.split()))
