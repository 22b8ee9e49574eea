"""Whole experiments with a scripted model: arms share their first search, learn or not, go on where they stopped."""

import gzip
import resource
import shutil
import signal
from pathlib import Path

import pytest

from soar.errors import ConfigError, DataError, StoreError
from soar.experiments.arms import never_of
from soar.experiments.cells import Cell, append_cell, read_cells
from soar.experiments.learning import learning
from soar.experiments.settings import BASE, groups, load_experiment


def do(path, **options):
    return learning(path, runs=path.parent / "runs", out=path.parent / "cells.jsonl", **options)


def cells(path):
    return read_cells(path.parent / "cells.jsonl", load_experiment(path).digest_of)


@pytest.mark.slow  # whole runs
def test_arms_share_the_first_search_and_differ_in_what_they_learn(experiment, capsys):
    assert do(experiment) == 0
    found = cells(experiment)
    assert set(found) == {
        Cell(BASE, 3, 0),
        *(Cell(arm, 3, n) for arm in ("soar", "correct-only") for n in (1, 2)),
        *(Cell("frozen", 3, n) for n in (1, 2, 3)),
        Cell("blind", 3, 0),
        Cell(BASE, 3, 0, "never"),
        Cell("soar", 3, 2, "never"),
        Cell("correct-only", 3, 2, "never"),
    }
    assert found[Cell(BASE, 3, 0)]["solved"] == ["A1", "A2"]
    assert found[Cell("frozen", 3, 3)]["solved"] == ["A1", "A2"]
    assert found[Cell("soar", 3, 1)]["solved"] == ["A1", "A2", "A3"]
    assert found[Cell("soar", 3, 1)]["examples"] > 0
    assert found[Cell(BASE, 3, 0, "never")]["solved"] == []
    assert found[Cell("soar", 3, 2, "never")]["solved"] == ["A4"]
    assert found[Cell("blind", 3, 0)]["pooled"] == ["A1"]
    assert found[Cell("soar", 3, 1)]["voted"] == ["A1", "A2", "A3"]
    assert all(row["search_cpu"] > 0 for cell, row in found.items() if cell.tasks == "searched" and cell.arm != "blind")
    shown = capsys.readouterr().out
    assert "soar − frozen, equal searches, own program: +1.0" in shown
    assert "never learnt from, θ0 → soar: 3: 0 → 1" in shown
    assert "blind, seed 3: 1 of 3 by 108 programs" in shown


@pytest.mark.slow  # whole runs
def test_pooled_counts_a_program_written_for_another_task(experiment):
    do(experiment, arms=["frozen"])
    row = cells(experiment)[Cell("frozen", 3, 1)]
    assert row["pooled"] == ["A1", "A2"]
    assert row["behaviours"] == 2
    assert row["statuses"] == {"ok": 36}


@pytest.mark.slow  # whole runs
def test_a_stopped_experiment_goes_on_to_the_same_cells(experiment):
    assert do(experiment, minutes=0.0) == 75
    assert cells(experiment) == {}
    assert do(experiment, arms=["soar"]) == 0
    assert do(experiment) == 0
    whole = {cell: row["solved"] for cell, row in cells(experiment).items()}
    before = (experiment.parent / "cells.jsonl").read_text()
    assert do(experiment) == 0
    assert (experiment.parent / "cells.jsonl").read_text() == before
    assert len(whole) == 12


MORE = """
[experiment]
extends = "experiment.toml"
compare = [["soar", "once"]]
[experiment.arms.once]
finetunings = 1
"""


@pytest.mark.slow  # whole runs
def test_further_arms_take_the_first_search_of_what_they_extend_and_change_nothing_there(experiment, capsys):
    assert do(experiment, arms=["soar"]) == 0
    before = cells(experiment)
    more = experiment.with_name("more.toml")
    more.write_text(MORE)
    assert do(more, arms=["soar", "once"]) == 0
    found = cells(more)
    assert found.keys() - before.keys() == {Cell("once", 3, 1), Cell("once", 3, 2), Cell("once", 3, 2, "never")}
    assert {cell: found[cell] for cell in before} == before == cells(experiment)
    assert "soar − once, equal searches, own program: +0.0" in capsys.readouterr().out
    # The second search has no examples of its own and goes on with the model of the first.
    assert "examples" in found[Cell("once", 3, 1)]
    assert "examples" not in found[Cell("once", 3, 2)]
    assert found[Cell("once", 3, 2)]["solved"] == ["A1", "A2", "A3"]
    assert found[Cell("once", 3, 2, "never")]["solved"] == ["A4"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("arms.once", "arms.soar", "has an arm 'soar' already; name it otherwise"),
        ("compare", "searches = 4\ncompare", "extends another experiment and may not set 'searches'"),
        ("[experiment]", "[search]\nsamples = 3\n[experiment]", "may not set 'search'"),
        ("compare", "seeds = [4]\ncompare", "seed 4 is none of"),
        ("experiment.toml", "none.toml", "no configuration at"),
    ],
)
def test_further_arms_set_nothing_else(experiment, old, new, reason):
    more = experiment.with_name("more.toml")
    assert old in MORE
    more.write_text(MORE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=reason):
        do(more)


@pytest.mark.slow  # whole runs
def test_a_first_search_whose_run_is_gone_is_asked_for(experiment, capsys):
    assert do(experiment, arms=["soar"]) == 0
    shutil.rmtree(experiment.parent / "runs")
    assert do(experiment, arms=["frozen"]) == 5
    assert "seed 3, frozen: the first search has its line in" in capsys.readouterr().err
    assert not any(cell.arm == "frozen" for cell in cells(experiment))


def test_other_tasks_or_settings_are_another_experiment(experiment):
    before = load_experiment(experiment).digest
    (experiment.parent / "ids-3.txt").write_text("A1\nA2\n")
    others = load_experiment(experiment).digest
    (experiment.parent / "never.txt").write_text("A3\n")
    never = load_experiment(experiment).digest
    experiment.write_text(experiment.read_text().replace("samples = 12", "samples = 8"))
    assert len({before, others, never, load_experiment(experiment).digest}) == 4


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("experiment", "nothing", "has no section"),
        ('["soar", "frozen"]', '["soar", "cold"]', "compare names 'cold'; the arms are soar, frozen"),
        ("ids-{seed}", "none-{seed}", "none-3.txt cannot be read as a list of task ids"),
        ("seeds = [3]", "seeds = []", "experiment.*seeds"),
        ("[experiment.arms.soar]", "[experiment.arms.base]\n[experiment.arms.soar]", "name the arm otherwise"),
        ("ids-{seed}", "ids-{sed}", r"may hold \{seed\} and no other braces, found 'ids-\{sed\}.txt'"),
        ("ids-{seed}", "ids-{", r"may hold \{seed\} and no other braces"),
        ("[experiment.arms.soar]", "[experiment.arms]\nodd = 3\n[experiment.arms.soar]", r"arms\.odd\] is a table"),
        ("seeds = [3]", "extends = 3", "extends names the file of another experiment, found 3"),
        ("[experiment.arms.soar]", "[experiment.arms.soar]\nalone = true", "'soar' has a first search of its own"),
    ],
)
def test_a_mistake_is_said_before_anything_is_done(experiment, old, new, reason):
    text = experiment.read_text()
    assert old in text
    experiment.write_text(text.replace(old, new))
    with pytest.raises((ConfigError, DataError), match=reason):
        do(experiment)
    assert not (experiment.parent / "runs").exists()


def test_groups_come_from_a_file_of_tasks(tmp_path):
    with pytest.raises(ConfigError, match=r"experiment\.group = 'family' is read from tasks\.source, and sequences is"):
        groups(Path("sequences"), "family")
    (tmp_path / "t.jsonl").write_text('{"id": "a", "family": "f"}\n{"id": "b"}\n')
    assert groups(tmp_path / "t.jsonl", "family") == {"a": "f"}
    lines = b'\xef\xbb\xbf{"id": "a", "family": "f"}\r\n\n  \n{"id": "b", "family": 2}'
    for name, content in (("blank.jsonl", lines), ("packed", gzip.compress(lines))):
        (tmp_path / name).write_bytes(content)
        assert groups(tmp_path / name, "family") == {"a": "f", "b": "2"}
    for content in (b"[1", b"[1]", b'{"family": "f"}', gzip.compress(lines)[:-9]):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ConfigError, match="which is not JSON lines with an id"):
            groups(tmp_path / "bad", "family")


def test_an_arm_of_one_search_has_no_last_model_of_its_own(experiment):
    found = replace_in(experiment, "[experiment.arms.soar]", "[experiment.arms.soar]\nsearches = 1")
    assert never_of(found, "soar", 3) == []
    assert never_of(found, "correct-only", 3) == [Cell("correct-only", 3, 2, "never")]


def replace_in(experiment, old, new):
    experiment.write_text(experiment.read_text().replace(old, new))
    return load_experiment(experiment)


def test_a_result_that_is_half_written_is_none_and_is_replaced(tmp_path):
    path = tmp_path / "cells.jsonl"
    append_cell(path, "e", Cell("a", 1, 0), {"solved": []})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"experiment": "e", "arm"')
    assert list(read_cells(path, lambda _: "e")) == [Cell("a", 1, 0)]
    append_cell(path, "e", Cell("a", 1, 1), {"solved": ["x"]})
    assert list(read_cells(path, lambda _: "e")) == [Cell("a", 1, 0), Cell("a", 1, 1)]
    path.write_bytes(whole + b"\n" + whole)
    with pytest.raises(DataError, match=r"cells\.jsonl, line 2 is not a result"):
        read_cells(path, lambda _: "e")


def test_a_full_disk_leaves_the_results_whole(tmp_path):
    path = tmp_path / "cells.jsonl"
    append_cell(path, "e", Cell("a", 1, 0), {"solved": []})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for room in (0, 20):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
        try:
            with pytest.raises(StoreError, match="cannot be written"):
                append_cell(path, "e", Cell("a", 1, 1), {"solved": []})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
    signal.signal(signal.SIGXFSZ, ignored)


def test_an_arm_that_is_not_there_is_refused(experiment):
    with pytest.raises(ConfigError, match="no arm 'cold'"):
        do(experiment, arms=["cold"])
