"""What is sent to an OpenAI-compatible server, and by what client: fields, key, proxies. Sends nothing itself."""

import logging
import os
from typing import Any
from urllib.parse import urlsplit

import openai

from soar.errors import ConfigError
from soar.types import Prompt, Sampling, content_hash

logger = logging.getLogger(__name__)

DROPPABLE = ("min_p", "top_k", "seed", "n", "top_p", "temperature", "max_tokens")
"""Fields that a server may not know; without max_tokens, max_completion_tokens takes its place."""
EXTENSIONS = ("min_p", "top_k")
"""Fields outside OpenAI's own interface: the first suspects when a refusal names none."""


def open_client(base_url: str, api_key_env: str | None) -> openai.AsyncOpenAI:
    """Open a client that neither retries nor times out by itself, and goes past proxies to this machine itself."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"lm.base_url {base_url!r} is no address; expected something like http://127.0.0.1:8000/v1")
    key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not key:
        logger.warning("the variable %s (lm.api_key_env) is not set: a dummy key is sent to %s", api_key_env, base_url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return openai.AsyncOpenAI(
        base_url=base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=None,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False, base_url=base_url) if local else None,
    )


def fields_of(sampling: Sampling, seed: int, count: int, dropped: set[str]) -> dict[str, Any]:
    """Return the request's fields beside the prompt. What a server might set by hidden defaults is switched off."""
    fields = {
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_new_tokens,
        "top_p": 1.0,
        "top_k": -1,
        "seed": seed,
    }
    fields |= {"min_p": sampling.min_p} if sampling.min_p else {}
    fields |= {"n": count} if count > 1 else {}
    kept = {field: value for field, value in fields.items() if field not in dropped}
    return kept if "max_tokens" in kept else {**kept, "max_completion_tokens": sampling.max_new_tokens}


def prompt_name(prompt: Prompt, max_new_tokens: int) -> str:
    """Return a short name for a prompt and the room that is asked for after it."""
    contents = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    return content_hash(contents, max_new_tokens)
