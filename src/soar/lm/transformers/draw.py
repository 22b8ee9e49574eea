"""How tokens are drawn: temperature, then min-p, for many samples at once (App. D.5).

A sample's numbers follow from its own seed alone, one for each of its tokens.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soar.errors import EndpointError


def numbers(seed: int, count: int) -> NDArray[np.float64]:
    """Return one number in [0, 1) for each token of a sample; fewer are the first of more."""
    return np.random.default_rng(seed).random(count)


@torch.inference_mode()
def draw(logits: Tensor, places: Tensor, temperatures: Tensor, min_p: Tensor) -> list[int]:
    """Return for each row of ``logits`` ``(rows, vocabulary)`` the token at its place in the distribution, 0 to 1.

    Tokens less probable than `min_p` times the most probable one are never drawn. The other arguments are ``(rows,)``.
    `EndpointError` where the model's numbers are not finite.
    """
    scores = logits.float() / temperatures[:, None]
    top = scores.amax(dim=-1, keepdim=True)
    if not bool(top.isfinite().all()):
        raise EndpointError("the model computes values that are not finite: its weights are damaged, or lm.dtype fails")
    weights = (scores - top).exp_()
    weights.masked_fill_(weights < min_p[:, None], 0.0)
    heights = weights.cumsum(dim=-1, dtype=torch.float64)
    whole = heights[:, -1:].contiguous()
    wanted = torch.minimum(places[:, None] * whole, whole.nextafter(torch.zeros_like(whole)))
    return torch.searchsorted(heights, wanted, right=True)[:, 0].tolist()
