"""Whether a server answers with the weights that were published: compares its answers with the notes made then.

Knows a server's interface and the notes. Compares log-probabilities if the server gives them, by token ids, so that no
tokenizer comes between, else greedy completions; and the number of tokens of a chat, which depends on its template.
"""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import openai

from soar.errors import EndpointError
from soar.lm.notes import LEARNT, Notes, Probe, read_notes, wrong_template, wrong_weights
from soar.lm.openai.reply import Reply, UnusableReply, read_reply

logger = logging.getLogger(__name__)

BOUND = 0.05
"""How far a log-probability per token may be off (nats): engines compute in 16 bits."""
ANSWER_TOKENS = 64
"""How many tokens to ask for: more than are noted, since the same text may be cut into other tokens."""


async def refuse_other_weights(
    client: openai.AsyncOpenAI, model: str, folder: Path, fields: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> None:
    """Raise `StoreError` if a server's `model` is not what was published in a folder, with the likely cause; do nothing
    if nothing was noted. `fields` translates a request's fields for the server."""
    notes = read_notes(folder)
    if notes is None or not notes.probes:
        return
    replies = [await _answer(client, model, probe, fields) for probe in notes.probes]
    for probe, reply in zip(notes.probes, replies, strict=True):
        # A count of 0 says that the server gives none.
        if not isinstance(probe.prompt, str) and reply.prompt_tokens not in (0, probe.masked):
            raise wrong_template(folder)
    found = [await _log_probability(client, model, probe) for probe in notes.probes]
    if all(each is not None for each in found):
        alike = _lookalikes_by_probability(notes, cast("list[float]", found))
    else:
        alike = _lookalikes_by_answers(notes, [reply.choices[0][0] for reply in replies])
    if alike is not None:
        raise wrong_weights(folder, *alike)


def _lookalikes_by_probability(notes: Notes, found: Sequence[float]) -> list[str] | None:
    """Return None if the log-probabilities are as noted, else the model that they match, if any."""
    apart = notes.apart(found)
    if apart.pop(LEARNT) <= BOUND:
        return None
    nearest = min(apart, key=lambda name: apart[name], default=None)
    return [nearest] if nearest and apart[nearest] <= BOUND else []


def _lookalikes_by_answers(notes: Notes, texts: Sequence[str]) -> list[str] | None:
    """Return None if completions begin as the finetuned model's do, else the models that they may come from. Warns if
    completions cannot tell the models apart."""
    same = notes.same_beginnings(texts)
    learnt = same.pop(LEARNT, True)
    alike = [name for name, is_same in same.items() if is_same]
    if learnt and (alike or not notes.sure):
        logger.warning(
            "the server gives no log-probabilities, and its completions do not tell the finetuned model from %s",
            " or ".join(alike) or "anything else",
        )
    return None if learnt else alike


async def _answer(
    client: openai.AsyncOpenAI, model: str, probe: Probe, fields: Callable[[dict[str, Any]], dict[str, Any]]
) -> Reply:
    """Return a server's greedy completion of a probe's prompt."""
    how = fields({"temperature": 0.0, "top_p": 1.0, "seed": 0, "max_tokens": ANSWER_TOKENS})
    chat = not isinstance(probe.prompt, str)
    asked = {"messages": probe.prompt} if chat else {"prompt": probe.prompt}
    path = "/chat/completions" if chat else "/completions"
    try:
        found: Any = await client.post(path, body={"model": model, **asked, **how}, cast_to=object)
        return read_reply(json.dumps(found).encode())
    except (openai.APIError, UnusableReply) as error:
        raise EndpointError(
            f"{client.base_url} does not answer a training prompt, so it is unknown whether it serves the finetuned"
            f" model: {error}"
        ) from None


async def _log_probability(client: openai.AsyncOpenAI, model: str, probe: Probe) -> float | None:
    """Return the log-probability (nats) that a server gives a probe's completion, None if it gives none."""
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
