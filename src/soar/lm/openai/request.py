"""What is sent to an OpenAI-compatible server, and by which client: fields, messages, key, proxies, bounds.

Sends nothing itself. Stop strings are never sent, since some servers refuse more than four: a completion ends where the
model ends it.
"""

import logging
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from soar.errors import ConfigError
from soar.lm.openai.reply import UnusableReply
from soar.types import Message, Prompt, Sampling, content_hash

logger = logging.getLogger(__name__)

DROPPABLE = ("min_p", "top_k", "seed", "n", "top_p", "temperature", "max_tokens")
"""Fields that a server may not know; max_completion_tokens replaces max_tokens if that is dropped."""
EXTENSIONS = ("min_p", "top_k")
"""Fields beyond OpenAI's own interface: the first suspects when a refusal names no field."""
MAX_REPLY_BYTES = 32 * 2**20
"""The largest reply that is read, measured unpacked: gzip turns megabytes into gigabytes."""


def check_address(base_url: str, api_key_env: str | None) -> None:
    """Refuse an invalid address, or one that may hold a key: it is stored with the run, printed and logged."""
    try:
        parts = urlsplit(base_url)
        host = parts.hostname
    except ValueError:
        raise ConfigError("lm.base_url is not an address; expected something like http://127.0.0.1:8000/v1") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"lm.base_url (host {host}) has a user, a password or a query, and it is stored with every run:"
            " remove them, put the key into an environment variable, and name the variable in lm.api_key_env"
        )
    if parts.scheme not in ("http", "https") or not host:
        found = "" if "@" in base_url else f" {base_url!r}"
        raise ConfigError(f"lm.base_url{found} is not an address; expected something like http://127.0.0.1:8000/v1")
    if api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", api_key_env):
        raise ConfigError(
            "lm.api_key_env is not the name of a variable; expected one like OPENAI_API_KEY, not the key itself"
        )


def read_key(api_key_env: str | None, base_url: str) -> str | None:
    """Return the key in the variable, None if there is none; warn if a named variable holds none."""
    key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not key:
        logger.warning("the variable %s (lm.api_key_env) is not set: sending a dummy key to %s", api_key_env, base_url)
    return key or None


def open_client(base_url: str, key: str | None) -> openai.AsyncOpenAI:
    """Open a client that leaves retries and deadlines to its caller, and bypasses proxies for this machine."""
    local = urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1")
    return openai.AsyncOpenAI(
        base_url=base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=None,
        http_client=_BoundedClient(trust_env=not local, base_url=base_url),
    )


class _BoundedClient(openai.DefaultAsyncHttpxClient):
    """Reads at most `MAX_REPLY_BYTES` of a reply, refusals included.

    It overrides `send` because only there can unpacked bytes be counted while proxies still apply.
    """

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:  # noqa: ARG002
        """Send a request and return its response, read whole; `UnusableReply` if it is too large."""
        response = await super().send(request, stream=True, **options)
        pieces, size = [], 0
        try:
            async for piece in response.aiter_bytes():
                size += len(piece)
                if size > MAX_REPLY_BYTES:
                    raise UnusableReply(f"more than {MAX_REPLY_BYTES} bytes (status {response.status_code})")
                pieces.append(piece)
        finally:
            await response.aclose()
        # The content is unpacked by now; with these headers it would be unpacked again.
        packed = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(name, text) for name, text in response.headers.multi_items() if name.lower() not in packed]
        return httpx2.Response(
            response.status_code, headers=headers, content=b"".join(pieces), request=response.request
        )


def fields_of(
    sampling: Sampling, seed: int, count: int, dropped: set[str], most_tokens: int | None = None
) -> dict[str, Any]:
    """Return the request's fields without the prompt. What hidden defaults of a server might set is switched off.

    `most_tokens` caps the new tokens.
    """
    tokens = min(sampling.max_new_tokens, most_tokens or sampling.max_new_tokens)
    fields = {
        "temperature": sampling.temperature,
        "max_tokens": tokens,
        "top_p": 1.0,
        "top_k": -1,
        "seed": seed,
    }
    fields |= {"min_p": sampling.min_p} if sampling.min_p else {}
    fields |= {"n": count} if count > 1 else {}
    kept = {field: value for field, value in fields.items() if field not in dropped}
    return kept if "max_tokens" in kept else {**kept, "max_completion_tokens": tokens}


def without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the messages with every system text merged into the user message after it, so that roles alternate."""
    found: list[Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if found and found[-1].role == role:
            found[-1] = Message(role, f"{found[-1].content}\n\n{message.content}")
        else:
            found.append(Message(role, message.content))
    return tuple(found)


def prompt_key(prompt: Prompt, max_new_tokens: int) -> str:
    """Return a short key for a prompt and the new tokens asked for after it."""
    contents = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    return content_hash(contents, max_new_tokens)
