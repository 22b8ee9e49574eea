"""Attention to a prompt that many samples share: its keys and values are kept once, each sample adds its own.

Registered with transformers as an attention implementation, for any model that lets its attention be replaced. Knows
tensors of one layer at a time; knows neither models nor tokens. Bifurcated attention (Athiwaratkun et al. 2024, arXiv
2403.08845): the scores of both parts are joined before the softmax, so nothing is approximated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

NAME = "soar_shared_prefix"
"""The implementation's name in transformers."""

GROWTH = 64
"""The least number of tokens by which the room for samples' own tokens grows."""


class Pass(Protocol):
    """One forward pass, as its layers' attention sees it."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Store the new keys and values, ``(rows, kv heads, tokens, size)``, and return what the queries
        ``(rows, heads, tokens, size)`` attend to, ``(rows, tokens, heads, size)``."""
        ...


def register() -> None:
    """Register the implementation with transformers as `NAME`. It ignores masks: each pass knows what is visible."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: object, scaling: float, **more: Any
) -> tuple[Tensor, None]:
    del attention_mask
    if unknown := {name for name in ("softcap", "s_aux", "position_bias", "sliding_window") if more.get(name)}:
        raise ValueError(f"attention with {', '.join(sorted(unknown))} cannot be shared")
    return more["soar_pass"].attend(module.layer_idx, query, key, value, scaling), None


@dataclass(frozen=True, eq=False)
class Prefix:
    """A prompt that was read: per layer its keys and values, ``(kv heads, tokens, size)``, and the logits of the next
    token, ``(vocabulary,)``."""

    tokens: tuple[int, ...]
    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    logits: Tensor

    @property
    def length(self) -> int:
        """How many tokens the prompt has."""
        return len(self.tokens)


class Reading:
    """The reading of one prompt, block by block. A token sees all blocks before its own, and its own up to itself."""

    def __init__(self, room: int, known: Prefix | None = None, common: int = 0) -> None:
        """Make room for this many tokens; the first `common` are taken from a `known` prompt."""
        self._room = room
        self.read = common
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        for keys, values in zip(known.keys, known.values, strict=True) if known and common else ():
            self.keys.append(_roomy(keys[:, :common], room))
            self.values.append(_roomy(values[:, :common], room))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attend to all tokens read so far."""
        if layer == len(self.keys):
            self.keys.append(_roomy(key[0, :, :0], self._room))
            self.values.append(_roomy(value[0, :, :0], self._room))
        start, stop = self.read, self.read + query.shape[2]
        self.keys[layer][:, start:stop] = key[0]
        self.values[layer][:, start:stop] = value[0]
        seen = torch.ones((stop - start, stop), dtype=torch.bool, device=query.device).tril(start)
        keys, values = self.keys[layer][None, :, :stop], self.values[layer][None, :, :stop]
        found = functional.scaled_dot_product_attention(query, keys, values, seen, scale=scale, enable_gqa=True)
        return found.transpose(1, 2)


def _roomy(states: Tensor, room: int) -> Tensor:
    """Return states ``(heads, tokens, size)`` with room for more tokens."""
    found = states.new_zeros((states.shape[0], room, states.shape[2]))
    found[:, : states.shape[1]] = states
    return found


@dataclass(eq=False)
class Own:
    """Samples of one prompt side by side: the prompt, and per layer the keys and values of their own tokens, ``(rows,
    kv heads, room, size)``, of which `count` are filled."""

    prefix: Prefix
    rows: int
    count: int = 0
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only some of the rows."""
        if self.keys:
            chosen = torch.tensor(rows, device=self.keys[0].device)
            self.keys = [keys.index_select(0, chosen) for keys in self.keys]
            self.values = [values.index_select(0, chosen) for values in self.values]
        self.rows = len(rows)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attend, with one new token per row, to the prompt and to the row's own tokens."""
        self._add(layer, key, value)
        heads, kept = key.shape[1], self.count + 1
        grouped = query.view(self.rows, heads, -1, query.shape[-1]) * scale
        keys, values = self.keys[layer][:, :, :kept], self.values[layer][:, :, :kept]
        ours = torch.matmul(grouped, keys.mT)
        together = grouped.transpose(0, 1).reshape(heads, -1, query.shape[-1])
        shared = torch.bmm(together, self.prefix.keys[layer].mT).view(heads, self.rows, -1, self.prefix.length)
        scores = torch.cat([shared, ours.transpose(0, 1)], dim=-1)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
        part = weights.flatten(1, 2)[..., : self.prefix.length]
        found = torch.bmm(part, self.prefix.values[layer]).view(heads, self.rows, -1, values.shape[-1]).transpose(0, 1)
        found = found + torch.matmul(weights[..., self.prefix.length :].transpose(0, 1), values)
        return found.reshape(self.rows, 1, query.shape[1], values.shape[-1])

    def _add(self, layer: int, key: Tensor, value: Tensor) -> None:
        if layer == len(self.keys):
            self.keys.append(key.new_zeros((*key.shape[:2], GROWTH, key.shape[3])))
            self.values.append(value.new_zeros((*value.shape[:2], GROWTH, value.shape[3])))
        if self.count == self.keys[layer].shape[2]:
            self.keys[layer] = functional.pad(self.keys[layer], (0, 0, 0, max(GROWTH, self.count // 2)))
            self.values[layer] = functional.pad(self.values[layer], (0, 0, 0, max(GROWTH, self.count // 2)))
        self.keys[layer][:, :, self.count] = key[:, :, 0]
        self.values[layer][:, :, self.count] = value[:, :, 0]


class Writing:
    """One more token for every sample. The rows of several prompts follow one another."""

    def __init__(self, groups: Sequence[Own]) -> None:
        self._groups = groups
        self._sizes = [group.rows for group in groups]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attend in each group to its prompt and its rows' own tokens."""
        parts = zip(self._groups, *(states.split(self._sizes) for states in (query, key, value)), strict=True)
        return torch.cat([group.attend(layer, *each, scale) for group, *each in parts])
