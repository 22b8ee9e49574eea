"""A selector of your own: refine a random one of the three most promising programs, preferring rarely pulled ones.

soar run demo runs/mine --set search.selector=soar.examples.my_selector:top_three
"""

import numpy as np

from soar.search.pool import Pool


def top_three(pool: Pool, rng: np.random.Generator) -> tuple[int, ...]:
    best = np.argsort(-pool.heuristic, kind="stable")[:3]
    weights = 1.0 / (1.0 + pool.pulls[best])
    return (int(rng.choice(best, p=weights / weights.sum())),)
