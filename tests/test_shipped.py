"""Configurations by name, and `soar init`, which writes one to be changed."""

import json
from pathlib import Path

import pytest

from soar import shipped
from soar.cli import main
from soar.config import load_config
from soar.method import open_domain
from soar.task_sets import load_task_sets

TASK = {"train": [{"input": [[1, 0]], "output": [[0, 1]]}] * 2, "test": [{"input": [[2, 0]]}]}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tasks_of(config):
    return load_task_sets(config, open_domain(config.tasks.domain))


def test_a_shipped_configuration_is_used_by_name_wherever_one_is():
    assert load_config(Path("demo")).stages[0].source == "arc1-training"


def test_what_a_shipped_configuration_names_is_found_wherever_one_is():
    assert {name: len(tasks) for name, tasks in tasks_of(load_config(Path("smollm2"))).items()} == {
        "train": 3,
        "target": 1,
    }


def test_a_file_that_is_there_is_meant_and_not_the_shipped_one_of_its_name():
    Path("demo").write_text("seed = 7")
    assert load_config(Path("demo")).seed == 7
    Path("smollm2-train.txt").write_text("c016")
    assert [task.id for task in tasks_of(load_config(Path("smollm2")))["train"]] == ["c016"]


def test_a_folder_of_a_shipped_name_is_no_configuration():
    Path("demo").mkdir()
    assert load_config(Path("demo")).stages[0].source == "arc1-training"


@pytest.mark.parametrize("path", ["nothing", "runs/demo", "../demo", "configs/demo.toml"])
def test_what_is_no_file_and_no_name_is_refused_with_the_names(path, capsys):
    assert main(["run", path, "run"]) == 2
    said = capsys.readouterr().err
    assert path in said
    assert "demo, endpoint" in said


def test_init_lists_every_configuration_with_what_it_says_of_itself(capsys):
    assert main(["init"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == shipped.names()
    assert any("SOAR on real ARC-AGI-1 tasks" in line for line in lines)
    assert all(len(line.split()) > 4 for line in lines)
    assert main(["init", "dem"]) == 2
    assert "\n".join(lines) in capsys.readouterr().err


@pytest.mark.parametrize("name", shipped.names())
def test_init_writes_a_configuration_that_says_the_same(name, capsys):
    assert main(["init", name]) == 0
    assert f"soar run {name}.toml" in capsys.readouterr().out
    assert load_config(Path(f"{name}.toml")).as_dict() == load_config(Path(name)).as_dict()
    assert f"soar run {name} " not in Path(f"{name}.toml").read_text()


@pytest.mark.parametrize("arguments", [["demo"], ["--task", "demo.json"]])
def test_init_never_writes_over_a_file(arguments, capsys):
    Path("demo.json").write_text(json.dumps(TASK))
    Path("demo.toml").write_text("mine")
    assert main(["init", *arguments]) == 2
    assert "demo.toml already exists" in capsys.readouterr().err
    assert Path("demo.toml").read_text() == "mine"


@pytest.mark.parametrize("file", ["mine.json", 'my "odd" task\n.json', "tasks/one.json"])
def test_init_for_a_task_searches_that_task_with_the_shipped_model(file):
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(json.dumps(TASK))
    assert main(["init", "--task", file]) == 0
    (written,) = Path().glob("*.toml")
    config = load_config(written)
    assert f"soar run {written} " in written.read_text()
    assert config.lm.backend == "embedded"
    assert [[task.id for task in tasks] for tasks in tasks_of(config).values()] == [[Path(file).stem]]
    assert {stage.iterations for stage in config.stages} == {1}


def test_init_for_what_is_no_task_says_why_and_writes_nothing(capsys):
    Path("mine.json").write_text('{"train": [], "test": []}')
    assert main(["init", "--task", "mine.json"]) == 3
    assert "'train' must be a list of at least one pair" in capsys.readouterr().err
    assert main(["init", "demo", "--task", "mine.json"]) == 2
    assert not list(Path().glob("*.toml"))
