"""A run whose tasks, or whose model's weights, have moved is resumed from their new place, and read from there."""

import asyncio
import json
import re
import shutil

import pytest
from scripted_runs import search, standing, write_config

from soar.config import load_config
from soar.errors import DataError
from soar.frozen import freeze
from soar.lm.embedded import SHIPPED
from soar.report.metrics import report
from soar.run import RunDirectory
from soar.session import open_run, view_run


@pytest.fixture
def run(tmp_path):
    """A configuration, and a run of it of one search that has finished; `known` and `hidden` hold its tasks."""
    config = write_config(tmp_path)
    search(config, tmp_path / "run", "stages.0.iterations=1")
    return config, tmp_path / "run"


def moved(config, old, new):
    """Move a folder of tasks; return the configuration as it is after that."""
    shutil.move(config.parent / old, config.parent / new)
    config.write_text(config.read_text().replace(f'{config.parent / old}"', f'{config.parent / new}"'))
    return config


def test_a_finished_run_is_read_from_the_new_place_of_its_tasks_once_it_was_resumed_there(run):
    config, path = run
    with view_run(path) as view:
        before = view.tasks
    moved(config, "known", "elsewhere")
    moved(config, "hidden", "elsewhere, too")
    with pytest.raises(DataError, match=r"no tasks at .*known.*call `soar run CONFIG RUN_DIR` once"), view_run(path):
        pass
    search(config, path, "stages.0.iterations=1")
    with view_run(path) as view:
        assert view.tasks == before
        assert view.sources == {
            "train": str(config.parent / "elsewhere"),
            "target": str(config.parent / "elsewhere, too"),
        }


def test_other_tasks_at_the_new_place_are_refused(run):
    config, path = run
    moved(config, "known", "elsewhere")
    changed = config.parent / "elsewhere" / "flip.json"
    task = json.loads(changed.read_text())
    task["train"][0]["output"][0][0] += 1
    changed.write_text(json.dumps(task))
    frozen = (path / "config.toml").read_text()
    with pytest.raises(DataError, match=r"different tasks or model: tasks\.train\.hash was"):
        search(config, path, "stages.0.iterations=1")
    assert (path / "config.toml").read_text() == frozen


def rewritten(folder, name, change):
    path = folder / f"{name}.json"
    task = json.loads(path.read_text())
    change(task)
    path.write_text(json.dumps(task))


def test_a_run_whose_tasks_have_changed_where_they_are_is_not_judged_by_the_new_ones(run):
    config, path = run
    rewritten(config.parent / "known", "flip", lambda task: task["train"][0]["output"][0].reverse())
    refused = pytest.raises(DataError, match=r"stage 'train' of .* are not those that it searched.*known has changed")
    with refused, view_run(path):
        pass


def test_answers_published_after_a_run_judge_it(tmp_path):
    config = write_config(tmp_path)
    names = [file.stem for file in (tmp_path / "hidden").glob("*.json")]
    for name in names:
        rewritten(tmp_path / "hidden", name, lambda task: task["test"][0].pop("output", None))
    search(config, tmp_path / "run", "stages.0.iterations=1")
    for name in names:
        rewritten(tmp_path / "hidden", name, lambda task: task["test"][0].update(output=[[1]]))
    with view_run(tmp_path / "run") as view:
        assert [task.answered for task in view.tasks["target"]] == [True] * len(names)


@pytest.mark.slow
def test_one_more_answer_judges_a_run_and_does_not_keep_it_from_going_on(run):
    """Of its two tasks with hidden answers, one was answered from the start."""
    config, path = run
    rewritten(config.parent / "hidden", "secret-task", lambda task: task["test"][0].update(output=[[1]]))
    with view_run(path) as view:
        assert [task.answered for task in view.tasks["target"]] == [True, True]
    search(config, path, "stages.0.iterations=1")
    rewritten(config.parent / "hidden", "quiz", lambda task: task["test"][0].update(output=[[1]]))
    with pytest.raises(DataError, match=r"stage 'target' of .* are not those that it searched"), view_run(path):
        pass
    with pytest.raises(DataError, match=r"different tasks or model: tasks\.target\.hash was"):
        search(config, path, "stages.0.iterations=1")


def test_tasks_described_by_an_earlier_version_are_read_and_go_on(run):
    config, path = run
    manifest = RunDirectory(path).manifest()
    for entry in manifest["tasks"].values():
        del entry["questions"], entry["answers"]
    freeze(RunDirectory(path), RunDirectory(path).config(), manifest)
    search(config, path, "stages.0.iterations=1")
    with view_run(path) as view:
        assert {name: len(tasks) for name, tasks in view.tasks.items()} == {"train": 3, "target": 2}


def test_a_list_of_ids_may_move(tmp_path):
    config = write_config(tmp_path)
    (tmp_path / "ids.txt").write_text("flip\nsums\n")
    overrides = ("stages.0.iterations=1", f"stages.0.ids_file={tmp_path / 'ids.txt'}")
    search(config, tmp_path / "run", *overrides)
    shutil.move(tmp_path / "ids.txt", tmp_path / "list.txt")
    overrides = ("stages.0.iterations=1", f"stages.0.ids_file={tmp_path / 'list.txt'}")
    search(config, tmp_path / "run", *overrides)
    with view_run(tmp_path / "run") as view:
        assert [task.id for task in view.tasks["train"]] == ["flip", "sums"]
    assert "list.txt" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.slow
def test_prices_that_are_given_when_a_run_resumes_are_those_of_its_reports(run):
    config, path = run
    for prompt, completion in ((3.0, 15.0), (0.3, 0.0)):
        key = "budget.price_per_million"
        prices = (f"{key}_prompt_tokens={prompt}", f"{key}_completion_tokens={completion}")
        search(config, path, "stages.0.iterations=1", *prices)
        with view_run(path) as view:
            records = report(view)["iterations"]
        for record in records:
            tokens = record["tokens"]
            assert record["cost"] == (tokens["prompt"] * prompt + tokens["completion"] * completion) / 1e6
        assert standing(path).cost == records[-1]["cost"] > 0
    before = (path / "config.toml").read_text()
    search(config, path, "stages.0.iterations=1", *prices, "budget.max_tokens=10000000")
    assert (path / "config.toml").read_text() == before, "limits count only while the run goes on"


def opened(config, path, model):
    """Start or resume a run with the model in a folder, without searching; return what is said."""

    async def begin():
        said: list[str] = []
        overrides = ("lm.backend=embedded", f"lm.model={model}")
        async with open_run(load_config(config, overrides), path, lambda _: None, said.append):
            return said

    return asyncio.run(begin())


@pytest.mark.slow
def test_weights_may_move_and_are_known_by_their_hash(tmp_path):
    config, path = write_config(tmp_path), tmp_path / "run"
    shutil.copytree(SHIPPED, tmp_path / "old", ignore=shutil.ignore_patterns("sequences"))
    opened(config, path, tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    (said,) = opened(config, path, tmp_path / "new")
    assert re.fullmatch(r'resumed with a changed setting: lm\.model was ".*/old", now ".*/new"', said)
    assert opened(config, path, tmp_path / "new") == [], "the run remembers the place"
    with (tmp_path / "new" / "model.safetensors").open("ab") as weights:
        weights.write(b"x")
    with pytest.raises(DataError, match=r"different tasks or model: model\.weights_sha256 was"):
        opened(config, path, tmp_path / "new")
