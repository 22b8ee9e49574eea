import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_runs import search, write_task

from soar.report.digest import digest
from soar.report.metrics import pass_at_k, report
from soar.report.task_results import TaskResult
from soar.scoring import solves
from soar.session import view_run
from soar.types import Task


def result(sampled, right, first=None):
    solved, nothing = right > 0, digest(Task("t", (), ()), [])
    return TaskResult("t", sampled, sampled, sampled, solved, (solved,), solved, sampled, right, first, {}, nothing)


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_k_subsets_that_hold_a_right_program(sizes):
    n, c, k = sizes
    subsets = list(combinations(range(n), k))
    share = sum(any(i < c for i in subset) for subset in subsets) / len(subsets)
    estimates = pass_at_k([result(n, c)], n, distinct=False)
    if str(k) in estimates:
        assert estimates[str(k)] == pytest.approx(share)


def test_pass_at_k_adds_up_over_tasks_and_is_unknown_beyond_the_fewest_samples():
    estimates = pass_at_k([result(8, 1), result(4, 4)], 8, distinct=False)
    assert estimates["1"] == pytest.approx(1 / 8 + 1)
    assert estimates["4"] == pytest.approx(1 - math.comb(7, 4) / math.comb(8, 4) + 1)
    assert estimates["8"] is None


def test_without_samples_there_is_no_estimate():
    assert pass_at_k([], 0, distinct=False) == {}
    assert pass_at_k([], 2, distinct=False) == {"1": None, "2": None}


def test_distinct_samples_solve_a_task_once_the_first_right_one_is_drawn():
    counted = pass_at_k([result(8, 1, 0), result(8, 3, 2), result(8, 0), result(8, 1, 7)], 8, distinct=True)
    assert counted == {"1": 1.0, "2": 1.0, "4": 2.0, "8": 3.0}
    assert pass_at_k([result(8, 1, 0), result(4, 1, 0)], 8, distinct=True)["8"] is None


def test_a_run_with_distinct_samples_counts_the_tasks_that_the_first_k_solve(scripted, tmp_path):
    overrides = ("sampling.distinct=true", "stages.0.iterations=1", "search.refinements=0")
    search(scripted, tmp_path / "run", *overrides)
    with view_run(tmp_path / "run") as view:
        step, record = view.plan[0], report(view)["iterations"][0]
        firsts = []
        for task in view.tasks[step.stage.name]:
            right = {p.key for p in view.reader.programs(task.id, *step.key) if solves(task, p)}
            rows = view.reader.completions(*step.key, task.id, "sample", 0)
            assert any(row.code_hash is None for row in rows)  # they are samples too, and take places
            firsts += [place for place, row in enumerate(rows) if row.origin.key in right][:1]
    assert {0 < place < 12 for place in firsts} == {True}
    assert record["pass_at_k"] == {str(k): float(sum(place < k for place in firsts)) for k in (1, 2, 4, 8, 12)}


def test_where_some_answers_are_known_a_record_counts_these_tasks_and_their_tokens(scripted, tmp_path):
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    write_task(tasks, "easy", lambda grid: grid[::-1])
    for name in ("some", "other"):
        write_task(tasks, name, lambda grid: grid[::-1], "hidden")
    search(scripted, tmp_path / "run", "stages.0.iterations=1", f"stages.1.source={tasks}")
    with view_run(tmp_path / "run") as view:
        record = report(view)["iterations"][1]
        spent = view.reader.tokens_by_task(("target", 0))
    assert (record["tasks"], record["answered"], record["solved"], record["score_mean"]) == (3, 1, 1, 1.0)
    assert record["tokens_per_solved_task"] == sum(spent["easy"])
    assert record["tokens_per_task"] == sum(sum(tokens) for tokens in spent.values()) / 3
