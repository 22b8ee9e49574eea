"""How tokens are drawn: temperature and min-p; each sample independently, or those of one job without replacement.

Drawing without replacement is a race (exponential race or Gumbel-top-k; Kool, van Hoof and Welling 2019, arXiv
1903.06059): every complete sequence arrives at an exponentially distributed time whose rate is its probability, and the
first n to arrive are n samples, each drawn from those not drawn before. A prefix arrives with the first of its
sequences, so its rate is its probability too. One of its continuations, drawn as usual, arrives with it; every other
one arrives later by an exponential time at its own rate, because exponential times have no memory. Keeping the first n
prefixes at every length is therefore exact. Random numbers are keyed by what they are drawn for: n samples are the
first n of m > n.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soar.lm.embedded.kernels import follow, pick, splitmix64

NEVER = 1e250
"""A time after all arrivals."""


class Runner(NamedTuple):
    """A prefix in a race: its arrival time, its probability, and the key of the random numbers for what follows it."""

    time: float
    rate: float
    key: int


Continuation: TypeAlias = tuple[int, int, Runner]
"""The place of the prefix that is continued, the token, and the prefix with that token."""


def start(seed: int) -> Runner:
    """Return the empty prefix."""
    return Runner(0.0, 1.0, int(splitmix64(np.uint64(seed))))


def draw(
    logits: NDArray[np.float32],
    rows: NDArray[np.int64],
    numbers: NDArray[np.float64],
    temperatures: NDArray[np.float32],
    min_p: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Return the token at each number's place in the distribution of its row of ``logits`` ``(branches, vocabulary)``.
    All but ``logits`` are ``(n,)``.

    Tokens less probable than `min_p` times the most probable one are never drawn (App. D.5).
    """
    tokens = np.empty(len(rows), np.int64)
    pick(logits, rows, numbers, temperatures, min_p, tokens)
    return tokens


@dataclass(frozen=True)
class Field:
    """The unfinished and the complete prefixes of one race, and how many sequences to keep."""

    runners: Sequence[Runner]
    complete: Sequence[Runner]
    wanted: int
    temperature: float
    min_p: float

    @property
    def bound(self) -> float:
        """The time after which no continuation can be among the first `wanted`: that many arrive earlier."""
        if len(self.runners) + len(self.complete) < self.wanted:
            return NEVER
        return sorted(runner.time for runner in (*self.runners, *self.complete))[self.wanted - 1]


def race(logits: NDArray[np.float32], fields: Sequence[Field]) -> Iterator[list[Continuation]]:
    """Yield, for each field, the continuations of its runners that may be among the first `wanted`, at most that many,
    in the order of the runners. Runners are numbered over all fields, as are their rows of ``logits`` ``(runners,
    vocabulary)``."""
    sizes = [len(field.runners) for field in fields]
    times, rates, keys = zip(*(runner for field in fields for runner in field.runners), strict=True)
    rows, tokens, (when, rate, key) = follow(
        logits,
        (np.array(times), np.array(rates), np.array(keys, dtype=np.uint64)),
        np.repeat([field.bound for field in fields], sizes),
        np.repeat(np.array([field.temperature for field in fields], np.float32), sizes),
        np.repeat(np.array([field.min_p for field in fields], np.float32), sizes),
    )
    edges = np.searchsorted(rows, np.cumsum([0, *sizes])).tolist()
    for field, (low, high) in zip(fields, pairwise(edges), strict=True):
        kept = slice(low, high) if high - low <= field.wanted else low + _earliest(when[low:high], field.wanted)
        runners = map(Runner, when[kept].tolist(), rate[kept].tolist(), key[kept].tolist())
        yield list(zip(rows[kept].tolist(), tokens[kept].tolist(), runners, strict=True))


def _earliest(times: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the places of the `count` earliest of more times, ascending."""
    return np.sort(np.argpartition(times, count - 1)[:count])
