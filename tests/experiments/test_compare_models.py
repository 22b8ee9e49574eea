"""Table 1 and Figure 10: ways to spend a search, and models that vote together."""

import pytest

from soar.errors import ConfigError
from soar.experiments.cells import Cell, read_cells
from soar.experiments.compare import load_comparison
from soar.experiments.compare_models import together_table, ways_table
from soar.experiments.learning import comparison

MODELS = 'models = ["scripted_sequences:reply", "scripted_sequences:other"]\n'


@pytest.fixture
def several(experiment):
    experiment.write_text(experiment.read_text().replace("[experiment]\n", f"[experiment]\n{MODELS}"))
    return experiment


def do(name, path, **options):
    return comparison(name, path, runs=path.parent / "runs", out=path.parent / "cells.jsonl", **options)


def test_an_arm_of_samples_alone_spends_the_whole_budget_on_them(experiment):
    experiment.write_text(experiment.read_text().replace("refinements = 0", "refinements = 20"))
    config = load_comparison("table-1", experiment).experiment.config
    assert (config("sampling", 3).search.samples, config("sampling", 3).search.refinements) == (32, 0)
    assert (config("soar", 3).search.samples, config("soar", 3).search.refinements) == (12, 20)


def test_a_comparison_on_other_settings_has_results_of_its_own(experiment, tmp_path, capsys):
    other = "lm.model=scripted_sequences:other"
    usual, changed = (load_comparison("table-1", experiment, given).experiment for given in ((), (other,)))
    assert changed.config("soar", 3).lm.model_dump()["model"] == "scripted_sequences:other"
    assert usual.digest_of("base") != changed.digest_of("base")
    (experiment.parent / "ids-4.txt").write_text("A1\n")
    assert load_comparison("table-1", experiment, ("experiment.seeds=[3, 4]",)).experiment.settings.seeds == (3, 4)
    assert do("table-1", experiment, report=True, overrides=[other], write=tmp_path) == 0
    first = f"`soar experiment table-1 {experiment} --set {other} --report --out"
    assert first in (tmp_path / "table-1.md").read_text()
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        load_comparison("table-1", experiment, ("lm",))


@pytest.mark.slow  # whole runs
def test_ways_to_spend_a_search_stand_side_by_side(experiment):
    assert do("table-1", experiment) == 0
    found = load_comparison("table-1", experiment)
    cells = read_cells(experiment.parent / "cells.jsonl", found.experiment.digest_of)
    assert Cell("sampling", 3, 0) in cells
    assert Cell("sampling", 3, 1) not in cells
    made = ways_table(found, cells, [3])
    assert made.header == ["%", "one-shot", "sampling", "refining", "soar"]
    one = 100 * cells[Cell("base", 3, 0)]["curve"]["oracle"][0] / 3
    rows = {row[0]: row[1:] for row in made.rows}
    assert rows["oracle"] == [f"{one:.2f} (n = 1)", "66.67 (n = 1)", "66.67 (n = 1)", "100.00 (n = 1)"]
    assert rows["the paper's score"] == ["1.00", "12.63", "19.87", "42.75"]


@pytest.mark.slow  # whole runs
def test_models_vote_together_in_every_combination(several):
    assert do("figure-10", several, arms=["together"]) == 5  # their searches are missing
    assert do("figure-10", several) == 0
    found = load_comparison("figure-10", several)
    cells = read_cells(several.parent / "cells.jsonl", found.experiment.digest_of)
    first, second = "scripted_sequences:reply", "scripted_sequences:other"
    assert {cell for cell in cells if cell.tasks == "searched"} == {
        *(Cell("base", 3, 0), Cell(first, 3, 1)),  # the file's own model shares the first search
        *(Cell(second, 3, 0), Cell(second, 3, 1), Cell("together", 3, 0)),
    }
    assert cells[Cell(second, 3, 0)]["solved"] == ["A3"]
    votes = {tuple(each["arms"]): each for each in cells[Cell("together", 3, 0)]["votes"]}
    assert votes.keys() == {(first,), (second,), (first, second)}
    assert [votes[first,]["solved"], votes[second,]["solved"], votes[first, second]["oracle"]] == [3, 1, 3]
    assert votes[first, second]["programs"] == 72
    made = together_table(found, cells, [3])
    assert made.rows[1] == [second, "33.33", "33.33", "33.33", "1 of 1"]
    assert made.panels[0][0].ticks == [first, second, f"{first} + {second}"]


def test_what_is_missing_is_called_missing(several):
    assert together_table(load_comparison("figure-10", several), {}, [3]).rows == [["missing"] * 5]
    ways = ways_table(load_comparison("table-1", several), {}, [3])
    assert ways.rows[0] == ["score", "missing", "missing", "missing", "missing"]


@pytest.mark.parametrize("models", ['["one"]', '["a/one", "b/one"]', '["one", "base"]', "[]"])
def test_models_that_cannot_be_told_apart_are_refused(experiment, models):
    experiment.write_text(experiment.read_text().replace("[experiment]\n", f"[experiment]\nmodels = {models}\n"))
    with pytest.raises(ConfigError, match=r"needs experiment\.models = \[\.\.\.\], values of lm\.model"):
        load_comparison("figure-10", experiment)


def test_votes_of_an_arm_that_is_not_there_are_refused(experiment):
    from soar.experiments.settings import load_experiment

    experiment.write_text(experiment.read_text() + '[experiment.arms.all]\nvotes_of = ["soar", "blind"]\n')
    with pytest.raises(ConfigError, match="votes_of names 'blind'; the arms that search are"):
        load_experiment(experiment)
