import numba
import numpy as np
import pytest

from soar.lm import kernels
from soar.lm.draw import NARROW, draw, numbers, points, uniforms


def independent(count):
    return uniforms(np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))


def tokens(logits, count, temperature=1.0, min_p=0.0):
    one_row, rows = np.array([logits], np.float32), np.zeros(count, np.int64)
    heat, cut = np.full(count, temperature, np.float32), np.full(count, min_p, np.float32)
    return draw(one_row, rows, independent(count), heat, cut)[0]


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


def pairs(at, first, second):
    """Two tokens for each number, by the distributions `first` and ``second[first token]``."""
    ones, cut = np.ones(len(at), np.float32), np.zeros(len(at), np.float32)
    one_row, alone = np.log([first]).astype(np.float32), np.zeros(len(at), np.int64)
    tokens, rest, shares = draw(one_row, alone, at, ones, cut)
    assert np.allclose(shares, np.array(first)[tokens], atol=1e-6)
    return tokens, draw(np.log(second).astype(np.float32), tokens, rest, ones, cut)[0]


def test_a_point_is_followed_through_one_distribution_after_another():
    first, second = [0.25, 0.75], [[0.5, 0.5], [0.2, 0.8]]
    found = pairs(np.array([0.0, 0.1249, 0.1251, 0.2499, 0.2501, 0.3999, 0.4001, 0.9999]), first, second)
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found[1].tolist() == [0, 0, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("start", [0, 5, 2**31 - 50])
def test_samples_of_consecutive_seeds_cover_the_distribution_evenly(start):
    at = points(np.arange(start, start + 100, dtype=np.uint64))
    found = np.array(pairs(at, [0.25, 0.75], [[0.5, 0.5], [0.2, 0.8]])).T
    counts = [int((found == pair).all(1).sum()) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert np.abs(np.array(counts) - [12.5, 12.5, 15, 60]).max() <= 3


def test_each_sample_by_itself_is_distributed_as_ever():
    starts = np.random.default_rng(0).integers(0, 2**31, 20_000).astype(np.uint64)
    found = np.array(pairs(points(starts), [0.25, 0.75], [[0.5, 0.5], [0.2, 0.8]])).T
    share = [(found == pair).all(1).mean() for pair in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert np.allclose(share, [0.125, 0.125, 0.15, 0.6], atol=0.015)


def test_improbable_samples_go_on_with_numbers_of_their_own():
    seeds, places = np.array([1, 1], dtype=np.uint64), np.array([9, 9], dtype=np.uint64)
    at = numbers(np.array([0.5, 0.5]), np.array([NARROW, NARROW / 2]), seeds, places)
    assert at.tolist() == [0.5, uniforms(seeds, places)[1]]


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
    for one, each in zip(together, zip(*alone, strict=True), strict=True):
        assert np.array_equal(one, np.concatenate(each))
