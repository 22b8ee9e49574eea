"""The paper's comparisons: their arms are valid, share what is alike, and their tables are what the cells say."""

import csv
import fcntl
import json

import pytest
from scipy.stats import t as student

from soar.errors import ConfigError
from soar.experiments.cells import read_cells
from soar.experiments.command import COMPARISONS
from soar.experiments.compare import FOLDER, load_comparison
from soar.experiments.compare_scores import MEASURES, lines
from soar.experiments.learning import comparison, learning
from soar.experiments.settings import BASE
from soar.experiments.statistics import margin
from soar.experiments.tabled import mean_text


def do(name, path, **options):
    return comparison(name, path, runs=path.parent / "runs", out=path.parent / "cells.jsonl", **options)


def test_every_comparison_that_ships_is_a_command():
    assert COMPARISONS.keys() == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_arm_is_a_run_that_can_be_configured(experiment, name):
    models = 'models = ["scripted_sequences:reply", "scripted_sequences:other"]'
    experiment.write_text(experiment.read_text().replace("[experiment]\n", f"[experiment]\n{models}\n"))
    found = load_comparison(name, experiment)
    arms = found.experiment.settings.arms
    assert found.shows == "ways" or found.paper.keys() <= arms.keys()
    assert len({found.experiment.digest_of(arm) for arm in (BASE, *arms)}) == len(arms) + 1
    for arm, settings in arms.items():
        said = found.experiment.config(arm, 3).learning.model_dump(mode="json")
        assert said == {**said, **settings.overrides.get("learning", {})}


def test_figures_2_5_6_and_7_are_views_of_the_same_cells(experiment):
    found = [load_comparison(f"figure-{number}", experiment) for number in (2, 5, 6, 7)]
    assert [each.shows for each in found] == ["scores", "programs", "distances", "budgets"]
    digests = {tuple(each.experiment.digest_of(arm) for arm in (BASE, "soar", "frozen")) for each in found}
    assert len(digests) == 1


def test_models_of_tables_4_and_7_are_taught_what_they_are_called_after(experiment):
    config = load_comparison("table-4", experiment).experiment.config
    apart = config("sample-refine", 3).learning
    assert (apart.operators, apart.separate) == (("sample", "refine"), True)
    sampler = config("sample-base", 3).learning
    assert (sampler.operators, sampler.refinements_per_task, sampler.samples_per_task) == (("sample",), 0, 50)
    refiner = config("base-refine", 3).learning
    assert (refiner.operators, refiner.refinements_per_task, refiner.samples_per_task) == (("refine",), 50, 0)


def test_comparisons_share_the_first_search_and_arms_that_are_set_alike(experiment):
    two, three, figure = (load_comparison(name, experiment).experiment for name in ("table-2", "table-3", "figure-2"))
    assert two.digest_of(BASE) == three.digest_of(BASE) == figure.digest_of(BASE)
    assert load_comparison("figure-3", experiment).experiment.digest_of(BASE) != two.digest_of(BASE), "answers hidden"
    assert two.digest_of("none") != three.digest_of("none"), "its searches sample alone"
    before = two.digest_of("uniform")
    experiment.write_text(experiment.read_text().replace("samples = 12", "samples = 8"))
    assert load_comparison("table-2", experiment).experiment.digest_of("uniform") != before


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("figure-2", "experiment.searches=2"),
        ("figure-5", "experiment.searches = 2"),
        ("figure-2", "experiment.arms.frozen.searches=2"),
        ("figure-2", "experiment.arms.mine.learns=false"),
        ("figure-2", 'experiment.compare=[["soar", "frozen"]]'),
        ("figure-2", 'experiment.models=["a", "b"]'),
        ("figure-3", 'experiment.answers="known"'),
        ("table-2", "learning.curator=greedy"),
        ("table-2", "learning.refinements_per_task=5"),
    ],
)
def test_an_override_of_what_a_comparison_says_itself_is_refused(experiment, name, override):
    with pytest.raises(ConfigError, match=f"--set .* would change nothing: {name} has .* of its own"):
        do(name, experiment, report=True, overrides=[override])


def test_an_override_of_what_a_comparison_leaves_to_the_file_counts(experiment):
    def digest(name, *overrides):
        return load_comparison(name, experiment, overrides).experiment.digest_of(BASE)

    for name, override in (("figure-2", "learning.curator=greedy"), ("figure-2", "search.samples=8")):
        assert digest(name, override) != digest(name)
    assert load_comparison("figure-2", experiment, ["experiment.seeds=[3]"]).experiment.settings.seeds == (3,)
    assert digest("figure-2", 'experiment.answers="hidden"') != digest("figure-2")


def test_a_table_of_some_seeds_names_the_command_that_makes_it_again(experiment):
    experiment.write_text(experiment.read_text().replace("seeds = [3]", "seeds = [3, 4]"))
    (experiment.parent / "ids-4.txt").write_text("A2\nA3\n")
    written = experiment.parent / "tables"
    for seeds, said in (([4], "--seed 4 --report"), ([4, 3], "--seed 4 --seed 3 --report"), ([], "toml --report")):
        assert do("table-2", experiment, seeds=seeds, report=True, write=written) == 0
        assert said in (written / "table-2.md").read_text()


@pytest.mark.slow  # whole runs
def test_the_table_is_what_the_cells_say(experiment, capsys):
    experiment.write_text(experiment.read_text().replace("seeds = [3]", "seeds = [3, 4]"))
    (experiment.parent / "ids-4.txt").write_text("A2\nA3\n")
    written = experiment.parent / "tables"
    assert do("table-2", experiment, arms=["none", "uniform"], write=written) == 0
    found = load_comparison("table-2", experiment)
    cells = read_cells(experiment.parent / "cells.jsonl", found.experiment.digest_of)
    scores = {
        (cell.arm, cell.seed): 100 * sum(row["scores"].values()) / row["count"]
        for cell, row in cells.items()
        if cell.search == 1 and cell.tasks == "searched"
    }
    # Without learning the first two rules are known, with it all.
    assert {key: round(value, 2) for key, value in scores.items()} == {
        ("none", 3): 66.67,
        ("none", 4): 50.0,
        ("uniform", 3): 100.0,
        ("uniform", 4): 100.0,
    }
    with (written / "table-2.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "score" and row["search"] == "1"]
    assert {(row["arm"], int(row["seed"])): float(row["percent"]) for row in rows} == {
        key: pytest.approx(value, abs=1e-3) for key, value in scores.items()
    }
    text = (written / "table-2.md").read_text()
    assert "| base | 0 | 58.33 ± 105.89 |" in text
    assert "| none | 1 | 58.33 ± 105.89 | 58.33 ± 105.89 | 58.33 ± 105.89 | 2 of 2 | 29.29 |" in text
    assert "| uniform | 1 | 100.00 ± 0.00 |" in text
    assert "| greedy | 1 | missing | missing | missing | 0 of 2 | 34.30 |" in text
    shown = capsys.readouterr().out
    assert "Which programs to learn from (Table 2)" in shown
    assert "58.33 ± 105.89" in shown


def test_a_mean_has_an_interval_where_there_are_seeds_to_tell_it():
    half = student.ppf(0.975, 1) * (8**0.5) / 2**0.5
    assert margin([10.0, 14.0]) == pytest.approx(half)
    assert mean_text([10.0, 14.0]) == f"12.00 ± {half:.2f}"
    assert margin([10.0]) is None
    assert mean_text([10.0]) == "10.00"


@pytest.mark.slow  # whole runs
def test_on_tasks_never_learnt_from_the_last_model_alone_is_compared(experiment):
    assert do("table-5", experiment) == 0
    found = load_comparison("table-5", experiment)
    made = lines(found, read_cells(experiment.parent / "cells.jsonl", found.experiment.digest_of), [3])
    assert [(line.arm, line.search, line.measure, line.values[3]) for line in made] == [
        *(("base", 0, measure, 0.0) for measure in MEASURES),
        *((arm, 2, measure, 100.0) for arm in ("last", "all-train") for measure in MEASURES),
    ]
    experiment.write_text(experiment.read_text().replace('never_searched = "never.txt"\n', ""))
    with pytest.raises(ConfigError, match=r"names none \(experiment\.never_searched\)"):
        do("table-5", experiment)


@pytest.mark.slow  # whole runs
def test_an_arm_that_another_process_is_at_is_left_to_it(experiment, capsys):
    found = load_comparison("table-2", experiment).experiment
    lock = experiment.parent / "runs" / found.digest_of("uniform") / "seed-3/uniform.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert do("table-2", experiment, arms=["uniform", "none"]) == 75
    assert "seed 3, uniform: another process is working on it" in capsys.readouterr().err
    rows = [json.loads(line) for line in (experiment.parent / "cells.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in rows} == {BASE, "none"}
    assert do("table-2", experiment, arms=["uniform"]) == 0
    assert "uniform" in (experiment.parent / "cells.jsonl").read_text()


@pytest.mark.slow  # whole runs
def test_an_arm_that_fails_ends_no_other_and_is_told_by_the_exit_code(experiment, capsys):
    (experiment.parent / "broken.py").write_text("def curator(task, programs, n, rng):\n    raise DataError('no')\n")
    text = (experiment.parent / "broken.py").read_text()
    (experiment.parent / "broken.py").write_text(f"from soar.errors import DataError\n\n\n{text}")
    arms = '[experiment.arms.broken.learning]\ncurator = "broken:curator"\n[experiment.arms.soar]\n'
    experiment.write_text(experiment.read_text().replace("[experiment.arms.soar]\n", arms))
    out = experiment.parent / "cells.jsonl"
    assert learning(experiment, runs=experiment.parent / "runs", out=out, arms=["broken", "soar"]) == 3
    assert "seed 3, broken: no" in capsys.readouterr().err
    assert {json.loads(line)["arm"] for line in out.read_text().splitlines()} == {BASE, "soar"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"arms": ["foo"]}, "no arm 'foo' in .*: it has none, correct-only"),
        ({"seeds": [9]}, r"no seed 9 in .*: it has 3 \(experiment\.seeds\)"),
    ],
)
def test_arms_and_seeds_that_are_not_there_are_refused_also_in_a_report(experiment, options, reason):
    with pytest.raises(ConfigError, match=reason):
        do("table-2", experiment, report=True, **options)


def test_a_file_that_extends_another_is_no_file_to_compare_on(experiment):
    more = experiment.with_name("more.toml")
    more.write_text('[experiment]\nextends = "experiment.toml"\n')
    with pytest.raises(ConfigError, match="extends another file"):
        do("table-2", more)


def test_a_file_that_names_no_tasks_is_refused(experiment):
    experiment.write_text(experiment.read_text().replace("tasks = ", "never = "))
    with pytest.raises(ConfigError, match=r"needs a section \[experiment\] with seeds and tasks"):
        do("table-2", experiment)
