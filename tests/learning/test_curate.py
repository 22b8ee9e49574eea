from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import TASK, acting, cell, made, programs

from soar.learning.curate import (
    CURATORS,
    PAIRINGS,
    by_vote,
    correct_only,
    diverse_pairs,
    greedy,
    greedy_diverse,
    hindsight_pairs,
    lineage,
)
from soar.scoring import right_pairs, solves
from soar.types import Program

HIDDEN = TASK.without_answers()
SIZES = st.integers(0, 12)
SEEDS = st.integers(0, 2**32)


def keys(chosen):
    return [program.key for program in chosen]


@given(programs(), SIZES, SEEDS, st.sampled_from([TASK, HIDDEN]))
@pytest.mark.parametrize("name", CURATORS)
def test_a_curator_returns_at_most_n_of_the_programs_none_twice_and_the_same_each_time(name, found, n, seed, task):
    chosen = CURATORS[name](task, found, n, np.random.default_rng(seed))
    assert len(chosen) <= n
    assert len(set(keys(chosen))) == len(chosen)
    assert set(keys(chosen)) <= set(keys(found))
    assert keys(chosen) == keys(CURATORS[name](task, found, n, np.random.default_rng(seed)))


@given(programs(), SIZES, SEEDS)
@pytest.mark.parametrize("name", ["uniform", "greedy"])
def test_uniform_and_greedy_take_n_where_there_are_n(name, found, n, seed):
    for task in (TASK, HIDDEN):
        assert len(CURATORS[name](task, found, n, np.random.default_rng(seed))) == min(n, len(found))


@given(programs(), SIZES, SEEDS)
def test_correct_only_takes_nothing_that_is_wrong_anywhere(found, n, seed):
    chosen = correct_only(TASK, found, n, np.random.default_rng(seed))
    assert all(solves(TASK, program) for program in chosen)
    assert len(chosen) == min(n, sum(solves(TASK, program) for program in found))


@given(programs(), SIZES)
def test_greedy_leaves_out_no_program_better_than_one_it_takes(found, n):
    def rank(p: Program):
        return -right_pairs(TASK, p), len(p.code)

    chosen = greedy(TASK, found, n, np.random.default_rng(0))
    left = [program for program in found if program.key not in keys(chosen)]
    assert not chosen or all(rank(program) >= max(map(rank, chosen)) for program in left)


@given(programs(min_size=1), SIZES, SEEDS)
def test_the_diverse_half_holds_programs_of_distinct_outputs_from_the_bottom(found, n, seed):
    chosen = greedy_diverse(TASK, found, n, np.random.default_rng(seed))
    best = greedy(TASK, found, n - n // 2, np.random.default_rng(seed))
    assert keys(chosen[: len(best)]) == keys(best)
    worst = chosen[len(best) :]
    assert len({program.outputs for program in worst} | {program.outputs for program in best}) == len(worst) + len(
        {program.outputs for program in best}
    )
    others = {p.outputs for p in found} - {p.outputs for p in best}
    assert len(worst) == min(n // 2, len(others))
    assert [p.accuracy for p in worst] == sorted(p.accuracy for p in worst)


@given(programs(), SIZES, SEEDS)
@pytest.mark.parametrize("name", CURATORS)
def test_with_hidden_answers_no_choice_depends_on_which_test_outputs_are_right(name, found, n, seed):
    """Every right test output is given by other programs than before; who agrees with whom stays."""
    right, wrong = [e.output for e in TASK.test], [cell(place) for place in range(len(TASK.test))]
    swapped = {**dict(zip(right, wrong, strict=True)), **dict(zip(wrong, right, strict=True))}
    others = [replace(program, test=tuple(swapped.get(y, y) for y in program.test)) for program in found]
    chosen = CURATORS[name](HIDDEN, others, n, np.random.default_rng(seed))
    assert keys(chosen) == keys(CURATORS[name](HIDDEN, found, n, np.random.default_rng(seed)))


def test_alg_2_draws_groups_by_vote_weight_and_members_by_accuracy():
    heavy = [acting(n, 4, 0, 1) for n in range(60)]
    light = [acting(100 + n, 1, 0, 2) for n in range(60)]
    sizes = Counter(
        program.ballot for seed in range(40) for program in by_vote([*heavy, *light], 25, np.random.default_rng(seed))
    )
    assert sizes[heavy[0].ballot] / sizes.total() == pytest.approx(0.8, abs=0.05)
    mixed = [acting(n, 3 if n % 2 else 1, 0, 1) for n in range(100)]
    mixed = [made(p.origin.index, p.train, mixed[0].test) for p in mixed]
    better = [p.accuracy > 0.5 for seed in range(40) for p in by_vote(mixed, 10, np.random.default_rng(seed))]
    assert np.mean(better) == pytest.approx(0.75, abs=0.06)


def test_alg_2_redraws_a_surplus_over_the_groups_that_have_members_left():
    heavy = [acting(0, 4, 0, 1)]
    rest = [acting(n, 0, 0, n % 3 + 2) for n in range(1, 10)]
    for seed in range(20):
        assert len(by_vote([*heavy, *rest], 10, np.random.default_rng(seed))) == 10
        assert len(by_vote(rest, 5, np.random.default_rng(seed))) == 5


def family():
    """Parents of every bin, a right child of each, and what must not be a pair."""
    parents = [acting(n, right, 0, n % 4) for n, right in enumerate([0] * 20 + [1] * 3 + [2] * 2 + [4])]
    children = [acting(100 + p.origin.index, 4, 2, parents=(p.key,)) for p in parents]
    still_wrong = acting(300, 4, 1, parents=(parents[0].key,))
    of_right = acting(301, 4, 2, parents=(children[0].key,))
    orphan = acting(302, 4, 2, parents=("s/0/t/sample/0/9/9",))
    return parents, children, [*parents, *children, still_wrong, of_right, orphan]


def test_pairs_are_a_wrong_parent_and_the_right_child_that_its_prompt_led_to():
    parents, children, found = family()
    pairs = lineage(TASK, found)
    assert [(p.key, c.key) for p, c in pairs] == [(p.key, c.key) for p, c in zip(parents, children, strict=True)]
    assert all(parent.key in child.parents for parent, child in pairs)


def test_a_crossover_child_is_paired_with_each_of_its_wrong_parents():
    first, second = acting(0, 1), acting(1, 2)
    child = acting(2, 4, 2, parents=(first.key, second.key))
    assert [(p.key, c.key) for p, c in lineage(TASK, [first, second, child])] == [
        (first.key, child.key),
        (second.key, child.key),
    ]


def test_the_same_step_found_twice_is_one_pair():
    parent = acting(0, 1)
    children = [acting(n, 4, 2, parents=(parent.key,), code="same") for n in (1, 2)]
    assert len(lineage(TASK, [parent, *children])) == 1


def test_diverse_pairs_are_balanced_over_the_parents_accuracy():
    _, _, found = family()
    chosen = diverse_pairs(TASK, lineage(TASK, found), 8, np.random.default_rng(0))
    assert Counter(parent.accuracy for parent, _ in chosen) == {0.0: 3, 0.25: 2, 0.5: 2, 1.0: 1}


@given(SIZES, SEEDS)
@pytest.mark.parametrize("name", PAIRINGS)
def test_a_pairing_returns_n_of_the_pairs_none_twice(name, n, seed):
    pairs = lineage(TASK, family()[2])
    chosen = PAIRINGS[name](TASK, pairs, n, np.random.default_rng(seed))
    assert len(chosen) == min(n, len(pairs))
    assert len({(p.key, c.key) for p, c in chosen}) == len(chosen)
    assert all(pair in pairs for pair in chosen)


def test_hindsight_pairs_begin_with_right_children_and_parents_that_were_shown():
    parents, children, found = family()
    pairs = hindsight_pairs(TASK, found, [children[0], *parents], 8, np.random.default_rng(0))
    assert [child.key for _, child in pairs[:4]] == [children[0].key] * 4
    assert len({child.key for _, child in pairs[4:]}) == 4
    shown = {key for program in found for key in program.parents}
    assert {parent.key for parent, _ in pairs} <= shown


def test_parents_are_drawn_as_often_as_they_were_shown():
    often, once = acting(0, 1), acting(1, 2)
    children = [acting(10 + n, 0, 0, n + 5, parents=((often if n % 4 else once).key,)) for n in range(400)]
    pairs = hindsight_pairs(TASK, [often, once, *children], children, 400, np.random.default_rng(0))
    assert np.mean([parent.key == often.key for parent, _ in pairs]) == pytest.approx(0.75, abs=0.07)


def test_the_closest_parent_is_chosen_for_what_the_child_does_not_for_what_the_task_wants():
    far, near, child = acting(0, 4, 0, 1), acting(1, 1, 0, 3), acting(2, 2, 0, 3)

    def agree(task, program):
        return sum(y == e.output for y, e in zip(program.train, task.train, strict=True))

    pairs = hindsight_pairs(TASK, [far, near, child], [child], 1, np.random.default_rng(0), agree)
    assert agree(TASK, far) > agree(TASK, near)
    assert [(parent.key, other.key) for parent, other in pairs] == [(near.key, child.key)]


@given(programs(failing=True), SIZES, SEEDS, st.booleans())
def test_a_hindsight_pair_ran_and_does_two_different_things(found, n, seed, known):
    task = TASK if known else HIDDEN
    children = [program for program in found if program.ran]
    pairs = hindsight_pairs(task, found, children, n, np.random.default_rng(seed))
    assert len(pairs) <= n
    assert all(parent.ran and child.ran and parent.outputs != child.outputs for parent, child in pairs)
    others = [child.key for _, child in pairs if not solves(task, child)]
    assert len(set(others)) == len(others)
    if len({program.outputs for program in children}) > 1:
        assert pairs or n == 0 or (n == 1 and all(solves(task, child) for child in children))
