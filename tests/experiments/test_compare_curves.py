"""Figures 5 to 7 from cells: what stands in their tables is what the cells say, worked out by hand."""

import csv
import json

import pytest

from soar.errors import ConfigError
from soar.experiments.cells import Cell, read_cells
from soar.experiments.compare import load_comparison
from soar.experiments.compare_budgets import budgets_table
from soar.experiments.compare_curves import distances_table, programs_table
from soar.experiments.compare_models import ways_table
from soar.experiments.learning import comparison

PARTS = [1, 2, 3, 4, 5, 6, 7, 8]


def row(score, so_far, tokens=800, **more):
    """A search of 10 tasks with 8 programs each; `score` by 1, 2, 4 and 8 programs, `so_far` after each eighth."""
    curve = {"programs": [1, 2, 4, 8], "score": score, "solved": score, "oracle": [each + 1 for each in score]}
    far = {"programs": PARTS, "score": so_far, "solved": so_far, "oracle": so_far}
    apart = {"solved": [4, 0.25], "unsolved": [6, 0.75]}
    kept = {"curve": curve, "so_far": far, "distances": apart}
    return {"count": 10, "statuses": {"ok": 80}, "tokens": [tokens, 0], "search_cpu": 100.0, **kept, **more}


@pytest.fixture
def found():
    """Two searches of an arm that learns, three of one that does not, of one seed."""
    learnt = {"examples": 5, "finetune_tokens": 80, "finetune_cpu": 50.0}
    return {
        Cell("base", 3, 0): row([0, 1, 2, 2], [0.25 * k for k in PARTS]),
        Cell("soar", 3, 1): row([1, 3, 5, 6], [2 + 0.5 * k for k in PARTS], **learnt),
        Cell("frozen", 3, 1): row([0, 1, 1, 2], [2 + 0.125 * k for k in PARTS]),
        Cell("frozen", 3, 2): row([0, 1, 1, 2], [3 + 0.125 * k for k in PARTS], tokens=1600),
    }


def test_program_by_program_the_table_has_the_first_search_and_the_last_of_each_arm(experiment, found):
    for number in (2, 3):  # the last searches of soar and frozen, of four and five
        found |= {Cell(arm, 3, number + (arm == "frozen")): found[Cell(arm, 3, 1)] for arm in ("soar", "frozen")}
    made = programs_table(load_comparison("figure-5", experiment), found, [3])
    assert made.header == ["arm", "measure", "by 1", "by 2", "by 4", "by 8", "seeds"]
    assert made.rows[0] == ["base", "score", "0.00", "10.00", "20.00", "20.00", "1 of 1"]
    assert made.rows[3] == ["soar", "oracle", "20.00", "40.00", "60.00", "70.00", "1 of 1"]
    assert ["frozen", 3, "score", 8, "20.0000"] in made.values
    assert [[*series.ys] for series in made.panels[0][0].series] == [[0, 10, 20, 20], [10, 30, 50, 60], [0, 10, 10, 20]]


def test_an_arm_with_fewer_programs_than_another_keeps_what_all_of_its_own_reach(experiment, found):
    short = row([1, 3, 5, 6], [1.0] * 8)
    short["curve"] = {name: values[:3] for name, values in short["curve"].items()}
    made = programs_table(load_comparison("figure-5", experiment), {**found, Cell("soar", 3, 3): short}, [3])
    assert made.rows[2] == ["soar", "score", "10.00", "30.00", "50.00", "50.00", "1 of 1"]
    assert made.rows[4][2:] == ["missing"] * 4 + ["0 of 1"]


def test_a_column_has_what_every_row_reaches_by_so_many_programs(experiment, found):
    """Nobody knows what the first 6 of 8 programs reach: what the first 4 do is less."""
    short = row([1, 3, 5, 6], [1.0] * 8)
    short["curve"] = {**short["curve"], "programs": [1, 2, 4, 6]}
    made = programs_table(load_comparison("figure-5", experiment), {**found, Cell("soar", 3, 3): short}, [3])
    assert made.header == ["arm", "measure", "by 1", "by 2", "by 4", "by 8", "by all", "seeds"]
    assert made.rows[0] == ["base", "score", "0.00", "10.00", "20.00", "20.00", "20.00", "1 of 1"]
    assert made.rows[2] == ["soar", "score", "10.00", "30.00", "50.00", "60.00", "60.00", "1 of 1"]
    assert [*made.panels[0][0].series[1].xs] == [1, 2, 4, 6, 8]
    assert [*made.panels[0][0].series[1].ys] == [10, 30, 50, 60, 60]


def test_a_search_without_a_program_reaches_nothing(experiment, found):
    none = {**row([], [0.0] * 8), "curve": {"programs": [], "score": [], "solved": [], "oracle": []}}
    made = programs_table(load_comparison("figure-5", experiment), {**found, Cell("soar", 3, 3): none}, [3])
    assert made.rows[2] == ["soar", "score", *["0.00"] * 4, "1 of 1"]
    ways = ways_table(load_comparison("table-1", experiment), {**found, Cell("base", 3, 0): none}, [3])
    assert ways.rows[0][1] == "0.00 (n = 1)"


def test_distances_stand_by_search_with_the_number_of_tasks(experiment, found):
    made = distances_table(load_comparison("figure-6", experiment), found, [3])
    assert made.rows[0] == ["base", "0", "0.250", "0.750", "4.0", "6.0", "1 of 1"]
    assert made.rows[2] == ["soar", "2", "missing", "missing", "missing", "missing", "0 of 1"]
    assert ["soar", 3, 1, "unsolved", 6, 0.75] in made.values


def test_budgets_compare_what_all_programs_so_far_reach_for_as_much_of_everything(experiment, found):
    made = budgets_table(load_comparison("figure-7", experiment), found, [3])
    values = {(each[0], each[2], each[3], each[4]): float(str(each[5])) for each in made.values}
    assert values["soar", 2, "score", ""] == 60.0  # 2 + 0.5 x 8 of 10 tasks
    assert values["frozen", 2, "score", "programs"] == 30.0  # as many searches: 2 + 0.125 x 8
    assert values["frozen", 2, "score", "tokens"] == 30.0
    # 80 tokens of finetuning are 3 x 80 of a search; the third search has 1,600, so 0.15 of it more: by interpolation
    # between one eighth (31.25) and two (32.5), which stand at 0.125 and 0.25.
    assert values["frozen", 2, "score", "FLOPs"] == pytest.approx(31.25 + 1.25 * (0.15 - 0.125) / 0.125)
    assert values["frozen", 2, "score", "CPU"] == 35.0  # half a search more: four eighths
    assert made.rows[0][:5] == ["soar", "2", "score", "60.00", "30.00 (+30.00)"]


def test_a_budget_that_the_other_arm_does_not_reach_is_no_figure(experiment, found):
    del found[Cell("frozen", 3, 2)]
    made = budgets_table(load_comparison("figure-7", experiment), found, [3])
    assert made.rows[0][3:] == ["60.00", "30.00 (+30.00)", "30.00 (+30.00)", "not reached", "not reached", "1 of 1"]
    old = {cell: {k: v for k, v in each.items() if k != "so_far"} for cell, each in found.items()}
    assert budgets_table(load_comparison("figure-7", experiment), old, [3]).rows[0][3] == "missing"


def test_tokens_of_finetuning_that_were_not_counted_leave_operations_unknown(experiment, found):
    del found[Cell("soar", 3, 1)]["finetune_tokens"]
    row = budgets_table(load_comparison("figure-7", experiment), found, [3]).rows[0]
    assert row[6] == "not known"


def test_a_finetuning_that_was_interrupted_leaves_its_cpu_time_unknown(experiment, found):
    del found[Cell("soar", 3, 1)]["finetune_cpu"]
    row = budgets_table(load_comparison("figure-7", experiment), found, [3]).rows[0]
    assert row[4:] == ["30.00 (+30.00)", "30.00 (+30.00)", row[6], "not known", "1 of 1"]
    assert row[6] != "not known"


def test_means_of_fewer_seeds_than_the_row_has_say_how_many_they_are(experiment, found):
    text = experiment.read_text().replace("seeds = [3]", "seeds = [3, 4]")
    experiment.write_text(text)
    (experiment.parent / "ids-4.txt").write_text("A1\nA2\nA3\n")
    found |= {Cell(cell.arm, 4, cell.search): dict(row) for cell, row in found.items()}
    del found[Cell("frozen", 4, 2)]
    (budgets,) = [
        row for row in _rows(budgets_table, "figure-7", experiment, found) if row[:3] == ["soar", "2", "score"]
    ]
    assert budgets[4] == "30.00 ± 0.00 (+30.00 ± 0.00)"
    assert budgets[7:] == ["35.00 (+25.00; n = 1)", "2 of 2"]
    found[Cell("base", 4, 0)] |= {"distances": {"unsolved": [10, 0.5]}}
    assert _rows(distances_table, "figure-6", experiment, found)[0][2:4] == ["0.250 (n = 1)", "0.625 ± 1.588"]


def _rows(table, name, experiment, found):
    return table(load_comparison(name, experiment), found, [3, 4]).rows


@pytest.mark.slow  # whole runs
def test_a_figure_is_written_with_its_table_and_values(experiment):
    pytest.importorskip("matplotlib")
    folder, out = experiment.parent / "made", experiment.parent / "cells.jsonl"
    assert comparison("figure-7", experiment, runs=experiment.parent / "runs", out=out, write=folder) == 0
    assert comparison("figure-5", experiment, runs=experiment.parent / "runs", out=out, write=folder, report=True) == 0
    assert {each.name for each in folder.iterdir()} == {f"figure-{n}.{kind}" for n in (5, 7) for kind in KINDS}
    found = load_comparison("figure-7", experiment)
    cells = read_cells(out, found.experiment.digest_of)
    with (folder / "figure-7.csv").open() as file:
        written = list(csv.DictReader(file))
    own = {int(each["searches"]): float(each["percent"]) for each in written if (each["arm"], each["measure"]) == SOAR}
    assert own == {n + 1: 100 * cells[Cell("soar", 3, n)]["so_far"]["score"][-1] / 3 for n in (1, 2, 3)}
    assert "![Learning against searching on" in (folder / "figure-7.md").read_text()
    # The votes of a search alone are the answers that the run wrote.
    run = experiment.parent / "runs" / found.experiment.digest_of("soar") / "seed-3/soar"
    answers = json.loads((run / "answers/1.json").read_text())
    assert cells[Cell("soar", 3, 1)]["voted"] == sorted(answers) == ["A1", "A2", "A3"]


KINDS, SOAR = ("md", "csv", "svg", "pdf"), ("soar", "score")


def test_a_table_that_cannot_be_drawn_is_refused_before_the_work(experiment, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib"):
        comparison("figure-7", experiment, runs=experiment.parent, out=experiment, write=experiment.parent / "made")
    assert not (experiment.parent / "runs").exists()
