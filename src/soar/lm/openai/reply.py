"""What a server's successful reply holds, read with mistrust: bytes to choices and token counts.

Servers send login pages with status 200, cut bodies off, leave content null. Knows the wire format of chat and text
completions; knows nothing of requests, retries or seeds.
"""

import json
from dataclasses import dataclass
from typing import Any

from soar.types import Completion


class NonsenseReply(ValueError):
    """A reply with a success status that holds no completion; the message says what it holds."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The texts and finish reasons of a reply's choices, in their order, and the tokens of all of them together."""

    choices: tuple[tuple[str, str], ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0


def read_reply(body: bytes) -> Reply:
    """Return the choices of a reply's body; malformed ones among good ones are left out.

    A choice with null content (a refusal, a tool call, reasoning without end) is an empty text: it was paid for.
    `NonsenseReply` if no choice can be read.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise NonsenseReply(f"no JSON, but {_excerpt(body)}") from None
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list):
        raise NonsenseReply(f"JSON without choices: {_excerpt(body)}")
    read = tuple(choice for choice in map(_choice, choices) if choice is not None)
    if not read:
        raise NonsenseReply(f"no usable choice: {_excerpt(body)}")
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(read, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def completions(reply: Reply, count: int, seconds: float) -> list[Completion]:
    """Return the first `count` choices as completions; tokens and seconds of the reply are shared evenly among them."""
    kept = reply.choices[:count]
    prompt, completion = _shares(reply.prompt_tokens, len(kept)), _shares(reply.completion_tokens, len(kept))
    return [
        Completion(text, reason, prompt[place], completion[place], seconds / len(kept))
        for place, (text, reason) in enumerate(kept)
    ]


def _choice(raw: Any) -> tuple[str, str] | None:
    if not isinstance(raw, dict):
        return None
    message = raw.get("message")
    if isinstance(message, dict):
        text = _text(message.get("content"))
    elif "text" in raw:
        text = _text(raw["text"])
    else:
        return None
    reason = raw.get("finish_reason")
    return text, reason if isinstance(reason, str) and reason else "stop"


def _text(content: Any) -> str:
    """Return a message's content: a string, null, or a list of parts with text."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0


def _shares(total: int, count: int) -> list[int]:
    """Return `total` in `count` nearly equal whole parts."""
    each, rest = divmod(total, count)
    return [each + (place < rest) for place in range(count)]


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return f"{len(body)} bytes: {text[:160]!r}"
