import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.report.digest import digest
from soar.report.metrics import pass_at_k
from soar.report.task_results import TaskResult
from soar.types import Task


def result(sampled, right):
    solved, nothing = right > 0, digest(Task("t", (), ()), [])
    return TaskResult("t", sampled, sampled, sampled, solved, (solved,), solved, sampled, right, {}, nothing)


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_k_subsets_that_hold_a_right_program(sizes):
    n, c, k = sizes
    subsets = list(combinations(range(n), k))
    share = sum(any(i < c for i in subset) for subset in subsets) / len(subsets)
    estimates = pass_at_k([result(n, c)], n)
    if str(k) in estimates:
        assert estimates[str(k)] == pytest.approx(share)


def test_pass_at_k_adds_up_over_tasks_and_is_unknown_beyond_the_fewest_samples():
    estimates = pass_at_k([result(8, 1), result(4, 4)], 8)
    assert estimates["1"] == pytest.approx(1 / 8 + 1)
    assert estimates["4"] == pytest.approx(1 - math.comb(7, 4) / math.comb(8, 4) + 1)
    assert estimates["8"] is None


def test_without_samples_there_is_no_estimate():
    assert pass_at_k([], 0) == {}
    assert pass_at_k([], 2) == {"1": None, "2": None}
