"""What reading and decoding do besides matrix products, compiled by numba: norms, rotation, attention, gates, drawing.

A decoding step is many small operations, and calling them one by one costs more than computing them. Knows arrays of
32-bit floats; knows neither models nor text. Compiled code is cached on disk: only the first use ever waits for it.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# nogil, since several threads decode at once; fastmath, since sums are vectorized only if their order is free;
# NumPy's errors, since a test for zero before every division would keep loops from being vectorized too.
compiled: Any = numba.njit(nogil=True, fastmath=True, cache=True, error_model="numpy")

LOG2_E, LN_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
LEAST, MOST = np.float32(-87.0), np.float32(87.0)  # just inside the range of a 32-bit float's exponent
HALF, ONE = np.float32(0.5), np.float32(1.0)
GOLDEN, TINY, ONE_64 = np.uint64(0x9E3779B97F4A7C15), np.float64(2.0**-53), np.float64(1.0)
RAREST = 1e-200
"""Sequences less probable than this never enter a race, except the one that arrives with its prefix."""

# Of the exponential's series: its argument is at most ln(2) / 2, where the next term is as small as a float's rounding.
C2, C3, C4, C5, C6 = (np.float32(1 / factorial) for factorial in (2, 6, 24, 120, 720))


@compiled
def exp(x: np.float32) -> np.float32:
    """Return e to the power of x, clamped to ±87, to about a millionth: unlike the library's, it is vectorized."""
    held = min(max(x, LEAST), MOST)
    power = np.floor(held * LOG2_E + HALF)
    rest = held - power * LN_2
    series = ONE + rest * (ONE + rest * (C2 + rest * (C3 + rest * (C4 + rest * (C5 + rest * C6)))))
    # Two to the power of `power`, written into the exponent's bits of a float.
    return series * np.int32((np.int32(power) + 127) << 23).view(np.float32)


@compiled
def normalize(hidden: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
    """Write each row of ``hidden`` ``(rows, width)``, divided by its root mean square, times ``weight``, to ``out``."""
    rows, width = hidden.shape
    for row in range(rows):
        total = np.float32(0)
        for i in range(width):
            total += hidden[row, i] * hidden[row, i]
        scale = np.float32(1 / np.sqrt(total / width + epsilon))
        for i in range(width):
            out[row, i] = hidden[row, i] * scale * weight[i]


@compiled
def normalize_heads(states: Floats, weight: Floats, epsilon: float) -> None:
    """Normalize each head of ``states`` ``(rows, heads · size)`` as `normalize` does a row, in place; ``weight`` is
    ``(size,)``."""
    rows, width = states.shape
    size = len(weight)
    for row in range(rows):
        for start in range(0, width, size):
            head = states[row, start : start + size]
            total = np.float32(0)
            for i in range(size):
                total += head[i] * head[i]
            scale = np.float32(1 / np.sqrt(total / size + epsilon))
            for i in range(size):
                head[i] *= scale * weight[i]


@compiled
def gate(gate_up: Floats, out: Floats) -> None:
    """Write silu(gate) · up to ``out`` ``(rows, width)``, where ``gate_up`` ``(rows, 2 · width)`` holds both."""
    rows, width = out.shape
    for row in range(rows):
        for i in range(width):
            value = gate_up[row, i]
            out[row, i] = value / (ONE + exp(-value)) * gate_up[row, width + i]


@compiled
def rotate_and_cache(states: Floats, turn: tuple[Floats, Floats], cache: tuple[Floats, Floats]) -> None:
    """Rotate and scale the queries within ``states`` ``(tokens, (heads + 2 · kv heads) · size)`` of a prompt's last
    tokens, in place, and write their rotated keys, and their values, to the end of ``cache`` ``(kv heads, size,
    length)`` each. ``turn`` is cosine and sine ``(tokens, size / 2)`` of the tokens' positions."""
    (cosine, sine), (keys, values) = turn, cache
    kv_heads, size, length = keys.shape
    tokens = len(states)
    start, heads = length - tokens, states.shape[1] // size - 2 * kv_heads
    scale = np.float32(1 / np.sqrt(size))
    turned = np.empty(size, np.float32)
    for token in range(tokens):
        for at in range(0, heads * size, size):
            _rotate(states[token, at : at + size], cosine[token], sine[token], scale, turned)
            for d in range(size):
                states[token, at + d] = turned[d]
        for head in range(kv_heads):
            at = (heads + head) * size
            _rotate(states[token, at : at + size], cosine[token], sine[token], ONE, turned)
            for d in range(size):
                keys[head, d, start + token] = turned[d]
                values[head, d, start + token] = states[token, at + kv_heads * size + d]


@compiled
def softmax(scores: Floats, seen: int) -> None:
    """Turn ``scores`` ``(heads, tokens, length)`` into weights that sum to one, in place: the first token sees `seen`
    tokens, each next one sees one more; tokens not seen get weight 0."""
    heads, tokens, length = scores.shape
    for head in range(heads):
        for token in range(tokens):
            row, count = scores[head, token], seen + token
            scale = ONE / _exponentiate(row, count)
            for i in range(count):
                row[i] *= scale
            for i in range(count, length):
                row[i] = np.float32(0)


@compiled
def attend(
    states: Floats,
    turn: tuple[Floats, Floats],
    prompt: tuple[Floats, Floats],
    own: tuple[Floats, Floats],
    slots: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: Floats,
) -> None:
    """Attend from one new token per row to a prompt that the rows share and to each row's own tokens.

    ``states`` ``(rows, (heads + 2 · kv heads) · size)`` holds queries, keys and values, not rotated; ``turn`` cosine
    and sine ``(rows, size / 2)`` of the rows' positions; ``prompt`` keys and values ``(kv heads, size, length)``;
    ``own`` keys and values ``(slots, kv heads, capacity, size)``: row i's own tokens are the first ``counts[i]`` of
    slot ``slots[i]``, and the new one is written after them. What is attended to goes to ``out`` ``(rows, heads ·
    size)``.
    """
    (cosine, sine), (keys, values), (own_keys, own_values) = turn, prompt, own
    kv_heads, size, length = keys.shape
    heads = out.shape[1] // size
    each = heads // kv_heads
    scale = np.float32(1 / np.sqrt(size))
    query = np.empty(size, np.float32)
    weights = np.empty(length + own_keys.shape[2], np.float32)
    # Heads outside, so that a head's part of the prompt, which all rows read, stays in the processor's cache.
    for head in range(kv_heads):
        for row in range(len(slots)):
            count, key_at = counts[row], (heads + head) * size
            mine, theirs = own_keys[slots[row], head], own_values[slots[row], head]
            _rotate(states[row, key_at : key_at + size], cosine[row], sine[row], ONE, mine[count])
            value_at = key_at + kv_heads * size
            for d in range(size):
                theirs[count, d] = states[row, value_at + d]
            for asking in range(head * each, (head + 1) * each):
                at = asking * size
                _rotate(states[row, at : at + size], cosine[row], sine[row], scale, query)
                _score(query, keys[head], mine, count + 1, weights)
                total = _exponentiate(weights, length + count + 1)
                _weighted_sum(weights, values[head], theirs, count + 1, ONE / total, out[row, at : at + size])


@compiled
def _rotate(state: Floats, cosine: Floats, sine: Floats, scale: np.float32, out: Floats) -> None:
    half = len(cosine)
    for i in range(half):
        out[i] = (state[i] * cosine[i] - state[half + i] * sine[i]) * scale
        out[half + i] = (state[half + i] * cosine[i] + state[i] * sine[i]) * scale


@compiled
def _score(query: Floats, keys: Floats, own: Floats, count: int, scores: Floats) -> None:
    """Write the query's products with the prompt's keys ``(size, length)``, then with its own ``(count, size)``."""
    # A prompt's keys are stored by dimension, so that the inner loop runs over many tokens; own tokens are few.
    size, length = keys.shape
    for i in range(length):
        scores[i] = np.float32(0)
    # Four at a time, so that the scores are read and written a quarter as often.
    for d in range(0, size - 3, 4):
        a, b, c, e = query[d], query[d + 1], query[d + 2], query[d + 3]
        for i in range(length):
            scores[i] += a * keys[d, i] + b * keys[d + 1, i] + c * keys[d + 2, i] + e * keys[d + 3, i]
    for d in range(size - size % 4, size):
        for i in range(length):
            scores[i] += query[d] * keys[d, i]
    for i in range(count):
        total = np.float32(0)
        for d in range(size):
            total += query[d] * own[i, d]
        scores[length + i] = total


@compiled
def _exponentiate(scores: Floats, count: int) -> np.float32:
    """Turn the first `count` scores into weights, the largest 1, in place; return their sum."""
    # Less the largest, so that no exponential overflows.
    top = scores[0]
    for i in range(count):
        top = max(top, scores[i])
    total = np.float32(0)
    for i in range(count):
        scores[i] = exp(scores[i] - top)
        total += scores[i]
    return total


@compiled
def _weighted_sum(weights: Floats, values: Floats, own: Floats, count: int, scale: np.float32, out: Floats) -> None:
    """Write the weighted sum of the prompt's values ``(size, length)`` and of its own ``(count, size)``."""
    size, length = values.shape
    for d in range(size):
        total = np.float32(0)
        for i in range(length):
            total += weights[i] * values[d, i]
        out[d] = total
    for i in range(count):
        weight = weights[length + i]
        for d in range(size):
            out[d] += weight * own[i, d]
    for d in range(size):
        out[d] *= scale


@compiled
def copy(cache: Floats, sources: NDArray[np.int64], targets: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Copy the first ``counts[i]`` tokens of slot ``sources[i]`` of a cache ``(slots, kv heads, capacity, size)`` to
    slot ``targets[i]``, for each i of ``(n,)``; no source is a target."""
    _, heads, _, size = cache.shape
    for i in range(len(sources)):
        for head in range(heads):
            for token in range(counts[i]):
                for d in range(size):
                    cache[targets[i], head, token, d] = cache[sources[i], head, token, d]


@compiled
def pick(
    logits: Floats,
    rows: NDArray[np.int64],
    numbers: NDArray[np.float64],
    temperatures: Floats,
    min_p: Floats,
    out: NDArray[np.int64],
) -> None:
    """Write to ``out`` the token at each number's place in the distribution of its row of ``logits`` ``(branches,
    vocabulary)``, without the tokens less probable than ``min_p`` times the most probable one. All others are ``(n,)``;
    neighbours with the same row, temperature and ``min_p`` share the work."""
    weights, total = np.empty(logits.shape[1], np.float32), 0.0
    for i in range(len(rows)):
        alike = i > 0 and rows[i] == rows[i - 1] and temperatures[i] == temperatures[i - 1] and min_p[i] == min_p[i - 1]
        if not alike:
            total = _weigh(logits[rows[i]], temperatures[i], min_p[i], weights)
        out[i] = _token_at(numbers[i] * total, weights)


@compiled
def follow(
    logits: Floats,
    runners: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint64]],
    bounds: NDArray[np.float64],
    temperatures: Floats,
    min_p: Floats,
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint64]]]:
    """Return the prefixes, one token longer than ``runners``, that arrive no later than their ``bounds`` in a race of
    sequences (`soar.lm.embedded.draw`): which row of ``logits`` ``(n, vocabulary)`` each continues, its token, and
    its time, rate and key, as ``runners`` has them ``(n,)`` each. One of each row arrives with it; rows are in
    order."""
    (times, rates, keys), size = runners, logits.shape[1]
    rows, tokens = np.empty(len(times) * size, np.int64), np.empty(len(times) * size, np.int64)
    when, rate, key = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows), np.uint64)
    weights, count = np.empty(size, np.float32), 0
    for row in range(len(times)):
        total = _weigh(logits[row], temperatures[row], min_p[row], weights)
        first = _token_at(_uniform(splitmix64(keys[row])) * total, weights)
        scale, slack = rates[row] / total, bounds[row] - times[row]
        for token in range(size):
            own, bits, late = scale * weights[token], splitmix64(keys[row] + np.uint64(token + 1) * GOLDEN), 0.0
            if token != first:
                number = _uniform(bits)
                if own < RAREST or number >= own * slack:  # the second test saves a logarithm: -log(1 - x) >= x
                    continue
                late = -np.log(ONE_64 - number) / own
                if late > slack:
                    continue
            rows[count], tokens[count], key[count] = row, token, bits
            when[count], rate[count] = times[row] + late, own
            count += 1
    return rows[:count], tokens[:count], (when[:count], rate[:count], key[:count])


@compiled
def _token_at(wanted: float, weights: Floats) -> int:
    """Return the first token at which the running sum of the weights exceeds `wanted`."""
    before, chosen = 0.0, 0
    for token in range(len(weights)):
        if weights[token] > 0:
            chosen = token  # the last one possible, should rounding keep the sum below what is wanted
            if before + weights[token] > wanted:
                break
            before += weights[token]
    return chosen


@compiled
def uniforms(seeds: NDArray[np.uint64], places: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return one number in [0, 1) per seed and place, both ``(n,)``."""
    out = np.empty(len(seeds))
    for i in range(len(seeds)):
        out[i] = _uniform(splitmix64(splitmix64(seeds[i]) + places[i] * GOLDEN))
    return out


@compiled
def _uniform(bits: np.uint64) -> float:
    """Return a number in [0, 1) made of 64 random bits: of the upper 53, which a 64-bit float holds exactly."""
    return np.float64(bits >> np.uint64(11)) * TINY


@compiled
def splitmix64(state: np.uint64) -> np.uint64:
    """Return 64 bits that look random for any `state` (Steele, Lea and Flood 2014)."""
    bits = state + GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@compiled
def _weigh(logits: Floats, temperature: np.float32, min_p: np.float32, weights: Floats) -> float:
    """Write each token's weight, 1 for the most probable one; return their sum."""
    top = logits[0]
    for token in range(len(logits)):
        top = max(top, logits[token])
    cold = ONE / temperature
    for token in range(len(logits)):
        weight = exp((logits[token] - top) * cold)
        weights[token] = weight if weight >= min_p else np.float32(0)
    total = 0.0
    for token in range(len(logits)):
        total += weights[token]
    return total
