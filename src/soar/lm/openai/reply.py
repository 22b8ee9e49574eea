"""Reads a server's successful reply with mistrust: from bytes to choices and token counts.

Servers send login pages with status 200, cut bodies off, leave content null or put it under another name, count tokens
as they like. Knows the wire format of chat and text completions; knows nothing of requests, retries or seeds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from soar.types import Completion

MAX_TEXT = 1_000_000
"""The longest plausible completion, in characters. Of a longer one `KEPT` are kept, and it counts as cut off."""
KEPT = 10_000
MAX_TOKENS = 10**8
"""The most tokens that one reply can have used: a larger count is ignored."""
BROKEN = frozenset({"error", "abort", "aborted", "cancelled"})
"""Finish reasons of choices that broke off through no fault of the prompt: they are requested again."""


class UnusableReply(ValueError):
    """A reply with a success status but no completion; the message says what it holds instead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The texts and finish reasons of a reply's usable choices, in order, the tokens of all of them together, and the
    number of choices, broken ones included."""

    choices: tuple[tuple[str, str], ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    returned: int = 1


def read_reply(body: bytes) -> Reply:
    """Return the choices of a reply's body, without malformed and broken ones.

    If the content is missing, the reasoning is the text: some servers put the whole answer there. A choice with
    neither (a refusal, a tool call) is an empty text: it was paid for. `UnusableReply` if no choice can be read.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):  # the latter from brackets nested too deep
        raise UnusableReply(f"not JSON: {_excerpt(body)}") from None
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list):
        raise UnusableReply(f"JSON without choices: {_excerpt(body)}")
    read = tuple(choice for choice in map(_choice, choices) if choice is not None)
    whole = tuple(choice for choice in read if choice[1] not in BROKEN)
    if not whole:
        raise UnusableReply(f"{'only broken choices' if read else 'no usable choice'}: {_excerpt(body)}")
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(whole, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), len(read))


def completions(reply: Reply, count: int, seconds: float) -> list[Completion]:
    """Return the first `count` choices as completions; tokens and seconds of the reply are shared evenly among them."""
    kept = reply.choices[:count]
    written = [bool(text) for text, _ in kept]
    prompt, completion = _shares(reply.prompt_tokens, written), _shares(reply.completion_tokens, written)
    return [
        Completion(text, reason, prompt[place], completion[place], seconds / len(kept))
        for place, (text, reason) in enumerate(kept)
    ]


def _choice(raw: Any) -> tuple[str, str] | None:
    if not isinstance(raw, dict):
        return None
    message = raw.get("message")
    if isinstance(message, dict):
        texts = (_text(message.get(key)) for key in ("content", "reasoning_content", "reasoning"))
        text = next((text for text in texts if text.strip()), "")
    elif "text" in raw:
        text = _text(raw["text"])
    else:
        return None
    reason = raw.get("finish_reason")
    if len(text) > MAX_TEXT:
        return text[:KEPT], "length"
    return text, reason[:100] if isinstance(reason, str) and reason else "stop"


def _text(content: Any) -> str:
    """Return a message's content: a string, null, or a list of parts with text."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0


def _shares(total: int, written: Sequence[bool]) -> list[int]:
    """Return `total` in nearly equal whole parts, one for each. What is left over goes to those that are `written`
    first: 0 completion tokens of a text mean that the server counts none."""
    each, rest = divmod(total, len(written))
    first = sorted(range(len(written)), key=lambda place: not written[place])[:rest]
    return [each + (place in first) for place in range(len(written))]


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return f"{len(body)} bytes: {text[:160]!r}"
