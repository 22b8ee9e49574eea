import numba
import numpy as np

from soar.lm import kernels
from soar.lm.draw import draw, uniforms


def numbers(count):
    return uniforms(np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))


def tokens(logits, count, temperature=1.0, min_p=0.0):
    rows = np.tile(np.array(logits, np.float32), (count, 1))
    return draw(rows, numbers(count), np.full(count, temperature, np.float32), np.full(count, min_p, np.float32))


def test_random_numbers_are_uniform_and_depend_on_seed_and_place_alone():
    drawn = numbers(20_000)
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
