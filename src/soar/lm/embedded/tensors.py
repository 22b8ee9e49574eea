"""Reads the tensors of a safetensors file as arrays of 32-bit floats. Knows the format's type names, and no model."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from soar.errors import EndpointError

Floats = NDArray[np.float32]

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""The types that weights come in. NumPy has no bfloat16: its bits are the upper half of a 32-bit float's."""


def read_tensors(path: Path) -> dict[str, Floats]:
    """Return all tensors of a file by name; `EndpointError` if it cannot be read, or holds values that are not finite
    or not floats."""
    try:
        found = deserialize(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise EndpointError(f"the weights in {path.parent} cannot be read: {error}") from None
    tensors = {name: _floats(path, name, stored) for name, stored in found}
    if bad := [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]:
        raise EndpointError(
            f"the weights in {path.parent} hold values that are not finite, in {', '.join(sorted(bad)[:3])}:"
            " put back a copy"
        )
    return tensors


def _floats(path: Path, name: str, stored: dict[str, Any]) -> Floats:
    """Return one tensor of a file, `stored` as ``dtype``, ``shape`` and ``data``, its bytes."""
    kind = stored["dtype"]
    if kind not in TYPES:
        raise EndpointError(
            f"the weights in {path.parent} hold {name} as {kind}, expected one of {', '.join(TYPES)}: convert them"
        )
    values = np.frombuffer(stored["data"], TYPES[kind]).reshape(stored["shape"])
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
