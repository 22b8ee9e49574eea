"""A model that reads a prompt once and decodes many samples of it, and a cache of the prompts it has read recently.

Knows forward passes and token ids; knows neither text nor how tokens are drawn. The common beginning of two prompts,
which all prompts of one task have, is read once.

**Exactness.** The keys, values and logits of a prompt do not depend on what was cached: prompts are read in blocks of a
fixed number of tokens, only whole blocks are reused, and a block is computed by the same operations on the same shapes
whoever computed those before it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from soar.lm.transformers.attention import NAME, Own, Prefix, Reading, Writing, register

BLOCK = {"cpu": 64, "cuda": 256}
"""How many tokens of a prompt one pass reads, by kind of device."""


class SharedPrefix:
    """A model whose attention is replaced by one that stores each prompt once. Use from one thread."""

    def __init__(self, model: Any, kept_tokens: int) -> None:
        """Take a model that `can_share` accepts; cache at least the last prompt, and up to `kept_tokens`."""
        register()
        model.set_attn_implementation(NAME)
        self._model = model
        self._kept_tokens = kept_tokens
        self._block = BLOCK.get(model.device.type, 64)
        self._known: list[Prefix] = []

    @torch.inference_mode()
    def read(self, prompt: tuple[int, ...]) -> Prefix:
        """Return a prompt's keys, values and logits."""
        known, common = self._closest(prompt)
        if known is not None and known.tokens == prompt:
            return known
        room = -(-len(prompt) // self._block) * self._block
        reading = Reading(room, known, common)
        # Padded, so that every block has the same shape; the padding's keys and values are cut off below.
        padded = torch.tensor([*prompt, *[0] * (room - len(prompt))], device=self._model.device)
        logits = padded
        while reading.read < room:
            places = torch.arange(reading.read, reading.read + self._block, device=padded.device)[None]
            last = torch.tensor([min(self._block, len(prompt) - reading.read) - 1], device=padded.device)
            logits = self._forward(padded[places], places, reading, logits_to_keep=last)[0, 0]
            reading.read += self._block
        keys, values = ([each[:, : len(prompt)] for each in every] for every in (reading.keys, reading.values))
        return self._remember(Prefix(prompt, keys, values, logits))

    def begin(self, prefix: Prefix, rows: int) -> Own:
        """Return the state of this many new samples of a prompt."""
        return Own(prefix, rows)

    @torch.inference_mode()
    def step(self, groups: Sequence[Own], tokens: Sequence[int]) -> Tensor:
        """Append a token to every row of the groups; return the logits of the next ones, ``(rows, vocabulary)``."""
        places = [group.prefix.length + group.count for group in groups for _ in range(group.rows)]
        given = torch.tensor([tokens, places], device=self._model.device)[..., None]
        logits = self._forward(given[0], given[1], Writing(groups))[:, 0]
        for group in groups:
            group.count += 1
        return logits

    def forget(self) -> None:
        """Free the cached prompts."""
        self._known.clear()

    def _forward(self, tokens: Tensor, places: Tensor, each: Reading | Writing, **more: Any) -> Tensor:
        return self._model(input_ids=tokens, position_ids=places, use_cache=False, soar_pass=each, **more).logits

    def _closest(self, prompt: tuple[int, ...]) -> tuple[Prefix | None, int]:
        """Return the known prompt with the longest common beginning, and how many tokens of it, in whole blocks, can be
        reused: never the last token of `prompt`, whose logits must be computed."""
        known = max(self._known, key=lambda each: common(each.tokens, prompt), default=None)
        alike = min(common(known.tokens, prompt), len(prompt) - 1) if known else 0
        if known is None or (alike < self._block and known.tokens != prompt):
            return None, 0
        self._known.remove(known)
        self._known.append(known)
        return known, alike - alike % self._block

    def _remember(self, prefix: Prefix) -> Prefix:
        """Cache a prompt, and forget the least recently used ones."""
        self._known.append(prefix)
        while len(self._known) > 1 and sum(each.length for each in self._known) > self._kept_tokens:
            self._known.pop(0)
        return prefix


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens the common beginning of two prompts has."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


TOKENS, READ = tuple(range(3, 15)), 9
"""What `can_share` compares on: so many tokens are read as a prompt, the others written."""

CLOSE = 1e-3
"""By how many standard deviations logits may differ through rounding in 32-bit floats."""


@torch.inference_mode()
def can_share(model: Any) -> str | None:
    """Return why a model's attention cannot be replaced, None if it can. Tries it on a few tokens, compares the logits
    with the model's own, and restores the attention.

    In 16 bits rounding alone can move logits by more than a standard deviation, differently in each model. So it is
    measured: ours may be twice as far from the model's own logits as those that it computes by another of its own
    ways of attention.
    """
    config = model.config.get_text_config()
    if getattr(config, "sliding_window", None) or set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        return "not all of its layers attend to all tokens"
    before = model.config._attn_implementation
    tokens = tuple(token % config.vocab_size for token in TOKENS)
    try:
        expected = _own_logits(model, tokens)
        model.set_attn_implementation("sdpa" if before == "eager" else "eager")
        other = _own_logits(model, tokens)
        shared = SharedPrefix(model, 0)
        if model.config._attn_implementation != NAME:
            return "it does not let its attention be replaced"
        own = shared.begin(shared.read(tokens[:READ]), 4)
        found = torch.stack([shared.step([own], [token] * 4)[0] for token in tokens[READ:]]).float()
    except (TypeError, KeyError, ValueError, AttributeError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        model.set_attn_implementation(before)
    apart, rounding = (float((each - expected).abs().max() / expected.std()) for each in (found, other))
    if apart <= max(CLOSE, 2 * rounding):
        return None
    return (
        f"with shared attention its logits differ by {apart:.2g} standard deviations, and between two ways of its own"
        f" by {rounding:.2g}"
    )


def _own_logits(model: Any, tokens: Sequence[int]) -> Tensor:
    """Return the logits after each token that `can_share` writes, as the model's present attention computes them."""
    given = torch.tensor([list(tokens)], device=model.device)
    return model(input_ids=given, use_cache=False).logits[0, READ:].float()
