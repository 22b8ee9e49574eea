from itertools import permutations

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soar.lm.embedded import kernels
from soar.lm.embedded.draw import NEVER, Field, Runner, draw, race, start
from soar.lm.embedded.kernels import uniforms


def independent(count):
    return uniforms(np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))


def tokens(logits, count, temperature=1.0, min_p=0.0):
    one_row, rows = np.array([logits], np.float32), np.zeros(count, np.int64)
    heat, cut = np.full(count, temperature, np.float32), np.full(count, min_p, np.float32)
    return draw(one_row, rows, independent(count), heat, cut)


def test_random_numbers_are_uniform_and_depend_on_seed_and_place_alone():
    drawn = independent(20_000)
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert np.abs(np.histogram(drawn, 10, (0, 1))[0] - 2000).max() < 200
    seeds = np.array([7, 5], dtype=np.uint64)
    both = uniforms(seeds, np.array([3, 3], dtype=np.uint64))
    assert both[1] == uniforms(seeds[1:], np.array([3], dtype=np.uint64))[0] != both[0]


def test_consecutive_places_of_a_seed_are_uncorrelated():
    seeds = np.arange(20_000, dtype=np.uint64)
    first, second = (uniforms(seeds, np.full(20_000, place, dtype=np.uint64)) for place in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_tokens_are_drawn_as_often_as_they_are_probable():
    share = np.bincount(tokens([0.0, np.log(3.0)], 20_000)) / 20_000
    assert np.allclose(share, [0.25, 0.75], atol=0.02)


PAIRS = {(0, 0): 0.125, (0, 1): 0.125, (1, 0): 0.15, (1, 1): 0.6}
"""How probable two tokens are: the first by 1/4, 3/4; the second by 1/2, 1/2 after 0 and 1/5, 4/5 after 1."""


def raced(seed, wanted):
    """Pairs of tokens in the order in which they arrive."""
    first, second = np.log([[0.25, 0.75]]).astype(np.float32), np.log([[0.5, 0.5], [0.2, 0.8]]).astype(np.float32)
    (begun,) = race(first, [Field([start(seed)], [], wanted, 1.0, 0.0)])
    logits = second[[token for _, token, _ in begun]]
    (ended,) = race(logits, [Field([runner for *_, runner in begun], [], wanted, 1.0, 0.0)])
    return [(begun[row][1], token) for row, token, _ in sorted(ended, key=lambda each: each[2])]


def test_a_race_draws_each_from_those_not_drawn_before():
    rounds = 6_000
    orders = [tuple(raced(seed, 4)) for seed in range(rounds)]
    for a, b in permutations(PAIRS, 2):
        share = sum(order[:2] == (a, b) for order in orders) / rounds
        expected = PAIRS[a] * PAIRS[b] / (1 - PAIRS[a])
        assert abs(share - expected) < 4 * (expected / rounds) ** 0.5


@given(st.integers(0, 2**62), st.integers(1, 3))
def test_the_first_of_a_race_are_the_same_however_many_are_wanted(seed, wanted):
    assert raced(seed, wanted) == raced(seed, 4)[:wanted]


def test_races_side_by_side_go_as_each_by_itself():
    logits = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    runners = [
        Runner(t, r, k) for t, r, k in ((0.3, 0.2, 5), (0.9, 0.1, 6), (1.0, 0.5, 7), (0.1, 0.9, 8), (2.0, 0.01, 9))
    ]
    fields = [
        Field(runners[:2], [], 4, 1.0, 0.0),
        Field(runners[2:3], [Runner(0.2, 0.1, 1)], 2, 0.5, 0.1),
        Field(runners[3:], [], 2, 2.0, 0.0),
    ]
    alone = [
        next(race(rows, [field])) for rows, field in zip((logits[:2], logits[2:3], logits[3:]), fields, strict=True)
    ]
    placed = [[(first + row, *more) for row, *more in found] for first, found in zip((0, 2, 3), alone, strict=True)]
    assert list(race(logits, fields)) == placed
    assert fields[0].bound == NEVER
    assert [field.bound for field in fields[1:]] == [1.0, 2.0]


def test_continuations_keep_the_rate_and_one_arrives_with_its_prefix():
    logits = np.random.default_rng(1).normal(size=(1, 40)).astype(np.float32)
    begun = Runner(0.7, 0.25, 3)
    (found,) = race(logits, [Field([begun], [], 40, 1.0, 0.0)])
    assert len(found) == 40
    assert abs(sum(runner.rate for *_, runner in found) - begun.rate) < 1e-6
    assert [runner.time for *_, runner in found].count(0.7) == 1
    assert min(runner.time for *_, runner in found) == 0.7


def test_temperature_sharpens():
    share = np.bincount(tokens([0.0, np.log(3.0)], 20_000, temperature=0.5)) / 20_000
    assert np.allclose(share, [0.1, 0.9], atol=0.02)


def test_min_p_cuts_what_is_improbable_beside_the_most_probable():
    assert set(tokens([0.0, np.log(0.2), np.log(0.04)], 5_000, min_p=0.05).tolist()) == {0, 1}
    assert set(tokens([0.0, np.log(0.2), np.log(0.06)], 5_000, min_p=0.05).tolist()) == {0, 1, 2}


def test_the_compiled_exponential_is_the_librarys_to_a_millionth():
    @numba.njit(fastmath=True)
    def over(values, out):
        for i in range(len(values)):
            out[i] = kernels.exp(values[i])

    values = np.linspace(-86, 86, 10_001, dtype=np.float32)
    found = np.empty_like(values)
    over(values, found)
    assert np.allclose(found, np.exp(values.astype(np.float64)), rtol=1e-6)


def test_numbers_of_one_row_are_drawn_as_by_themselves():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 50)).astype(np.float32)
    rows = np.array([0, 0, 1, 1, 1, 0, 2])
    at = rng.random(7)
    heat = np.array([1, 0.5, 0.5, 0.5, 0.5, 2, 1], np.float32)
    cut = np.array([0, 0, 0, 0, 0.3, 0, 0], np.float32)
    together = draw(logits, rows, at, heat, cut)
    alone = [draw(logits, rows[i : i + 1], at[i : i + 1], heat[i : i + 1], cut[i : i + 1]) for i in range(7)]
    assert np.array_equal(together, np.concatenate(alone))
