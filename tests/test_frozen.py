"""What a run was started with: compared when it resumes, and changed only where things have moved."""

import json

import pytest

from soar.errors import ConfigError, DataError, StoreError
from soar.files import write_atomically
from soar.frozen import compare, differences, freeze, move
from soar.run import RunDirectory

MANIFEST = {"model": {"model": "a"}, "tasks": {"train": {"hash": "x", "ids": ["1", "2"]}}, "versions": {"soar": "1"}}
CONFIG = {
    "seed": 4,
    "search": {"samples": 3000},
    "lm": {"base_url": "http://a/v1"},
    "stages": [{"name": "a", "source": "/old"}],
}


@pytest.fixture
def directory(tmp_path):
    """A run that has started."""
    started = RunDirectory(tmp_path)
    freeze(started, CONFIG, MANIFEST)
    return started


def resume(directory, config=CONFIG, manifest=MANIFEST, free=()):
    return compare(directory, config, manifest, then=directory.config(), free=free)


def test_a_run_resumes_with_what_it_was_started_with(tmp_path):
    directory = RunDirectory(tmp_path)
    assert not directory.begun
    assert compare(directory, CONFIG, MANIFEST, then=None) == []
    freeze(directory, CONFIG, MANIFEST)
    assert directory.begun
    assert resume(directory, manifest={**MANIFEST, "versions": {"soar": "2"}}) == []
    assert directory.config() == CONFIG
    assert directory.manifest() == MANIFEST


def test_another_configuration_is_refused_with_the_difference(directory):
    with pytest.raises(ConfigError, match=r"search\.samples was 3000, now 7; seed was 4, now 1"):
        resume(directory, {**CONFIG, "seed": 1, "search": {"samples": 7}})


def test_what_no_result_depends_on_may_change_and_is_said(directory):
    changed = {**CONFIG, "lm": {"base_url": "http://b/v1"}}
    assert resume(directory, changed, free={"lm.base_url"}) == ['lm.base_url was "http://a/v1", now "http://b/v1"']
    with pytest.raises(ConfigError, match="seed was 4, now 5"):
        resume(directory, {**changed, "seed": 5}, free={"lm.base_url"})


def test_a_list_that_may_change_may_change_in_one_of_its_places(tmp_path):
    directory, lm = RunDirectory(tmp_path), {"engine_args": ["--share", "0.9"], "names": ["a"]}
    freeze(directory, {**CONFIG, "lm": lm}, MANIFEST)
    changed = {**CONFIG, "lm": {**lm, "engine_args": ["--share", "0.8"]}}
    assert resume(directory, changed, free={"lm.engine_args"}) == ['lm.engine_args.1 was "0.9", now "0.8"']
    with pytest.raises(ConfigError, match=r"lm\.names\.0 was"):
        resume(directory, {**CONFIG, "lm": {**lm, "names": ["b"]}}, free={"lm.engine_args", "names"})


def test_another_task_set_or_model_is_refused_with_the_difference(directory):
    with pytest.raises(DataError, match=r"tasks\.train\.hash was \"x\", now \"y\""):
        resume(directory, manifest={**MANIFEST, "tasks": {"train": {"hash": "y", "ids": ["1", "2"]}}})
    with pytest.raises(DataError, match=r"model\.model was \"a\", now \"b\""):
        resume(directory, manifest={**MANIFEST, "model": {"model": "b"}})


def test_a_model_is_its_weights_wherever_they_are(tmp_path):
    directory = RunDirectory(tmp_path)
    freeze(directory, CONFIG, {**MANIFEST, "model": {"model": "/old", "weights_sha256": "1"}})
    assert resume(directory, manifest={**MANIFEST, "model": {"model": "/new", "weights_sha256": "1"}}) == []
    with pytest.raises(DataError, match=r"model\.weights_sha256 was \"1\", now \"2\""):
        resume(directory, manifest={**MANIFEST, "model": {"model": "/old", "weights_sha256": "2"}})


def test_a_moved_setting_is_remembered_and_no_other(directory):
    now = {
        **CONFIG,
        "seed": 5,
        "tasks": {"source": "/new"},
        "stages": [{"name": "b", "source": "/new", "ids_file": "i"}],
    }
    move(directory, {**now, "tasks": {}}, ["stages.0.source", "stages.0.ids_file"])
    assert directory.config() == {**CONFIG, "stages": [{"name": "a", "source": "/new", "ids_file": "i"}]}
    assert directory.manifest() == MANIFEST
    move(directory, CONFIG, ["stages.0.source", "stages.0.ids_file"])
    assert directory.config() == CONFIG


def test_a_kill_between_the_two_files_of_a_move_leaves_a_whole_run(directory, monkeypatch):
    def killed(path, text):
        write_atomically(path, text)
        raise KeyboardInterrupt

    now = {**CONFIG, "stages": [{"name": "a", "source": "/new"}]}
    monkeypatch.setattr("soar.frozen.write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        move(directory, now, ["stages.0.source"])
    assert (directory.config(), directory.manifest()) == (CONFIG, MANIFEST)
    monkeypatch.undo()
    move(directory, now, ["stages.0.source"])
    assert (directory.config(), directory.manifest()) == (now, MANIFEST)
    text = (directory.path / "config.toml").read_text()
    (directory.path / "config.toml").write_text(text.replace("/new", "/elsewhere"))
    with pytest.raises(StoreError, match="changed after the run started"):
        directory.config()


def test_an_archive_without_a_manifest_is_refused(tmp_path):
    (tmp_path / "archive.sqlite").write_text("x")
    with pytest.raises(StoreError, match=r"has an archive but no manifest\.json"):
        compare(RunDirectory(tmp_path), CONFIG, MANIFEST, then=None)


def test_differences_name_the_leaves():
    assert differences({"a": [1, 2], "b": 3}, {"a": [1, 5], "c": 4}) == [
        "a.1 was 2, now 5",
        "b was 3, now null",
        "c was null, now 4",
    ]
    assert differences({"a": [1]}, {"a": [1]}) == []


def test_long_values_that_differ_at_their_end_are_told_apart():
    (line,) = differences({"a": "/" + 80 * "x" + "/old"}, {"a": "/" + 80 * "x" + "/new"})
    assert '/old", now "' in line
    assert line.endswith('/new"')
    assert len(line) < 150


def test_the_seal_of_a_run_that_never_moved_is_one_that_earlier_versions_read(directory):
    seal = json.loads((directory.path / "manifest.json").read_text())["sha256"]
    assert isinstance(seal["config.toml"], str)
