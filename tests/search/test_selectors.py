import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.search.pool import Pool
from soar.search.selectors import SELECTORS, greedy, rex, uniform
from soar.types import Failure, Origin, Program


def program(place, accuracy=0.5, code=None, **more):
    origin = Origin("train", 0, "t", "sample", 0, 0, place)
    return Program(origin, code or f"code {place}", (((1,),),), (((2,),),), accuracy, **more)


def arms(*programs):
    return [(each, each.accuracy) for each in programs]


def test_failed_and_nondeterministic_programs_are_no_arms():
    failed = program(0)
    failed = Program(failed.origin, failed.code, (Failure("ValueError", "x"),), failed.test, 0.0)
    assert len(Pool(arms(failed, program(1, nondeterministic=True)))) == 0


def test_identical_texts_are_one_arm():
    pool = Pool(arms(program(0, code="a"), program(1, code="a")))
    assert len(pool) == 1
    assert not pool.add(program(2, code="a"), 0.5)


def test_a_program_right_on_all_training_pairs_stays_an_arm():
    pool = Pool(arms(program(0, 1.0)))
    assert rex(pool, np.random.default_rng(0)) == (0,)


def test_pulls_grow_by_the_completions_spent_and_the_pool_grows_past_its_first_size():
    pool = Pool(arms(*map(program, range(200))))
    pool.spend((3, 150), 4)
    pool.spend((3,), 2)
    assert pool.pulls[3] == 6
    assert pool.pulls[150] == 4
    assert pool.pulls.sum() == 10
    assert pool.heuristic.shape == (200,)


def test_rex_prefers_accurate_arms_and_leaves_those_that_were_pulled_often():
    pool = Pool(arms(program(0, 0.9), program(1, 0.1)))
    rng = np.random.default_rng(0)
    fresh = sum(rex(pool, rng)[0] == 0 for _ in range(500))
    pool.spend((0,), 400)
    tired = sum(rex(pool, rng)[0] == 0 for _ in range(500))
    assert fresh > 490
    assert tired < 100


def test_rex_draws_from_the_stated_beta_distribution():
    """Two arms: the chance that one beats the other is estimated from the formula's own draws."""
    pool = Pool(arms(program(0, 0.5), program(1, 0.25)))
    pool.spend((0,), 8)
    rng = np.random.default_rng(1)
    first = rng.beta(1 + 20 * 0.5, 1 + 20 * 0.5 + 8, 20000)
    second = rng.beta(1 + 20 * 0.25, 1 + 20 * 0.75, 20000)
    chosen = np.mean([rex(pool, rng)[0] == 0 for _ in range(4000)])
    assert chosen == pytest.approx(np.mean(first > second), abs=0.03)


def test_greedy_takes_the_least_pulled_of_the_most_accurate():
    pool = Pool(arms(program(0, 0.5), program(1, 0.5), program(2, 0.1)))
    pool.spend((0,), 4)
    assert greedy(pool, np.random.default_rng(0)) == (1,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 99), st.sampled_from(sorted(SELECTORS)))
def test_a_selector_returns_an_arm_and_depends_on_nothing_but_pool_and_generator(accuracies, seed, name):
    pool = Pool(arms(*(program(i, accuracy) for i, accuracy in enumerate(accuracies))))
    chosen = SELECTORS[name](pool, np.random.default_rng(seed))
    assert all(0 <= arm < len(pool) for arm in chosen)
    assert chosen == SELECTORS[name](pool, np.random.default_rng(seed))


def test_uniform_reaches_every_arm():
    pool = Pool(arms(*map(program, range(5))))
    rng = np.random.default_rng(0)
    assert {uniform(pool, rng)[0] for _ in range(200)} == set(range(5))
