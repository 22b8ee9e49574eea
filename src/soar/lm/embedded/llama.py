"""A small Llama or Qwen3 in plain torch: weights read from a folder in the usual format, the parts of a forward pass.

Made for models so small that the calls around the arithmetic cost more than the arithmetic: projections are fused,
nothing is checked twice. Knows tensors; knows neither text nor how tokens are drawn.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from soar.errors import EndpointError

FAMILIES = ("llama", "qwen3")

GROUP_TOKENS = 4096
"""How many tokens of prompts are read in one pass: more do not fit the processor's cache."""


@dataclass(frozen=True)
class Layer:
    """One decoder layer's weights. ``qkv`` stacks the three projections, ``gate_up`` the two of the gated MLP."""

    attention_norm: Tensor
    qkv: Tensor
    out: Tensor
    query_norm: Tensor | None
    key_norm: Tensor | None
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class Llama:
    """A model's weights. ``embedding`` and ``head`` are ``(vocabulary, width)``; ``frequencies`` has half a head."""

    embedding: Tensor
    head: Tensor
    norm: Tensor
    layers: tuple[Layer, ...]
    frequencies: Tensor
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    context: int


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of a model's folder; `EndpointError` where it is missing or of another family."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EndpointError(f"no model in {folder}: config.json cannot be read ({error})") from None
    if config.get("model_type") not in FAMILIES:
        raise EndpointError(f"{folder} holds a model of type {config.get('model_type')!r}, expected one of {FAMILIES}")
    return config


def load_llama(folder: Path) -> Llama:
    """Read a model's folder (``config.json``, ``model.safetensors``) into 32-bit floats."""
    config = read_config(folder)
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise EndpointError(f"the weights in {folder} cannot be read: {error}") from None
    if bad := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise EndpointError(
            f"the weights in {folder} hold values that are not finite, in {', '.join(sorted(bad)[:3])}: put back a copy"
        )
    tensors = {name.removeprefix("model."): tensor.float() for name, tensor in tensors.items()}
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    try:
        return Llama(
            embedding=tensors["embed_tokens.weight"],
            head=tensors.get("lm_head.weight", tensors["embed_tokens.weight"]),
            norm=tensors["norm.weight"],
            layers=tuple(_layer(tensors, f"layers.{index}.") for index in range(config["num_hidden_layers"])),
            frequencies=_theta(config) ** (-torch.arange(0, head_size, 2) / head_size),
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=head_size,
            epsilon=config["rms_norm_eps"],
            context=config["max_position_embeddings"],
        )
    except KeyError as error:
        raise EndpointError(f"the weights in {folder} are incomplete: {error} is missing") from None


def _theta(config: dict[str, Any]) -> float:
    """Return the base of the rotary embedding, which newer configurations keep in a section of its own."""
    return config.get("rope_theta") or config["rope_parameters"]["rope_theta"]


def _layer(tensors: dict[str, Tensor], prefix: str) -> Layer:
    attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
    return Layer(
        attention_norm=tensors[f"{prefix}input_layernorm.weight"],
        qkv=torch.cat([tensors[f"{attention}{name}_proj.weight"] for name in "qkv"]),
        out=tensors[f"{attention}o_proj.weight"],
        query_norm=tensors.get(f"{attention}q_norm.weight"),
        key_norm=tensors.get(f"{attention}k_norm.weight"),
        mlp_norm=tensors[f"{prefix}post_attention_layernorm.weight"],
        gate_up=torch.cat([tensors[f"{mlp}gate_proj.weight"], tensors[f"{mlp}up_proj.weight"]]),
        down=tensors[f"{mlp}down_proj.weight"],
    )


def rotation(model: Llama, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the rotary embedding, each ``(*positions, 1, head size)``."""
    cosine, sine = (torch.from_numpy(half)[..., None, :] for half in turns(model, positions.numpy()))
    return torch.cat([cosine, cosine], dim=-1), torch.cat([sine, sine], dim=-1)


def _rotated(states: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    half = states.shape[-1] // 2
    turned = torch.cat([-states[..., half:], states[..., :half]], dim=-1)
    return states * rotation[0] + turned * rotation[1]


def turns(model: Llama, positions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cosine and sine of the rotary embedding at some positions, each ``(*positions, head size / 2)``."""
    angles = positions[..., None].astype(np.float32) * model.frequencies.numpy()
    return np.cos(angles), np.sin(angles)


def project(
    model: Llama, layer: Layer, hidden: Tensor, rotation: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rotated queries ``(*tokens, heads, head size)``, rotated keys and values ``(*tokens, kv heads, head
    size)``, of ``hidden`` ``(*tokens, width)``."""
    normed = functional.rms_norm(hidden, hidden.shape[-1:], layer.attention_norm, model.epsilon)
    states = functional.linear(normed, layer.qkv)
    normalize_heads(model, layer, states)
    states = states.unflatten(-1, (-1, model.head_size))
    query, key, value = states.split([model.heads, model.kv_heads, model.kv_heads], dim=-2)
    return _rotated(query, rotation), _rotated(key, rotation), value


def normalize_heads(model: Llama, layer: Layer, states: Tensor) -> None:
    """Normalize queries and keys within ``states`` ``(*tokens, (heads + 2 · kv heads) · head size)``, in place, where
    the family does so (Qwen3)."""
    if layer.query_norm is None and layer.key_norm is None:
        return
    each = states.unflatten(-1, (-1, model.head_size))
    keys = slice(model.heads, model.heads + model.kv_heads)
    for weight, part in ((layer.query_norm, each[..., : model.heads, :]), (layer.key_norm, each[..., keys, :])):
        if weight is not None:
            part.copy_(functional.rms_norm(part, part.shape[-1:], weight, model.epsilon))


def finish(model: Llama, layer: Layer, hidden: Tensor, attended: Tensor) -> Tensor:
    """Return the layer's output from its input ``(*tokens, width)`` and what attention gave,
    ``(*tokens, heads · head size)``."""
    hidden = hidden + functional.linear(attended, layer.out)
    normed = functional.rms_norm(hidden, hidden.shape[-1:], layer.mlp_norm, model.epsilon)
    gate, up = functional.linear(normed, layer.gate_up).chunk(2, dim=-1)
    return hidden + functional.linear(functional.silu(gate).mul_(up), layer.down)


def logits(model: Llama, hidden: Tensor) -> Tensor:
    """Return ``(*tokens, vocabulary)`` logits of the last layer's output."""
    return functional.linear(functional.rms_norm(hidden, hidden.shape[-1:], model.norm, model.epsilon), model.head)


@dataclass(frozen=True)
class Prefix:
    """What a prompt left behind: per layer keys and values, ``(kv heads, head size, length)``, and the logits
    ``(vocabulary,)`` of the token that follows it."""

    length: int
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    logits: Tensor


def prefill(model: Llama, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
    """Read prompts of any lengths, side by side where neighbours are about as long: best sorted by length."""
    lengths = [len(prompt) for prompt in prompts]
    return [prefix for group in alike(lengths, GROUP_TOKENS) for prefix in _read(model, [prompts[i] for i in group])]


def extend(model: Llama, prefix: Prefix, common: int, prompt: Sequence[int]) -> Prefix:
    """Read a prompt whose first `common` tokens are those of a prompt that was read, which left `prefix` behind."""
    tokens = torch.tensor(prompt[common:])
    turn = rotation(model, torch.arange(common, len(prompt)))
    unseen = torch.full((len(tokens), len(prompt)), -torch.inf).triu(common + 1)
    hidden, caches = functional.embedding(tokens, model.embedding), []
    for layer, (keys, values) in zip(model.layers, prefix.layers, strict=True):
        query, key, value = (part.transpose(0, 1) for part in project(model, layer, hidden, turn))
        all_keys, all_values = _joined(keys, key, common), _joined(values, value, common)
        caches.append((all_keys.numpy(), all_values.numpy()))
        if layer is model.layers[-1]:
            query, hidden, unseen = query[:, -1:], hidden[-1:], unseen[-1:]
        attended = _attended(query, all_keys, all_values, unseen)
        hidden = finish(model, layer, hidden, attended.transpose(0, 1).flatten(1))
    return Prefix(len(prompt), tuple(caches), logits(model, hidden)[0])


def _attended(query: Tensor, keys: Tensor, values: Tensor, unseen: Tensor) -> Tensor:
    """Return what queries ``(heads, tokens, head size)`` attend to of ``(kv heads, head size, length)``; ``unseen``
    ``(tokens, length)`` is added to their scores. torch's own attention is slower where tokens do not see all."""
    heads, tokens, size = query.shape
    grouped = query.reshape(len(keys), -1, size)
    scores = torch.bmm(grouped, keys).view(heads, tokens, -1).mul_(size**-0.5).add_(unseen)
    weights = scores.softmax(dim=-1).view(len(keys), -1, keys.shape[-1])
    return torch.bmm(weights, values.mT).view(heads, tokens, size)


def _joined(before: NDArray[np.float32], states: Tensor, common: int) -> Tensor:
    """Return the first `common` tokens of kept states ``(heads, head size, length)``, and then new ones ``(heads,
    tokens, head size)``, as ``(heads, head size, length)``."""
    return torch.cat([torch.from_numpy(before)[..., :common], states.mT], dim=-1)


def alike(lengths: Sequence[int], total: int) -> Iterator[range]:
    """Yield ranges of neighbours that differ little in length and have not more than about `total` together."""
    start = 0
    for stop in range(1, len(lengths) + 1):
        within = lengths[start : stop + 1]
        if stop == len(lengths) or max(within) > 1.2 * min(within) + 16 or sum(within) > total:
            yield range(start, stop)
            start = stop


def _read(model: Llama, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
    """Read prompts side by side. Padding stands behind, where causal attention never looks."""
    lengths = [len(prompt) for prompt in prompts]
    rows, ends = torch.arange(len(prompts)), torch.tensor(lengths) - 1
    tokens = torch.zeros((len(prompts), max(lengths)), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt)
    turn = rotation(model, torch.arange(tokens.shape[1]))
    hidden = functional.embedding(tokens, model.embedding)
    caches = []
    for layer in model.layers:
        query, key, value = (part.transpose(1, 2) for part in project(model, layer, hidden, turn))
        caches.append((key, value))
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        attended = attended.transpose(1, 2).flatten(2)
        if layer is model.layers[-1]:
            hidden, attended = hidden[rows, ends], attended[rows, ends]
        hidden = finish(model, layer, hidden, attended)
    scores = logits(model, hidden)
    return [
        Prefix(
            length, tuple((_kept(key[row], length), _kept(value[row], length)) for key, value in caches), scores[row]
        )
        for row, length in enumerate(lengths)
    ]


def _kept(states: Tensor, length: int) -> NDArray[np.float32]:
    """Return the first `length` of states ``(heads, tokens, head size)`` as ``(heads, head size, length)``."""
    return states[:, :length].transpose(1, 2).contiguous().numpy()
