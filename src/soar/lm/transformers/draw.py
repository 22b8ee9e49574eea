"""How tokens are drawn: temperature, then min-p, for many samples at once (App. D.5).

A sample's numbers follow from its own seed alone, one for each of its tokens.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soar.errors import EndpointError


def numbers(seed: int, count: int) -> NDArray[np.float64]:
    """Return one number in [0, 1) for each token of a sample; fewer are the first of more."""
    return np.random.default_rng(seed).random(count)


@torch.inference_mode()
def draw(logits: Tensor, places: Sequence[float], temperatures: Sequence[float], min_p: Sequence[float]) -> list[int]:
    """Return for each row of ``logits`` ``(rows, vocabulary)`` the token at its place in the distribution, 0 to 1.

    Tokens less probable than `min_p` times the most probable one are never drawn; they are most, so the rest is done
    for the others alone, each row by itself. `EndpointError` where the model's numbers are not finite.
    """
    scores = logits.float()
    top = scores.amax(dim=-1)
    if not bool(top.isfinite().all()):
        raise EndpointError("the model computes values that are not finite: its weights are damaged, or lm.dtype fails")
    with np.errstate(divide="ignore"):
        margins = np.array(temperatures) * np.log(np.array(min_p))
    bounds = top + torch.tensor(margins, dtype=torch.float32, device=top.device)
    rows, tokens = (scores >= bounds[:, None]).nonzero(as_tuple=True)
    kept = scores[rows, tokens].cpu().numpy().astype(np.float64)
    tokens = tokens.cpu().numpy()
    edges = np.searchsorted(rows.cpu().numpy(), np.arange(len(scores) + 1))
    drawn = []
    for (start, stop), place, temperature in zip(pairwise(edges), places, temperatures, strict=True):
        weights = np.exp((kept[start:stop] - kept[start:stop].max()) / temperature)
        heights = weights.cumsum()
        found = int(np.searchsorted(heights, place * heights[-1], side="right"))
        drawn.append(int(tokens[start + min(found, stop - start - 1)]))
    return drawn
