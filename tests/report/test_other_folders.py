"""A run that was started with relative paths is read and resumed in any folder, and says them as they were typed."""

import asyncio
import json
import shutil

import pytest
from scripted_runs import search, write_config

from soar.cli import main
from soar.config import load_config
from soar.errors import DataError
from soar.frozen import freeze
from soar.lm.embedded import SHIPPED
from soar.report.metrics import report
from soar.run import RunDirectory
from soar.session import open_run, view_run

pytestmark = pytest.mark.slow  # every test makes whole runs

SHORT = "stages.0.iterations=1"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a configuration whose tasks have relative paths, and a run that was started in it."""
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace(f'source = "{tmp_path}/', 'source = "'))
    (tmp_path / "ids.txt").write_text("flip\nsums\n")
    search(config, tmp_path / "run", SHORT, "stages.0.ids_file=ids.txt")
    return tmp_path


def frozen(path):
    return [(path / name).read_text() for name in ("config.toml", "manifest.json")]


def test_a_run_is_read_in_another_folder(project, monkeypatch, capsys):
    monkeypatch.chdir(project / "run")
    assert main(["report", ".", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["iterations"]
    assert [each["task_set"] for each in found] == ["known", "hidden"], "as it was typed"
    assert main(["export", ".", "--programs", str(project / "known" / "flip.json")]) == 2
    assert "which is the input" in capsys.readouterr().err


def test_a_run_goes_on_in_another_folder_and_where_it_was_started_without_a_change(project, monkeypatch):
    before = frozen(project / "run")

    def resume(config, *overrides):
        search(config, project / "run", SHORT, *overrides)
        assert frozen(project / "run") == before

    resume(project / "config.toml", "stages.0.ids_file=ids.txt")
    resume(project / "config.toml", "stages.0.ids_file=./ids.txt", "stages.1.source=hidden/")
    monkeypatch.chdir(project / "known")
    there = {"stages.0.ids_file": "ids.txt", "tasks.source": "known", "stages.1.source": "hidden"}
    resume(project / "config.toml", *(f"{name}={project / place}" for name, place in there.items()))


def test_a_project_that_moves_as_a_whole_is_read_and_resumed_where_it_is(project, tmp_path_factory, monkeypatch):
    new = tmp_path_factory.mktemp("new") / "project"
    shutil.copytree(project, new)
    for each in ("known", "hidden", "ids.txt"):
        shutil.move(project / each, project / f"gone-{each}")
    monkeypatch.chdir(new)
    with view_run(new / "run") as view:
        assert len(view.tasks["train"]) == 2
    search(new / "config.toml", new / "run", SHORT, "stages.0.ids_file=ids.txt")
    monkeypatch.chdir(new.parent)
    with view_run(new / "run") as view:
        assert view.places == {"train": str(new / "known"), "target": str(new / "hidden")}


def test_a_run_of_an_earlier_version_is_read_where_it_was_started_and_resumed_there_is_read_anywhere(
    project, monkeypatch
):
    path = project / "run"
    manifest = RunDirectory(path).manifest()
    assert manifest.pop("places").keys() == {"tasks.source", "stages.0.ids_file", "stages.1.source"}
    freeze(RunDirectory(path), RunDirectory(path).config(), manifest)
    with view_run(path) as view:
        before = report(view)
    monkeypatch.chdir(path)
    with (
        pytest.raises(DataError, match="If the run's tasks have moved, call `soar run CONFIG RUN_DIR` once"),
        view_run(path),
    ):
        pass
    monkeypatch.chdir(project)
    search(project / "config.toml", path, SHORT, "stages.0.ids_file=ids.txt")
    monkeypatch.chdir(path)
    with view_run(path) as view:
        assert report(view) == before


def begun(path, *overrides):
    """Begin a run without searching; return the places that it notes."""

    async def begin():
        async with open_run(load_config(path.parent / "config.toml", overrides), path, lambda _: None, lambda _: None):
            return RunDirectory(path).manifest()["places"]

    return asyncio.run(begin())


def test_what_has_the_name_of_a_model_or_a_set_of_tasks_is_no_place(project):
    (project / "arc1-training").mkdir()
    (project / "models").symlink_to(SHIPPED)
    few = ("lm.backend=embedded", "tasks.source=arc1-training", "tasks.count=2")
    assert begun(project / "arc", "lm.model=models", *few) == {
        "lm.model": str(project / "models"),
        "stages.1.source": str(project / "hidden"),
    }
    (project / "sequences").mkdir()
    terms = [{"id": name, "terms": [*range(n, n + 30)]} for n, name in enumerate("ab")]
    for name, row in zip(("mine", "theirs"), terms, strict=True):
        (project / name).write_text(json.dumps(row))
    two = ("tasks.source=mine", "stages.1.source=theirs", "tasks.domain=sequences")
    assert begun(project / "terms", "lm.model=sequences", "lm.backend=embedded", *two) == {
        "tasks.source": str(project / "mine"),
        "stages.1.source": str(project / "theirs"),
    }


def test_a_model_with_a_relative_path_is_finetuned_from_any_folder(project, monkeypatch, capsys):
    (project / "models").symlink_to(SHIPPED)
    begun(project / "small", "lm.backend=embedded", "lm.model=models", "finetune.trainer=scripted")
    monkeypatch.chdir(project / "known")
    assert main(["finetune", "--from", str(project / "small"), "--out", str(project / "made")]) == 3
    assert "found no program to learn from" in capsys.readouterr().err, "the model was there"
