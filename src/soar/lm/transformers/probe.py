"""Whether the weights that search are those that were learnt: probabilities of a few texts, noted and compared.

Knows token ids, models and a file beside the weights; knows neither how they were learnt nor how they are sampled. A
wrong scale of an adapter, old weights or another chat template give a search that looks healthy and is not; here they
give an error that names them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from soar.errors import StoreError
from soar.files import write_atomically
from soar.lm.transformers.load import free_bytes, quiet
from soar.lm.transformers.text import Text
from soar.types import Message, Prompt

FILE = "probe.json"
BOUND = {torch.float32: 1e-3, torch.bfloat16: 0.05}
"""By how much a text's log-probability per token may differ (nats) in a number format: by rounding, and by kernels."""

BASE, UNSCALED = "base", "unscaled"
MEANS = {
    BASE: "they answer as the model they were learnt from: what was learnt is not applied",
    UNSCALED: "their adapter is scaled by alpha / rank, it was learnt with alpha / sqrt(rank)",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A text of an example: the prompt as it was given, the ids of all its tokens, `masked` of which are the
    prompt's."""

    prompt: Any
    ids: Sequence[int]
    masked: int


def note_probes(folder: Path, base: Path, rank: int | None, probes: Sequence[Probe]) -> None:
    """Write beside the weights in `folder` how likely they find each probe's answer, and how likely the base, and an
    adapter of that `rank` with the wrong scale, would."""
    learnt, before = _load(folder), _load(base)
    with torch.no_grad():
        found = {"learnt": _all(learnt, probes), BASE: _all(before, probes)}
        if rank is not None:
            others = dict(before.named_parameters())
            for name, weights in learnt.named_parameters():
                weights.copy_(torch.lerp(others[name].float(), weights.float(), rank**-0.5))
            found[UNSCALED] = _all(learnt, probes)
    write_atomically(folder / FILE, json.dumps({"probes": [asdict(each) for each in probes], **found}))


def refuse_other_weights(folder: Path, text: Text, model: Any) -> None:
    """Raise `StoreError` where a model that was loaded from `folder` is not what was learnt; do nothing where nothing
    was noted."""
    if not (folder / FILE).exists():
        return
    try:
        noted = json.loads((folder / FILE).read_text(encoding="utf-8"))
        probes = [Probe(**each) for each in noted.pop("probes")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder / FILE} is damaged ({error}): remove {folder} and go on") from None
    for probe in probes:
        if list(text.tokens(_prompt(probe.prompt))) != list(probe.ids[: probe.masked]):
            raise StoreError(
                f"{folder}: a prompt that was learnt from has other tokens now: the chat template or the tokenizer is"
                " another than the one that was learnt with; put it back, or remove the folder to learn again"
            )
    bound = BOUND.get(model.dtype, max(BOUND.values()))
    apart = {name: _apart(found, _all(model, probes), probes) for name, found in noted.items()}
    if apart.pop("learnt") <= bound:
        return
    nearest = min(apart, key=apart.__getitem__, default=None)
    alike = nearest is not None and apart[nearest] <= bound
    reason = MEANS[nearest] if alike and nearest else "they are other weights, or were damaged"
    raise StoreError(f"the weights loaded from {folder} are not those that were published: {reason}")


def _prompt(prompt: Any) -> Prompt:
    return prompt if isinstance(prompt, str) else tuple(Message(**message) for message in prompt)


def _apart(noted: Sequence[float], found: Sequence[float], probes: Sequence[Probe]) -> float:
    """Return the largest difference per token of the answers."""
    lengths = [len(probe.ids) - probe.masked for probe in probes]
    return max((abs(a - b) / n for a, b, n in zip(noted, found, lengths, strict=True)), default=0.0)


@torch.no_grad()
def _all(model: Any, probes: Sequence[Probe]) -> list[float]:
    """Return the log-probability of each probe's answer, in nats."""
    return [log_probability(model, probe.ids, probe.masked) for probe in probes]


@torch.no_grad()
def log_probability(model: Any, ids: Sequence[int], masked: int) -> float:
    """Return how likely a model finds the tokens behind the first `masked`, given those before, in nats."""
    given = torch.tensor([list(ids)], device=model.device)
    logits = model(input_ids=given, use_cache=False).logits[0, masked - 1 : -1].float()
    return -float(functional.cross_entropy(logits, given[0, masked:], reduction="sum"))


def _load(folder: Path) -> Any:
    """Load a model in its own number format, onto a GPU where it fits one twice, with its neighbour."""
    from transformers import AutoModelForCausalLM

    with quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True).eval()
    size = sum(tensor.nbytes for tensor in model.parameters())
    cuda = torch.device("cuda")
    if torch.cuda.is_available() and size < 0.4 * free_bytes(cuda):
        return model.to(cuda)
    return model
