"""Runs that differ in the seed only are one line, with the mean and Student's interval; others are not."""

import math
import shutil
from contextlib import ExitStack
from dataclasses import replace

import pytest
from scripted_runs import search

from soar import session
from soar.errors import ConfigError
from soar.report.figures.figure import cell, counted
from soar.report.figures.lines import drawn, other_tasks, run_names, settings_of
from soar.report.figures.point import Drawn, Mean, Place, long_form, mean, means, point

RUNS = [Drawn(name, seed, "one") for seed, name in enumerate(("one", "two", "three"), 1)]


@pytest.fixture
def views(finished, reseeded, short):
    with ExitStack() as stack:
        yield [stack.enter_context(session.view_run(path)) for path in (finished, reseeded, short)]


def test_the_interval_is_students_for_so_many_seeds_and_there_is_none_for_one():
    found = mean([1.0, 2.0, 3.0])
    assert (found.value, found.seeds) == (2.0, 3)
    assert found.half == pytest.approx(4.302653 * 1.0 / math.sqrt(3), rel=1e-6)
    assert mean([10.0, 14.0]).half == pytest.approx(12.706205 * math.sqrt(8) / math.sqrt(2), rel=1e-6)
    assert mean([7.0]) == Mean(7.0, None, 1)


def test_a_mean_is_over_the_runs_of_a_line_at_the_same_place():
    points = [point(run, ("train", 0), "solved", value) for run, value in zip(RUNS, (1.0, 2.0, 6.0), strict=True)]
    points += [point(RUNS[0], ("train", 0), "solved", 5.0, programs=4), point(RUNS[0], ("train", 1), "solved", 9.0)]
    found = means(points)
    assert [(each.value, each.seeds) for each in found.values()] == [(3.0, 3), (5.0, 1), (9.0, 1)]
    assert long_form(points)[1] == ("one", "two", 2, "train", 0, "", "solved", 2.0)
    assert long_form(points)[3] == ("one", "one", 1, "train", 0, 4, "solved", 5.0)
    assert found[Place("one", "train", 1, "solved")].half is None


def test_the_number_of_seeds_stands_beside_every_value():
    assert cell(Mean(41.23, 3.06, 3)) == "41.2 ± 3.1 (n = 3)"
    assert cell(Mean(41.23, None, 1)) == "41.2 (n = 1)"
    assert cell(None) == "–"
    assert counted([Mean(1.0, 1.0, 2), Mean(1.0, 1.0, 3)]) == "n = 2 to 3"
    assert counted([Mean(1.0, 1.0, 2)]) == "n = 2"


def test_runs_that_differ_in_the_seed_only_are_one_line(views):
    assert drawn(views) == [
        Drawn("finished", 1, "finished"),
        Drawn("reseeded", 2, "finished"),
        Drawn("short", 1, "short"),
    ]
    assert other_tasks(views, drawn(views)) == []
    fewer = replace(views[1], tasks={**views[1].tasks, "train": views[1].tasks["train"][:1]})
    assert other_tasks([views[0], fewer], drawn(views[:2])) == ["finished"]


def test_a_run_that_was_resumed_with_prices_stays_in_its_line(scripted, views, tmp_path):
    priced = shutil.copytree(views[1].path, tmp_path / "priced")
    search(scripted, priced, "seed=2", "budget.price_per_million_prompt_tokens=2.0")
    with session.view_run(priced) as view:
        assert [run.line for run in drawn([views[0], view])] == ["finished", "finished"]


def test_a_seed_that_ran_with_other_settings_on_which_no_result_depends_stays_in_its_line(scripted, views, tmp_path):
    search(scripted, tmp_path / "other", "seed=2", "executor.workers=2", "budget.max_seconds=5000")
    search(scripted, tmp_path / "same", "seed=1", "budget.max_seconds=6000")
    free = session.free_of(tmp_path / "other")
    assert {"executor.workers", "budget.max_seconds", "search.tasks_in_flight"} <= free
    assert "tasks.source" not in free, "tasks elsewhere may be other tasks"
    with session.view_run(tmp_path / "other") as other, session.view_run(tmp_path / "same") as same:
        runs = drawn([views[0], other, views[2]], free)
        assert [run.line for run in runs] == ["finished", "finished", "short"]
        settings = settings_of([views[0], other, views[2]], runs)
        assert "max_seconds" not in settings["finished"]["budget"]
        assert settings["finished"]["search"]["samples"] == 12
        assert [run.line for run in drawn([views[0], same], free)] == ["finished", "same"], "not two seeds"


def test_a_copy_of_a_run_is_no_second_seed(views, tmp_path):
    copy = shutil.copytree(views[0].path, tmp_path / "copy")
    with (
        session.view_run(copy) as again,
        pytest.raises(ConfigError, match=r"finished and copy have the same .* seed 1: they do not count as two seeds"),
    ):
        drawn([views[0], again])


def test_runs_are_called_as_their_directories_and_by_their_paths_where_these_are_the_same(views, tmp_path):
    other = replace(views[1], path=tmp_path / "finished")
    assert run_names(views) == ["finished", "reseeded", "short"]
    assert run_names([views[0], other, views[2]]) == [str(views[0].path), str(other.path), "short"]
