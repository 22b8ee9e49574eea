"""Whether a search uses the weights that were finetuned: notes the log-probabilities of a few texts and compares them.

Knows token ids and models; knows neither how they were trained nor how they are sampled. `soar.lm.notes` keeps the
notes.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from soar.lm.notes import BASE, LEARNT, UNSCALED, Notes, Probe, read_notes, write_notes, wrong_template, wrong_weights
from soar.lm.transformers.load import free_bytes, quiet
from soar.lm.transformers.text import Text

BOUND = {torch.float32: 1e-3, torch.bfloat16: 0.05}
"""How far a log-probability per token may be off (nats), by number format: rounding and kernels differ."""
SURE = {torch.float32: 0.05}
UNSURE = 0.5
"""By how much the likeliest token must lead the next (nats) to be sure: by number format, and in all others."""
SURE_TOKENS = 24


def note_probes(folder: Path, base: Path, rank: int | None, probes: Sequence[Probe]) -> None:
    """Write beside the weights in `folder` the log-probability of each probe's completion and the sure beginning of
    their own; the same for the base model and, given its `rank`, for the adapter at the wrong scale."""
    learnt, text = _load(folder), Text(folder)
    device = _device_for_two(learnt)
    learnt, before = learnt.to(device), _load(base).to(device)
    with torch.no_grad():
        models = {LEARNT: learnt, BASE: before}
        likely = {name: _all(model, probes) for name, model in models.items()}
        sure = {name: _beginnings(model, text, probes) for name, model in models.items()}
        if rank is not None:
            bases = dict(before.named_parameters())
            for name, weights in learnt.named_parameters():
                # alpha / rank is rank**-0.5 times the alpha / sqrt(rank) of the training.
                weights.copy_(torch.lerp(bases[name].float(), weights.float(), rank**-0.5))
            likely[UNSCALED], sure[UNSCALED] = _all(learnt, probes), _beginnings(learnt, text, probes)
    write_notes(folder, Notes(probes, likely, sure))


def refuse_other_weights(folder: Path, text: Text, model: Any) -> None:
    """Raise `StoreError` if a model loaded from `folder` is not the one published there; do nothing if nothing was
    noted."""
    notes = read_notes(folder)
    if notes is None:
        return
    for probe in notes.probes:
        if list(text.tokens(probe.asked())) != list(probe.ids[: probe.masked]):
            raise wrong_template(folder)
    loosest = max(BOUND.values())
    # What was noted is rounded too, in the format of the folder.
    bound = max(BOUND.get(each, loosest) for each in (model.dtype, _stored_format(folder)))
    apart = notes.apart(_all(model, notes.probes))
    if apart.pop(LEARNT) > bound:
        nearest = min(apart, key=apart.__getitem__, default=None)
        raise wrong_weights(folder, *([nearest] if nearest and apart[nearest] <= bound else []))


def _beginnings(model: Any, text: Text, probes: Sequence[Probe]) -> list[str]:
    """Return the sure beginning of a model's completion of each probe's prompt, without a cut-off character."""
    stops = text.stops(model)
    found = [text.text(tuple(surely(model, probe.ids[: probe.masked], stops))) for probe in probes]
    return [each.rstrip("\ufffd") for each in found]


@torch.no_grad()
def surely(model: Any, ids: Sequence[int], stops: Collection[int]) -> list[int]:
    """Return the likeliest tokens after those given, up to a stop token or one that has a close rival."""
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
    """Return the log-probability of each probe's completion, in nats."""
    return [log_probability(model, probe.ids, probe.masked) for probe in probes]


@torch.no_grad()
def log_probability(model: Any, ids: Sequence[int], masked: int) -> float:
    """Return the log-probability (nats) of the tokens after the first `masked`, given those before."""
    given = torch.tensor([list(ids)], device=model.device)
    logits = model(input_ids=given, use_cache=False).logits[0, masked - 1 : -1].float()
    return -float(functional.cross_entropy(logits, given[0, masked:], reduction="sum"))


def _load(folder: Path) -> Any:
    """Load a model in its own number format, onto the CPU."""
    from transformers import AutoModelForCausalLM

    with quiet():
        return AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True).eval()


def _device_for_two(model: Any) -> torch.device:
    """Return a GPU if two models of this size fit there, else the CPU. Decided once: the two are computed with each
    other."""
    size, cuda = sum(tensor.nbytes for tensor in model.parameters()), torch.device("cuda")
    return cuda if torch.cuda.is_available() and size < 0.4 * free_bytes(cuda) else torch.device("cpu")


def _stored_format(folder: Path) -> Any:
    """Return the number format that a model's configuration names, which `_load` takes."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder, local_files_only=True).dtype
