"""Whether the weights that search are those that were learnt: probabilities of a few texts, noted and compared.

Knows token ids and models; knows neither how they were learnt nor how they are sampled. What is noted is
`soar.lm.notes`'.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from soar.lm.notes import BASE, LEARNT, UNSCALED, Notes, Probe, other_template, others, read_notes, write_notes
from soar.lm.transformers.load import free_bytes, quiet
from soar.lm.transformers.text import Text

BOUND = {torch.float32: 1e-3, torch.bfloat16: 0.05}
"""By how much a text's log-probability per token may differ (nats) in a number format: by rounding, and by kernels."""
SURE = {torch.float32: 0.05}
UNSURE = 0.5
"""By how much the likeliest token must stand before the next (nats) to be sure: in a number format, and in others."""
SURE_TOKENS = 24


def note_probes(folder: Path, base: Path, rank: int | None, probes: Sequence[Probe]) -> None:
    """Write beside the weights in `folder` how likely they find each probe's answer and how they surely begin their
    own, and how the base, and an adapter of that `rank` with the wrong scale, would."""
    learnt, before, text = _load(folder), _load(base), Text(folder)
    with torch.no_grad():
        models = {LEARNT: learnt, BASE: before}
        likely = {name: _all(model, probes) for name, model in models.items()}
        sure = {name: _beginnings(model, text, probes) for name, model in models.items()}
        if rank is not None:
            bases = dict(before.named_parameters())
            for name, weights in learnt.named_parameters():
                weights.copy_(torch.lerp(bases[name].float(), weights.float(), rank**-0.5))
            likely[UNSCALED], sure[UNSCALED] = _all(learnt, probes), _beginnings(learnt, text, probes)
    write_notes(folder, Notes(probes, likely, sure))


def refuse_other_weights(folder: Path, text: Text, model: Any) -> None:
    """Raise `StoreError` where a model that was loaded from `folder` is not what was learnt; do nothing where nothing
    was noted."""
    notes = read_notes(folder)
    if notes is None:
        return
    for probe in notes.probes:
        if list(text.tokens(probe.asked())) != list(probe.ids[: probe.masked]):
            raise other_template(folder)
    bound = BOUND.get(model.dtype, max(BOUND.values()))
    apart = notes.apart(_all(model, notes.probes))
    if apart.pop(LEARNT) > bound:
        nearest = min(apart, key=apart.__getitem__, default=None)
        raise others(folder, *([nearest] if nearest and apart[nearest] <= bound else []))


def _beginnings(model: Any, text: Text, probes: Sequence[Probe]) -> list[str]:
    """Return how a model surely begins its answer to each probe's prompt; what may be half a character is left out."""
    stops = text.stops(model)
    found = [text.text(tuple(surely(model, probe.ids[: probe.masked], stops))) for probe in probes]
    return [each.rstrip("\ufffd") for each in found]


@torch.no_grad()
def surely(model: Any, ids: Sequence[int], stops: Collection[int]) -> list[int]:
    """Return the likeliest tokens behind those given, up to an end or to one that another comes near."""
    margin = SURE.get(model.dtype, UNSURE)
    given, known, found = torch.tensor([list(ids)], device=model.device), None, []
    while len(found) < SURE_TOKENS:
        out = model(input_ids=given, past_key_values=known, use_cache=True)
        best = out.logits[0, -1].float().topk(2)
        token = int(best.indices[0])
        if float(best.values[0] - best.values[1]) < margin or token in stops:
            break
        found.append(token)
        given, known = torch.tensor([[token]], device=model.device), out.past_key_values
    return found


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
