"""Notes made when weights are published, to tell later whether they are the ones that answer, and if not, why.

An adapter at the wrong scale, old weights or another chat template give a search that looks healthy and is not. Whoever
opens or serves weights compares them with these notes. Knows a file, loads no model.
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
CAUSES = {
    BASE: "they answer like the base model: the finetuning is not applied",
    UNSCALED: "their adapter is scaled by alpha / rank, but was trained with alpha / sqrt(rank)",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A training example: its prompt as given, and its token ids, of which the first `masked` are the prompt's."""

    prompt: Any
    ids: Sequence[int]
    masked: int

    def asked(self) -> Prompt:
        """Return the prompt in the form that a model is asked."""
        return self.prompt if isinstance(self.prompt, str) else tuple(Message(**message) for message in self.prompt)


@dataclass(frozen=True, slots=True)
class Notes:
    """The probes and, per model (`LEARNT`, `BASE`, `UNSCALED`: the adapter at the wrong scale), the log-probability of
    each probe's completion, in nats, and the `sure` beginning of the model's own: it ends before the first token that
    has a close rival, since rounding could swap the two."""

    probes: Sequence[Probe]
    likely: Mapping[str, Sequence[float]]
    sure: Mapping[str, Sequence[str]]

    def apart(self, found: Sequence[float]) -> dict[str, float]:
        """Return per model the largest difference per token (nats) between what was noted and what was found."""
        lengths = [len(probe.ids) - probe.masked for probe in self.probes]
        return {
            name: max((abs(a - b) / n for a, b, n in zip(noted, found, lengths, strict=True)), default=0.0)
            for name, noted in self.likely.items()
        }

    def same_beginnings(self, texts: Sequence[str]) -> dict[str, bool]:
        """Return per model whether greedy completions begin as noted, apart from white space around them: some servers
        strip it."""
        return {
            name: all(text.lstrip().startswith(begun.strip()) for text, begun in zip(texts, beginnings, strict=True))
            for name, beginnings in self.sure.items()
        }


def write_notes(folder: Path, notes: Notes) -> None:
    """Write notes beside the weights in a folder."""
    probes = [asdict(each) for each in notes.probes]
    write_atomically(folder / FILE, json.dumps({"probes": probes, **notes.likely, "sure": dict(notes.sure)}))


def read_notes(folder: Path) -> Notes | None:
    """Return the notes beside the weights in a folder, None if there are none; `StoreError` if they are damaged."""
    if not (folder / FILE).exists():
        return None
    try:
        noted = json.loads((folder / FILE).read_text(encoding="utf-8"))
        probes = [Probe(**each) for each in noted.pop("probes")]
        sure = noted.pop("sure", {})  # older notes have none
        return Notes(probes, noted, sure)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{folder / FILE} is damaged ({error}): remove {folder} and run the same command again"
        ) from None


def wrong_weights(folder: Path, *alike: str) -> StoreError:
    """Return the error for a model that does not answer as the weights in a folder; `alike` are those it resembles."""
    why = ", or ".join(CAUSES[each] for each in alike) or "they are other weights, or damaged"
    return StoreError(f"the weights loaded from {folder} are not the ones published there: {why}")


def wrong_template(folder: Path) -> StoreError:
    """Return the error for training prompts that now have other tokens."""
    return StoreError(
        f"{folder}: a training prompt now has other tokens, so the chat template or the tokenizer has changed: put back"
        " the old one, or remove the folder to finetune again"
    )
