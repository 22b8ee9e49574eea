import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from soar.domains.arc.domain import Arc
from soar.pretrain.arc.leaks import invariant, pair_hash, real_inputs, real_pairs


def _grids(side=6):
    size = st.tuples(st.integers(1, side), st.integers(1, side))
    return size.flatmap(
        lambda s: st.lists(st.lists(st.integers(0, 9), min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0])
    ).map(lambda rows: tuple(map(tuple, rows)))


def _changed(grid, table, turns, transpose):
    array = np.rot90(np.array(table)[np.array(grid)], turns)
    return tuple(map(tuple, (array.T if transpose else array).tolist()))


@given(_grids(), _grids(), st.permutations(range(10)), st.integers(0, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_colours_and_geometry_do_not_change_the_hash(a, b, table, turns, transpose):
    c, d = (_changed(grid, table, turns, transpose) for grid in (a, b))
    assert pair_hash(a, b) == pair_hash(c, d)
    assert invariant(a, b) == invariant(c, d)


@given(_grids(4), _grids(4), _grids(4), _grids(4))
@settings(max_examples=60, deadline=None)
def test_equal_hashes_mean_that_one_pair_can_be_changed_into_the_other(a, b, c, d):
    forms = set()
    for turns in range(4):
        for transpose in (False, True):
            e, f = (_changed(grid, range(10), turns, transpose) for grid in (c, d))
            order = {cell: place for place, cell in enumerate(dict.fromkeys(x for g in (e, f) for r in g for x in r))}
            forms.add(tuple(tuple(tuple(order[x] for x in r) for r in g) for g in (e, f)))
    order = {cell: place for place, cell in enumerate(dict.fromkeys(x for g in (a, b) for r in g for x in r))}
    own = tuple(tuple(tuple(order[x] for x in r) for r in g) for g in (a, b))
    assert (pair_hash(a, b) == pair_hash(c, d)) == (own in forms)


def test_colours_are_renamed_in_both_grids_at_once():
    assert pair_hash(((1, 2),), ((2, 1),)) == pair_hash(((3, 4),), ((4, 3),))
    assert pair_hash(((1, 2),), ((2, 1),)) != pair_hash(((3, 4),), ((3, 4),))


def test_a_changed_real_pair_is_found_and_a_changed_cell_is_not():
    tasks = Arc().load("arc1-evaluation")[:20]
    real = real_pairs(tasks)
    table = [0, 3, 1, 2, 5, 4, 9, 8, 7, 6]
    for task in tasks:
        pair = task.train[0]
        a, b = (_changed(grid, table, 3, True) for grid in (pair.input, pair.output))
        assert real.has(a, b)
        wrong = ((10 - b[0][0] if b[0][0] else 1, *b[0][1:]), *b[1:])
        assert not real.has(a, wrong) or pair_hash(a, wrong) == pair_hash(a, b)


def test_real_inputs_are_found_whatever_their_outputs():
    tasks = Arc().load("arc1-evaluation")[:10]
    real = real_inputs(tasks)
    for task in tasks:
        for grid in task.inputs:
            turned = _changed(grid, range(10), 1, False)
            assert real.has(turned, turned)
    unreal = ((1, 2, 3, 4, 5, 6, 7, 8, 9, 0),) * 3
    assert not real.has(unreal, unreal)
