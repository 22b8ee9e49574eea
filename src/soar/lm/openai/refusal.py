"""What a server's refusal means: classifies an error status and its body. Pure: sends nothing, remembers nothing.

Servers word their refusals freely; these patterns cover vLLM, SGLang, llama.cpp, transformers serve and OpenAI.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

TRANSIENT = frozenset({408, 409, 425, 429})
"""Client errors that pass by themselves; so do all of 500 and above."""
OVERLOADED = frozenset({502, 503, 504, 529})
"""Of those, the ones from a server that is starting or overloaded, or a gateway in front of it: even many in a row may
pass."""
CROWDED = frozenset({429, 503, 529})
"""Statuses that mean too many requests."""

_TOO_LONG = re.compile(
    r"context[ _-]?(length|size|window)|exceeds?_context|maximum context|max_model_len"
    r"|(prompt|input)( \w+){0,4} too long|too many (input|prompt) tokens",
    re.IGNORECASE,
)
_OF_ONE_REQUEST = re.compile(r"\b(request|prompt|input|messages)\b|exceeds?_context|context_length", re.IGNORECASE)
_REFUSING = re.compile(
    r"not (be )?(support|allow|permit|valid|known|recogni)|n't support|unsupported|unknown|unrecogni[sz]ed|unexpected"
    r"|no support|invalid|validation|extra|must|only|valid range|should be|too (large|many|big)",
    re.IGNORECASE,
)
_ONE_CHOICE = re.compile(
    r"(only|just) (one|a single|1) (\w+ )?(choice|completion|generation|sequence|output)"
    r"|(multiple|several|more than one) (choices|completions|generations|sequences|outputs)"
    r"|one completion choice",
    re.IGNORECASE,
)
_ROLES = re.compile(
    r"(system|developer)[ _](role|message|prompt|instruction)|(role|message|conversation)\S* (roles )?must alternate"
    r"|only user,? (and )?(assistant|model)|role\W+system\b|system\W+role|invalid role|(unknown|unexpected) role",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(r"could not finish the message|output limit was reached", re.IGNORECASE)
_BLOCKED = re.compile(r"content_filter|content management policy|prompt was flagged", re.IGNORECASE)
_NEW_TOKENS = re.compile(r"max[_ ](new|completion|output)?[_ ]?tokens|(completion|output|new) tokens", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\[(\d])(\d{1,3}),(\d{3})\b")
_CONTEXT = re.compile(r"(?:context[ _]?(?:length|size|window)|max_model_len|n_ctx)\D{0,40}?(\d+)", re.IGNORECASE)
_INPUT = re.compile(r"(\d+) (?:tokens? )?(?:in|of|from)? ?(?:the )?(?:input|prompt|messages)", re.IGNORECASE)
_INPUT_FIRST = re.compile(r"(?:input|prompt|messages)\b[^\d.]{0,60}?(\d+)(?: input)? tokens", re.IGNORECASE)
_REQUESTED = re.compile(r"requested (?:about )?(\d+) tokens", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error status with what its body says: a message, and the fields of the request that it names."""

    status: int
    message: str
    named: frozenset[str] = frozenset()
    code: str = ""

    @property
    def transient(self) -> bool:
        """Whether a later retry may help. An exhausted quota is a 429 that waiting does not fix."""
        return (self.status in TRANSIENT or self.status >= 500) and self.code != "insufficient_quota"

    @property
    def too_long(self) -> bool:
        """Whether the prompt and the tokens asked for exceed the model's context."""
        return self.status == 413 or (self.status != 429 and self._of_context and not self._full)

    @property
    def crowded(self) -> bool:
        """Whether fewer requests at once may help."""
        return self.status in CROWDED or self._full

    @property
    def _of_context(self) -> bool:
        return bool(_TOO_LONG.search(f"{self.code} {self.message}"))

    @property
    def _full(self) -> bool:
        """Whether all requests together have filled the memory for contexts, as llama.cpp says by status 500 ("Context
        size has been exceeded."): unlike a refusal of one request, it names no length and nothing that was asked."""
        about_one = _OF_ONE_REQUEST.search(f"{self.code} {self.message}") or _first(_CONTEXT, self.message) is not None
        return self.status >= 500 and self._of_context and not about_one

    @property
    def ending(self) -> str | None:
        """How it says that a completion ended, as a finish reason; None if it is about something else. A model that
        reasons may be cut off before it writes anything, and a filter may block a prompt: OpenAI says so by status 400,
        and neither is a fault of the request's fields."""
        if _CUT_OFF.search(self.message):
            return "length"
        return "content_filter" if _BLOCKED.search(f"{self.code} {self.message}") else None

    @property
    def refuses(self) -> bool:
        """Whether it rejects something in the request; servers do so with any status, 500 included."""
        return self.status in (400, 422) or (self.status >= 500 and bool(_REFUSING.search(self.message)))

    @property
    def advice(self) -> str:
        """What to do if it does not pass, "" if it does not say that."""
        return (
            "The server's memory for contexts is too small for what is asked at once: start it with more (llama.cpp:"
            " --ctx-size, which its slots share), or lower lm.concurrency, sampling.sample_tokens or"
            " sampling.refine_tokens"
            if self._full
            else ""
        )

    @property
    def one_choice(self) -> bool:
        """Whether it allows only one choice per request."""
        return bool(_ONE_CHOICE.search(self.message))

    @property
    def roles(self) -> bool:
        """Whether it is about the roles of the messages: no system message allowed, or roles must alternate."""
        return bool(_ROLES.search(self.message))

    @property
    def new_tokens(self) -> bool:
        """Whether it is about how many new tokens are asked for."""
        return bool(_NEW_TOKENS.search(self.message))

    def most_tokens(self, asked: int) -> int | None:
        """Return how many new tokens may be asked for instead of `asked`, if it says so."""
        if not self.new_tokens:
            return None
        plain = _THOUSANDS.sub(r"\1\2", self.message)
        numbers = {int(number) for number in re.findall(r"(?<![\w.])\d{1,9}(?!\w|\.\d)", plain)}
        return max((number for number in numbers - {self.status} if 1 < number < asked), default=None)

    def room(self, asked: int) -> int | None:
        """Return how many new tokens fit behind the prompt, if it gives the lengths of context and prompt."""
        context = _first(_CONTEXT, self.message)
        given = _first(_INPUT, self.message) or _first(_INPUT_FIRST, self.message)
        if given is None and (requested := _first(_REQUESTED, self.message)) is not None:
            given = requested - asked
        return None if context is None or given is None or given < 0 else context - given


def read_refusal(status: int, body: str, fields: Collection[str]) -> Refusal:
    """Return what a refusal says; `fields` are the fields of the request that it may have named."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = {}
    data = data if isinstance(data, dict) else {}
    error = data["error"] if isinstance(data.get("error"), dict) else data
    message = _message(error) or " ".join(body.split())[:500] or "no message"
    named = _named_fields(error) | {str(error.get("param"))} | {field for field in fields if _mentions(message, field)}
    code = " ".join(str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str))
    code = "insufficient_quota" if "insufficient_quota" in code else code
    return Refusal(status, message, frozenset(named & set(fields)), code)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds a server asks to wait, by ``Retry-After`` (seconds or a date) or ``retry-after-ms``."""
    if (milliseconds := _non_negative(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    if (seconds := _non_negative(text)) is not None:
        return seconds
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def _message(error: Mapping[str, Any]) -> str:
    """Return the message of an error body: OpenAI's ``message``, FastAPI's ``detail``, or a bare ``error`` string."""
    for key in ("message", "detail", "error"):
        value = error.get(key)
        if isinstance(value, str) and value:
            return value[:2000]
        if isinstance(value, list):
            said = (f"{_path(item)}: {item.get('msg', '')}" for item in value if isinstance(item, dict))
            return "; ".join(said)[:2000]
    return ""


def _named_fields(error: Mapping[str, Any]) -> set[str]:
    """Return the fields that a FastAPI error locates: the last part of each location, never the echoed input."""
    detail = error.get("detail")
    items = detail if isinstance(detail, list) else []
    return {_path(item).rpartition(".")[2] for item in items if isinstance(item, dict)}


def _path(item: Mapping[str, Any]) -> str:
    where = item.get("loc")
    return ".".join(map(str, where)) if isinstance(where, list) else "body"


def _mentions(message: str, field: str) -> bool:
    """Return whether the message names the field as a word; one of a single letter must look like a field."""
    if len(field) > 1:
        return re.search(rf"(?<!\w){re.escape(field)}(?!\w)", message) is not None
    return re.search(rf"['\"`]{field}['\"`]|(?<!\w){field} (must|>|=|is not)", message) is not None


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1][:12]) if found else None


def _non_negative(text: str | None) -> float | None:
    """Return a non-negative finite number, None for everything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
