"""Whether a server answers by the weights that were learnt: asked for what was noted of them when they were published.

Knows a server's interface and the notes. Log-probabilities where it gives them, by tokens, so that nothing stands
between; and the number of tokens of a chat, which its template makes. Where it gives none, answers of the likeliest
tokens.
"""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import openai

from soar.errors import EndpointError
from soar.lm.notes import LEARNT, Notes, Probe, other_template, others, read_notes
from soar.lm.openai.reply import NonsenseReply, Reply, read_reply

logger = logging.getLogger(__name__)

BOUND = 0.05
"""By how much a text's log-probability per token may differ (nats): engines compute in 16 bits."""
ANSWER_TOKENS = 64
"""How many tokens of an answer are asked for: more than are noted, whose text may be cut elsewhere."""


async def refuse_other_weights(
    client: openai.AsyncOpenAI, model: str, folder: Path, fields: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> None:
    """Raise `StoreError` where a server's `model` is not what was published in a folder, with the likely reason; do
    nothing where nothing was noted. `fields` turns a request's fields into the server's."""
    notes = read_notes(folder)
    if notes is None or not notes.probes:
        return
    replies = [await _answer(client, model, probe, fields) for probe in notes.probes]
    for probe, reply in zip(notes.probes, replies, strict=True):
        if not isinstance(probe.prompt, str) and reply.prompt_tokens not in (0, probe.masked):
            raise other_template(folder)
    found = [await _log_probability(client, model, probe) for probe in notes.probes]
    if all(each is not None for each in found):
        alike = _alike_by_probability(notes, cast("list[float]", found))
    else:
        alike = _alike_by_answers(notes, [reply.choices[0][0] for reply in replies])
    if alike is not None:
        raise others(folder, *alike)


def _alike_by_probability(notes: Notes, found: Sequence[float]) -> list[str] | None:
    """Return None where log-probabilities are those that were noted, else the model that they are of, if any."""
    apart = notes.apart(found)
    if apart.pop(LEARNT) <= BOUND:
        return None
    nearest = min(apart, key=lambda name: apart[name], default=None)
    return [nearest] if nearest and apart[nearest] <= BOUND else []


def _alike_by_answers(notes: Notes, texts: Sequence[str]) -> list[str] | None:
    """Return None where answers begin as those of the weights that were learnt do, else the models that they may be of.
    Says so where answers cannot tell one from another."""
    same = notes.same_beginnings(texts)
    learnt = same.pop(LEARNT, True)
    alike = [name for name, is_same in same.items() if is_same]
    if learnt and (alike or not notes.sure):
        logger.warning(
            "the server gives no log-probabilities, and its answers do not tell what was learnt from %s",
            " or ".join(alike) or "anything else",
        )
    return None if learnt else alike


async def _answer(
    client: openai.AsyncOpenAI, model: str, probe: Probe, fields: Callable[[dict[str, Any]], dict[str, Any]]
) -> Reply:
    """Return a server's answer of the likeliest tokens to a probe's prompt."""
    how = fields({"temperature": 0.0, "top_p": 1.0, "seed": 0, "max_tokens": ANSWER_TOKENS})
    chat = not isinstance(probe.prompt, str)
    asked = {"messages": probe.prompt} if chat else {"prompt": probe.prompt}
    path = "/chat/completions" if chat else "/completions"
    try:
        found: Any = await client.post(path, body={"model": model, **asked, **how}, cast_to=object)
        return read_reply(json.dumps(found).encode())
    except (openai.APIError, NonsenseReply) as error:
        raise EndpointError(
            f"{client.base_url} does not answer a prompt that was learnt from, so it cannot be told whether it serves"
            f" what was learnt: {error}"
        ) from None


async def _log_probability(client: openai.AsyncOpenAI, model: str, probe: Probe) -> float | None:
    """Return how likely a server finds a probe's answer, in nats; None where it does not say."""
    body = {"model": model, "prompt": list(probe.ids), "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
    try:
        found: Any = await client.post("/completions", body=body, cast_to=object)
        said = found["choices"][0]["logprobs"]["token_logprobs"]
        values = [float(each) for each in said[probe.masked : len(probe.ids)]]
    except (openai.APIStatusError, LookupError, TypeError, ValueError):
        return None
    except openai.APIError as error:
        raise EndpointError(f"{client.base_url} does not answer: {error}") from None
    return sum(values) if len(values) == len(probe.ids) - probe.masked else None
