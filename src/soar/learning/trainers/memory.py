"""Estimates the memory of finetuning from the files in a model's folder. Loads no weights.

Knows the sizes of a model's parts and how AdamW, LoRA and checkpointed activations use memory; knows no device, no
library and no trainer, each of which may need more.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from soar.errors import DataError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The layers that LoRA adapts and QLoRA stores in 4 bits: all attention and MLP projections (App. D.4)."""

NF4_BYTES = 4.127 / 8
"""Bytes of one weight in NF4: 4 bits, plus 8 / 64 and 32 / (64 · 256) bits for the scales of its block (double
quantization, Dettmers et al. 2023, §3)."""


WORKSPACE = 192 * 2**20
"""Bytes that a GPU's libraries take for themselves, as measured on an H200 beside a small model."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's sizes. `projections` holds the (outputs, inputs) of every matrix that LoRA adapts; `cache` counts the
    numbers in the keys and values of one token over all layers; `stored` is the size of the weight files in bytes."""

    parameters: int
    projections: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    cache: int
    context: int | None
    stored: int

    @property
    def projected(self) -> int:
        """The number of weights in the projections."""
        return sum(map(prod, self.projections))

    def adapter(self, rank: int) -> int:
        """Return the number of trainable weights of LoRA at a rank: rank · (outputs + inputs) per projection."""
        return rank * sum(map(sum, self.projections))


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak memory of finetuning in bytes, by part."""

    weights: int
    trainable: int
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.weights + self.trainable + self.gradients + self.optimizer + self.activations + self.logits


def estimate(
    shape: Shape,
    *,
    method: Literal["lora", "qlora", "full"],
    rank: int,
    batch_size: int,
    length: int,
    bf16: bool = True,
    optimizer_bytes: int | None = None,
    gpu: bool = True,
    scored: int | None = None,
) -> Memory:
    """Return the memory of finetuning on one device, for `batch_size` examples of `length` tokens at once: on a GPU
    with checkpointed layers and TRL's scores in tiles, on a CPU with neither.

    With p bytes per computed number (2 in bfloat16, else 4), P parameters, A parameters in the adapter, N the weights
    of all projections, B = batch_size · length tokens, h the hidden and i the intermediate size, L layers:

    - frozen weights: lora p·P; qlora `NF4_BYTES`·N + p·(P − N); full 0.
    - trainable: full 4·P, and 2·P more in bfloat16, because autocast keeps a copy; lora 4·A, and 2·A more in bfloat16
      (PEFT holds adapters in float32); qlora p·A (TRL holds these in bfloat16).
    - gradients: one per trained number, in the same format.
    - optimizer: AdamW's two moments per trained number, in the same format; with `optimizer_bytes`, that many bytes
      for both (2 for AdamW in 8 bits).
    - activations on a CPU: p·B·(8·h + 4·i) per layer, and 7·p·B·rank with an adapter. Attention is assumed to hold no
      matrix of length × length.
    - on a GPU: one layer, computed again, with its gradients and its norms in float32: p·B·(14·h + 7·i), or
      p·B·(18·h + 7·i) if all weights are trained; its adapters as above; what it is computed again from, p·B·h per
      layer, or 4·B·h if all weights are trained; and `WORKSPACE`.
    - logits on a CPU: p + 8 bytes per token of the vocabulary and position, for `scored` positions per example (None:
      all): as computed, in float32, and the gradient. On a GPU none: TRL scores a few positions at a time.
    """
    number, tokens = (2 if bf16 else 4), batch_size * length
    adapter = shape.adapter(rank)
    trained = shape.parameters if method == "full" else adapter
    held = 2 if method == "qlora" and bf16 else 4
    copied = 2 if bf16 and held == 4 else 0
    return Memory(
        weights=_frozen(shape, method, number),
        trainable=trained * (held + copied),
        gradients=trained * held,
        optimizer=trained * (2 * held if optimizer_bytes is None else optimizer_bytes),
        activations=_activations(shape, method, rank, tokens, number, gpu=gpu),
        logits=0 if gpu else batch_size * min(length, scored or length) * shape.vocabulary * (number + 8),
    )


def _activations(shape: Shape, method: str, rank: int, tokens: int, number: int, *, gpu: bool) -> int:
    """Return the bytes of what is kept for the gradients, and on a GPU of one layer's own gradients."""
    h, i, full = shape.hidden, shape.intermediate, method == "full"
    adapters = 0 if full else 7 * rank
    if not gpu:
        return shape.layers * number * tokens * (8 * h + 4 * i + adapters)
    one_layer = number * tokens * ((18 if full else 14) * h + 7 * i + adapters)
    return one_layer + shape.layers * (4 if full else number) * tokens * h + WORKSPACE


def _frozen(shape: Shape, method: str, number: int) -> int:
    """Return the bytes of the frozen weights."""
    if method == "full":
        return 0
    if method == "lora":
        return number * shape.parameters
    return round(NF4_BYTES * shape.projected) + number * (shape.parameters - shape.projected)


def read_shape(folder: Path) -> Shape:
    """Return the sizes of the model in a folder, from its configuration and the headers of its .safetensors files;
    `DataError` if one is missing or incomplete."""
    config = _config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise DataError(f"{folder} holds no .safetensors file, so the size of its model is unknown")
    tensors = {name: shape for file in files for name, shape in _header(file).items()}
    try:
        heads = config.get("num_key_value_heads") or config["num_attention_heads"]
        size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        return Shape(
            parameters=sum(map(prod, tensors.values())),
            projections=tuple(
                (shape[0], shape[1])
                for name, shape in sorted(tensors.items())
                if _is_projection(name) and len(shape) == 2
            ),
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            cache=2 * config["num_hidden_layers"] * heads * size,
            context=config.get("max_position_embeddings"),
            stored=sum(file.stat().st_size for file in files),
        )
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise DataError(f"{folder / 'config.json'} does not give the size of its model: {error!r}") from None


def _is_projection(name: str) -> bool:
    parts = name.split(".")
    return len(parts) > 1 and parts[-1] == "weight" and parts[-2] in PROJECTIONS


def _config(folder: Path) -> dict[str, Any]:
    """Return the configuration of the language model, also of a multimodal one."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder / 'config.json'} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{folder / 'config.json'}: expected an object, found {type(found).__name__}")
    text = found.get("text_config")
    return text if isinstance(text, dict) else found


def _header(file: Path) -> dict[str, list[int]]:
    """Return the shape of each tensor of a .safetensors file: 8 bytes hold the length of the JSON that follows."""
    try:
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8))
            header = json.loads(content.read(min(length, file.stat().st_size)))
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{file} is not a .safetensors file: {error!r}; restore it from a copy") from None
