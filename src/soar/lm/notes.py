"""What was noted of weights when they were published, and which reason a difference has. Knows a file, loads no model.

A wrong scale of an adapter, old weights or another chat template give a search that looks healthy and is not; by these
notes whoever opens or serves weights can tell, and say which.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soar.errors import StoreError
from soar.files import write_atomically
from soar.types import Message, Prompt

FILE = "probe.json"
LEARNT, BASE, UNSCALED = "learnt", "base", "unscaled"
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

    def asked(self) -> Prompt:
        """Return the prompt as a model is asked."""
        return self.prompt if isinstance(self.prompt, str) else tuple(Message(**message) for message in self.prompt)


@dataclass(frozen=True, slots=True)
class Notes:
    """The probes; by the name of a model (`LEARNT`, `BASE`, `UNSCALED`: the adapter at the wrong scale) how likely it
    finds each probe's answer, in nats, and how it surely begins its own answer: only as far as no other token comes
    near, which rounding could bring about."""

    probes: Sequence[Probe]
    likely: Mapping[str, Sequence[float]]
    sure: Mapping[str, Sequence[str]]

    def apart(self, found: Sequence[float]) -> dict[str, float]:
        """Return by model the largest difference per token of the answers (nats) to what was found."""
        lengths = [len(probe.ids) - probe.masked for probe in self.probes]
        return {
            name: max((abs(a - b) / n for a, b, n in zip(noted, found, lengths, strict=True)), default=0.0)
            for name, noted in self.likely.items()
        }

    def same_beginnings(self, texts: Sequence[str]) -> dict[str, bool]:
        """Return by model whether answers of the likeliest tokens begin as its own surely do, white space around
        them aside: some servers strip it."""
        return {
            name: all(text.lstrip().startswith(begun.strip()) for text, begun in zip(texts, beginnings, strict=True))
            for name, beginnings in self.sure.items()
        }


def write_notes(folder: Path, notes: Notes) -> None:
    """Write notes beside the weights in a folder."""
    probes = [asdict(each) for each in notes.probes]
    write_atomically(folder / FILE, json.dumps({"probes": probes, **notes.likely, "sure": dict(notes.sure)}))


def read_notes(folder: Path) -> Notes | None:
    """Return what was noted beside the weights in a folder, None where nothing was; `StoreError` if it is damaged."""
    if not (folder / FILE).exists():
        return None
    try:
        noted = json.loads((folder / FILE).read_text(encoding="utf-8"))
        probes = [Probe(**each) for each in noted.pop("probes")]
        sure = noted.pop("sure", {})  # not there in notes of before
        return Notes(probes, noted, sure)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{folder / FILE} is damaged ({error}): remove {folder} and go on") from None


def others(folder: Path, *alike: str) -> StoreError:
    """Return the error that says that weights which answer are not those in a folder, but `alike` to other models."""
    why = ", or ".join(MEANS[each] for each in alike) or "they are other weights, or were damaged"
    return StoreError(f"the weights loaded from {folder} are not those that were published: {why}")


def other_template(folder: Path) -> StoreError:
    """Return the error that says that prompts have other tokens than those that were learnt from."""
    return StoreError(
        f"{folder}: a prompt that was learnt from has other tokens now: the chat template or the tokenizer is"
        " another than the one that was learnt with; put it back, or remove the folder to learn again"
    )
