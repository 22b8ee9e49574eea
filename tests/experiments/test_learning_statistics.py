"""The learning experiment's arithmetic on constructed cells: what is gained, how sure it is, what is missing."""

import argparse
import io
from pathlib import Path

import pytest
from rich.console import Console

from experiments.learning import ARMS, open_study, plan
from experiments.learning_cells import BASE, Cell, Setup, append_cell, read_cells
from experiments.learning_report import (
    Shown,
    compare,
    compared,
    difference,
    gained,
    pass_at,
    per_search,
    show_search,
    table,
)

SETUP = Setup(model="aad289127354", settings="0123456789ab", samples=128, refinements=128, tasks=300)


def row(*tasks, place=0):
    times = {"seconds": 1.0, "finetune_seconds": 0.0}
    learnt = {"examples": 0, "examples_right": 0, "voted": []}
    return {"right": {task: [1, place] for task in tasks}, **times, **learnt}


def shown(found, arms=("soar", "frozen"), seeds=(0, 1)):
    return Shown(found, "train", arms, seeds, last=1, tasks=4, sizes=(16, 64))


def printed(show):
    text = io.StringIO()
    show(Console(file=text, width=200))
    return text.getvalue()


def test_gained_are_the_tasks_first_solved_after_the_first_search():
    assert gained([row("a", "b"), row("b", "c"), row("c", "d")]) == {"c": 1.0, "d": 1.0}


def test_per_search_is_the_part_of_the_later_searches_that_solve_a_task():
    assert per_search([row("a", "d"), row("a", "b"), row("b", "c")]) == {"a": 0.5, "b": 1.0, "c": 0.5}


def test_pass_at_k_counts_the_tasks_that_the_first_k_samples_solve():
    later = row("a", place=5)
    assert pass_at(later, 5) == {}
    assert pass_at(later, 6) == {"a": 1.0}


def test_a_task_solved_by_refinements_alone_is_not_solved_by_samples():
    assert pass_at({"right": {"a": [3, None]}}, 8) == {}


def test_what_refinements_alone_solve_has_its_own_line_and_says_what_is_new():
    later = {**row("a", "b"), "right": {"a": [2, None], "b": [1, None], "c": [1, 4]}}
    found = {Cell("train", BASE, 0, 0): row("a"), Cell("train", "soar", 0, 1): later}
    text = printed(lambda console: show_search(shown(found, arms=("soar",), seeds=(0,)), console))
    line = text.partition("by refinements alone")[2].partition("tasks solved")[0]
    assert "2 (+1)" in line


def test_a_difference_of_arms_that_do_the_same_is_nothing():
    same = {0: {"a": 1.0}, 1: {"b": 1.0}}
    found = difference(same, same, tasks=10)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert not found.positive


def test_a_gain_on_every_task_is_certain():
    every = dict.fromkeys("abcde", 1.0)
    found = difference({0: every, 1: every}, {0: {}, 1: {}}, tasks=5)
    assert (found.mean, found.low, found.high) == (5, 5, 5)
    assert found.by_seed == {0: 5, 1: 5}
    assert found.positive


def test_the_interval_of_a_share_is_that_of_the_binomial():
    # 100 of 400 tasks gained: a resample gains Binomial(400, 1/4), whose standard deviation is 8.66.
    found = difference({0: {str(task): 1.0 for task in range(100)}}, {0: {}}, tasks=400)
    assert found.mean == 100
    assert found.low == pytest.approx(100 - 1.96 * 8.66, abs=1.5)
    assert found.high == pytest.approx(100 + 1.96 * 8.66, abs=1.5)


def test_a_gain_in_one_seed_alone_is_not_positive():
    tasks = [f"task {number}" for number in range(50)]
    gains, loses = dict.fromkeys(tasks, 1.0), dict.fromkeys(tasks[:1], 1.0)
    found = difference({0: gains, 1: {}}, {0: {}, 1: loses}, tasks=50)
    assert found.by_seed == {0: 50, 1: -1}
    assert found.low > 0
    assert not found.positive


def test_seeds_are_averaged_by_task():
    left = {0: {"a": 1.0, "b": 1.0}, 1: {"a": 1.0}, 2: {"a": 1.0}}
    found = difference(left, {seed: {"c": 1.0} for seed in left}, tasks=3)
    assert found.mean == pytest.approx(1 / 3)
    assert found.by_seed == {0: 1, 1: 0, 2: 0}


def test_only_seeds_that_both_arms_have_are_compared_and_the_others_are_called_missing():
    line = compare({0: {"a": 1.0}, 1: {"a": 1.0}}, {0: {}, 1: None}, tasks=2)
    assert line.startswith("+1.00 of 2 tasks")
    assert "by seed +1;" in line
    assert line.endswith("missing: seed 1")
    assert compare({0: None}, {0: {}}, tasks=2) == "missing: seed 0"


def test_a_cell_that_is_not_there_is_shown_as_missing():
    found = {Cell("train", BASE, 0, 0): row("a"), Cell("train", "soar", 0, 1): row("a", "b")}
    lines = printed(lambda console: console.print(table(shown(found), "", lambda rows: str(len(rows[-1]["right"])))))
    assert [line.split() for line in lines.splitlines() if line.split()[:1] in (["soar"], ["frozen"])] == [
        ["soar", "0", "1", "2"],
        ["soar", "1", "missing", "missing"],
        ["frozen", "0", "1", "missing"],
        ["frozen", "1", "missing", "missing"],
    ]


def test_a_report_of_nothing_computes_nothing():
    text = printed(lambda console: show_search(shown({}, arms=("soar", "frozen", "sampling")), console))
    assert "soar − frozen: missing: seed 0, 1" in text
    assert "sample & refine − sampling: missing: seed 0, 1" in text


def test_soar_is_compared_with_every_arm_and_every_arm_with_frozen():
    arms = ("soar", "frozen", "voted", "sampling")
    assert compared(arms) == [("soar", "frozen"), ("soar", "voted"), ("voted", "frozen")]
    assert compared(("soar", "sampling")) == compared(("frozen",)) == []


def test_trials_and_other_weights_never_mix_with_the_cells_asked_for(tmp_path):
    path, cell = tmp_path / "out" / "cells.jsonl", Cell("train", "soar", 0, 1)
    trial = Setup("aad289127354", "0123456789ab", samples=4, refinements=4, tasks=6)
    other = Setup("000000000000", "0123456789ab", samples=128, refinements=128, tasks=300)
    append_cell(path, cell, trial, row("trial"))
    append_cell(path, cell, other, row("other"))
    assert read_cells(path, ["train"], lambda arm: SETUP) == {}
    append_cell(path, cell, SETUP, row("real"))
    append_cell(path, cell, SETUP, row("again"))
    assert read_cells(path, ["train"], lambda arm: SETUP)[cell]["right"] == {"real": [1, 0]}
    assert read_cells(path, ["train"], lambda arm: trial)[cell]["right"] == {"trial": [1, 0]}
    assert read_cells(path, ["ttt"], lambda arm: SETUP) == {}
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.slow
def test_other_settings_of_learning_leave_the_searches_without_learning_as_they_are(tmp_path):
    path = tmp_path / "cells.jsonl"
    arms, now = ("base", "frozen", "sampling", "soar", "corpus"), open_here(path, "experiments/learning.toml")
    changed = tmp_path / "other.toml"
    changed.write_text(Path("experiments/learning.toml").read_text().replace("\nlr = ", "\nwarmup = 0.07\nlr = "))
    other = open_here(path, changed)
    for arm in arms:
        now.append(Cell("train", arm, 0, 1), row("a"))
    assert {cell.arm for cell in now.done()} == set(arms)
    assert {cell.arm for cell in other.done()} == {"base", "frozen", "sampling"}
    assert [now.run(0, arm).path == other.run(0, arm).path for arm in arms] == [True, True, True, False, False]


@pytest.mark.slow
def test_votes_are_an_arm_where_answers_are_hidden(tmp_path):
    train, ttt = (open_here(tmp_path / "cells.jsonl", "experiments/learning.toml", name) for name in ("train", "ttt"))
    assert train.arms(["soar", "voted"]) == ["soar"]
    assert ttt.arms(["soar", "voted"]) == ["soar", "voted"]


def open_here(out, config, name="train"):
    options = argparse.Namespace(samples=None, refinements=None, tasks=3, report=True, runs=out.parent, out=out)
    options.config = Path(config)
    return open_study(name, options)


def test_what_the_first_measure_needs_comes_first_and_each_base_before_its_arms():
    order = list(plan([0, 1], [arm for arm in ARMS if arm != BASE]))
    assert order == [
        (0, "base"),
        (0, "soar"),
        (0, "frozen"),
        (0, "corpus"),
        (1, "base"),
        (1, "soar"),
        (1, "frozen"),
        (1, "corpus"),
        (0, "hindsight"),
        (0, "voted"),
        (0, "sampling"),
        (1, "hindsight"),
        (1, "voted"),
        (1, "sampling"),
    ]
