"""The arithmetic of experiments on constructed cells: what is first solved, what equal CPU is, how sure it is."""

import os
import subprocess
import sys

import pytest
from rich.console import Console

from soar.experiments.cells import Cell
from soar.experiments.cpu import cpu_seconds
from soar.experiments.report import Shown, equal_cpu, more_searches, show
from soar.experiments.settings import load_experiment
from soar.experiments.statistics import (
    by_searches,
    difference,
    finetuning,
    first_solved,
    handed_on,
    price,
    rows_of,
)


def row(*tasks, **costs):
    return {"solved": list(tasks), **costs}


NOTHING: dict[int, dict[str, float]] = {seed: {} for seed in range(4)}
CONTROL = [row("a"), row("a", "b"), row("c"), row("b", "d", "e")]


def test_first_solved_are_those_that_the_first_search_did_not_solve():
    assert first_solved(CONTROL) == {"b": 1, "c": 1, "d": 1, "e": 1}
    assert first_solved(CONTROL[:2]) == {"b": 1}


def test_a_part_of_a_search_counts_for_as_much_of_what_it_adds():
    assert by_searches(CONTROL, 2.0) == {"b": 1, "c": 1}
    assert by_searches(CONTROL, 2.25) == {"b": 1, "c": 1, "d": 0.25, "e": 0.25}
    assert by_searches(CONTROL, 0.5) == {"b": 0.5}
    assert by_searches(CONTROL, 3.0) == first_solved(CONTROL)
    assert by_searches(CONTROL, 3.1) is None


def test_what_another_tasks_program_had_solved_before_is_told_apart():
    rows = [row("a", pooled=["a", "b"]), row("b", "c", pooled=["a", "b", "c", "d"]), row("a", "c", "d", pooled=["d"])]
    assert first_solved(rows).keys() == {"b", "c", "d"}
    assert handed_on(rows) == {"b", "d"}


def test_where_tasks_have_different_inputs_nothing_is_said_of_other_tasks_programs(tmp_path, capsys):
    (tmp_path / "ids.txt").write_text("a\nb\n")
    arms = "[experiment.arms.soar]\n[experiment.arms.frozen]\nlearns = false\n"
    (tmp_path / "some.toml").write_text(f'[experiment]\nseeds = [0]\nsearches = 2\ntasks = "ids.txt"\n{arms}')
    whole = {"voted": [], "sampled": [], "behaviours": 1, "count": 2, "search_cpu": 1.0, "finetune_cpu": 1.0}
    for pooled, said in ((None, False), (["b"], True)):
        found = {Cell("base", 0, 0): row("a", pooled=pooled, **whole)}
        found |= {Cell(arm, 0, 1): row("b", pooled=pooled, **whole) for arm in ("soar", "frozen")}
        show(Shown(load_experiment(tmp_path / "some.toml"), found, [0], {0: ["a", "b"]}, {}), Console())
        assert ("another task's program had solved 1 before" in capsys.readouterr().out) == said


def test_a_search_has_one_price_for_all_arms():
    found = {
        Cell("base", 0, 0): row(search_cpu=10.0),
        Cell("soar", 0, 1): row(search_cpu=20.0),
        Cell("soar", 0, 1, "never"): row(search_cpu=999.0),
        Cell("blind", 0, 0): row(search_cpu=999.0, programs=5),
        Cell("frozen", 0, 1): row(),
        Cell("frozen", 1, 1): row(search_cpu=999.0),
    }
    assert price(found, 0) == 15.0
    assert price(found, 2) is None


def test_a_finetuning_of_unknown_cost_counts_as_the_mean_of_the_others():
    assert finetuning([row(), row(finetune_cpu=4.0), row(), row(finetune_cpu=8.0)]) == 18.0


def test_finetunings_that_are_all_unknown_are_not_free(tmp_path):
    assert finetuning([row(), row(examples=3), row(examples=4)]) is None
    assert finetuning([row()]) == 0.0
    (tmp_path / "ids.txt").write_text("a\nb\n")
    arms = "[experiment.arms.soar]\n[experiment.arms.frozen]\nlearns = false\n"
    (tmp_path / "some.toml").write_text(f'[experiment]\nseeds = [0]\nsearches = 2\ntasks = "ids.txt"\n{arms}')
    found = {Cell("base", 0, 0): row("a", search_cpu=10.0), Cell("soar", 0, 1): row("b", examples=3)}
    found |= {Cell("frozen", 0, 1): row("a", search_cpu=10.0)}
    assert (
        equal_cpu(Shown(load_experiment(tmp_path / "some.toml"), found, [0], {0: ["a", "b"]}, {}), "soar", "frozen")
        is None
    )


def test_rows_begin_with_the_shared_search_and_are_whole_or_none():
    found = {Cell("base", 0, 0): row("a"), Cell("soar", 0, 1): row("b")}
    assert rows_of(found, "soar", 0, 2) == [row("a"), row("b")]
    assert rows_of(found, "soar", 0, 3) is None


def test_a_difference_resamples_groups_so_that_alike_tasks_do_not_count_as_many():
    tasks = {0: [f"t{n}" for n in range(400)]}
    gained = {0: {f"t{n}": 1.0 for n in range(40)}}
    alone = difference(gained, {0: {}}, {}, tasks)
    family = difference(gained, {0: {}}, {f"t{n}": "one" for n in range(40)}, tasks)
    assert alone.total == family.total == 40
    assert alone.low == pytest.approx(40 - 1.96 * (400 * 0.1 * 0.9) ** 0.5, abs=2)
    assert family.low == 0
    assert alone.shown
    assert not family.shown


def test_a_difference_resamples_seeds_and_wants_every_one_above_nothing():
    tasks = {seed: [f"{seed}-{n}" for n in range(300)] for seed in range(4)}
    even = {seed: {f"{seed}-{n}": 1.0 for n in range(30)} for seed in range(4)}
    uneven = {**even, 3: {}}
    assert difference(even, NOTHING, {}, tasks).by_seed == dict.fromkeys(range(4), 30.0)
    wide = difference(uneven, NOTHING, {}, tasks)
    assert wide.total == 90
    assert wide.low < 60 < difference(even, NOTHING, {}, tasks).low
    assert not wide.shown


def test_cpu_time_counts_children_that_run_and_that_have_ended():
    spin = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n"
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert cpu_seconds() - before >= 0.45
    with subprocess.Popen([sys.executable, "-c", f"{spin}print(flush=True)\ninput()"], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert cpu_seconds() - before >= 0.9
        child.communicate(os.linesep.encode())


def test_an_arm_that_searches_on_is_compared_as_soon_as_it_has_searched_far_enough(tmp_path):
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\ne\n")
    arms = "[experiment.arms.soar]\n[experiment.arms.frozen]\nlearns = false\nsearches = 5\n"
    (tmp_path / "some.toml").write_text(f'[experiment]\nseeds = [0]\nsearches = 3\ntasks = "ids.txt"\n{arms}')
    found = {Cell("base", 0, 0): row("a", search_cpu=10.0)}
    found |= {Cell("soar", 0, n): row("b", "c", search_cpu=10.0, finetune_cpu=2.5) for n in (1, 2)}
    shown = Shown(load_experiment(tmp_path / "some.toml"), found, [0], {0: list("abcde")}, {})

    def searched(*numbers):
        found.update({Cell("frozen", 0, n): row(*CONTROL[n]["solved"], search_cpu=10.0) for n in numbers})
        return [
            each and each.total
            for each in (equal_cpu(shown, "soar", "frozen"), more_searches(shown, "soar", "frozen", 1.5))
        ]

    assert searched(1, 2) == [None, None]
    assert searched(3) == [2 - (2 + 0.5 * 2), 2 - 4]
