"""A small Llama or Qwen3: weights read from a folder in the usual format, and the parts of a forward pass.

Made for models so small that the calls cost more than the arithmetic in them: projections are fused, nothing is checked
twice. NumPy computes the matrix products, compiled code (`kernels`) the rest. Knows arrays; knows neither text, nor
what is kept between tokens, nor how they are drawn.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soar.errors import EndpointError
from soar.lm.embedded import kernels
from soar.lm.embedded.tensors import Floats, read_tensors

FAMILIES = ("llama", "qwen3")


@dataclass(frozen=True)
class Layer:
    """One decoder layer's weights, matrices as ``(from, to)``: the faster of the two layouts for few rows.
    ``qkv`` joins the three projections, ``gate_up`` the two of the gated MLP."""

    attention_norm: Floats
    qkv: Floats
    out: Floats
    query_norm: Floats | None
    key_norm: Floats | None
    mlp_norm: Floats
    gate_up: Floats
    down: Floats


@dataclass(frozen=True)
class Llama:
    """A model's weights. ``embedding`` is ``(vocabulary, width)``, ``head`` ``(width, vocabulary)``; ``frequencies``
    has half a head."""

    embedding: Floats
    head: Floats
    norm: Floats
    layers: tuple[Layer, ...]
    frequencies: Floats
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
    found = read_tensors(folder / "model.safetensors")
    tensors = {name.removeprefix("model."): tensor for name, tensor in found.items()}
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    try:
        return Llama(
            embedding=tensors["embed_tokens.weight"],
            head=_transposed(tensors.get("lm_head.weight", tensors["embed_tokens.weight"])),
            norm=tensors["norm.weight"],
            layers=tuple(_layer(tensors, f"layers.{index}.") for index in range(config["num_hidden_layers"])),
            frequencies=(_theta(config) ** (-np.arange(0, head_size, 2) / head_size)).astype(np.float32),
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


def _layer(tensors: Mapping[str, Floats], prefix: str) -> Layer:
    attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
    return Layer(
        attention_norm=tensors[f"{prefix}input_layernorm.weight"],
        qkv=_transposed(*(tensors[f"{attention}{name}_proj.weight"] for name in "qkv")),
        out=_transposed(tensors[f"{attention}o_proj.weight"]),
        query_norm=tensors.get(f"{attention}q_norm.weight"),
        key_norm=tensors.get(f"{attention}k_norm.weight"),
        mlp_norm=tensors[f"{prefix}post_attention_layernorm.weight"],
        gate_up=_transposed(tensors[f"{mlp}gate_proj.weight"], tensors[f"{mlp}up_proj.weight"]),
        down=_transposed(tensors[f"{mlp}down_proj.weight"]),
    )


def _transposed(*matrices: Floats) -> Floats:
    """Return matrices ``(to, from)``, as files hold them, joined as one ``(from, to)``."""
    return np.ascontiguousarray(np.concatenate(matrices).T)


def rotations(model: Llama, positions: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return cosine and sine of the rotary embedding at some positions, each ``(*positions, head size / 2)``."""
    angles = positions[..., None].astype(np.float32) * model.frequencies
    return np.cos(angles), np.sin(angles)


def project(model: Llama, layer: Layer, hidden: Floats) -> Floats:
    """Return queries, keys and values ``(tokens, (heads + 2 · kv heads) · head size)`` of ``hidden`` ``(tokens,
    width)``: normalized within each head where the family does so (Qwen3), not rotated."""
    states = _normalized(model, hidden, layer.attention_norm) @ layer.qkv
    queries = model.heads * model.head_size
    keys = queries + model.kv_heads * model.head_size
    if layer.query_norm is not None:
        kernels.normalize_heads(states[:, :queries], layer.query_norm, model.epsilon)
    if layer.key_norm is not None:
        kernels.normalize_heads(states[:, queries:keys], layer.key_norm, model.epsilon)
    return states


def finish(model: Llama, layer: Layer, hidden: Floats, attended: Floats) -> None:
    """Turn a layer's input ``hidden`` ``(tokens, width)`` into its output, in place, given what attention
    returned, ``(tokens, heads · head size)``."""
    hidden += attended @ layer.out
    gate_up = _normalized(model, hidden, layer.mlp_norm) @ layer.gate_up
    gated = np.empty((len(hidden), gate_up.shape[1] // 2), np.float32)
    kernels.gate(gate_up, gated)
    hidden += gated @ layer.down


def logits(model: Llama, hidden: Floats) -> Floats:
    """Return ``(tokens, vocabulary)`` logits of the last layer's output."""
    return _normalized(model, hidden, model.norm) @ model.head


def _normalized(model: Llama, hidden: Floats, weight: Floats) -> Floats:
    out = np.empty_like(hidden)
    kernels.normalize(hidden, weight, model.epsilon, out)
    return out
