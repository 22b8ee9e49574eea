"""Muon: momentum with orthogonalised updates (Jordan et al. 2024), for the matrices inside the decoder layers.

As torch.optim.Muon, but in bfloat16 only if the machine has instructions for it: otherwise it takes a hundred times as
long. Knows matrices only; AdamW trains embeddings and norms.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

from soar.learning.trainers.precision import has_fast_bf16

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration that drives singular values towards 1."""


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Return ``(n, rows, columns)`` matrices with the singular vectors of `matrices` and singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    # The shorter side first: the iteration multiplies square matrices of that side.
    turned = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if turned else matrices
    # Divided by the norm, no singular value is above 1, as the iteration requires.
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = x.bfloat16() if has_fast_bf16(x.device.type) else x
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.transpose(1, 2) if turned else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Updates matrices by the orthogonal part of their Nesterov momentum, scaled to the size of AdamW's updates."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all matrices, those of one shape together."""
        del closure
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for parameters in shapes.values():
                self._update(parameters, group)

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        momenta = []
        for parameter in parameters:
            gradient = cast(Tensor, parameter.grad)
            buffer = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
            buffer.lerp_(gradient, 1 - group["momentum"])
            momenta.append(torch.lerp(gradient, buffer, group["momentum"]))
        scale = 0.2 * max(parameters[0].shape) ** 0.5
        for parameter, update in zip(parameters, orthogonal(torch.stack(momenta)), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update, alpha=-group["lr"] * scale)
