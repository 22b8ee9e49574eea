import pytest

from soar.errors import ConfigError, StoreError
from soar.files import is_published, publish, write_atomically
from soar.run import RunDirectory, Stage, locked, steps, superseded, theta0_of


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="not a run directory"), locked(tmp_path):
        pass
    with pytest.raises(ConfigError, match="not a run directory"):
        RunDirectory(tmp_path).config()


def test_two_processes_cannot_run_in_one_directory(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(StoreError, match="in use"), locked(tmp_path / "run"):
        pass
    with locked(tmp_path / "run"):
        pass


def test_an_impossible_place_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot use"), locked(tmp_path / "file" / "run"):
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "answers.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert [file.name for file in path.parent.iterdir()] == ["answers.json"]
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(path / "below", "three")


def test_weights_that_a_later_stage_begins_from_and_the_newest_are_needed():
    train = Stage("train", iterations=4)
    plan = steps([train, Stage("a", iterations=3, base="train"), Stage("b", iterations=2, base="a")])
    assert [superseded(plan, step.number, keep=1) for step in plan] == [
        [],  # train 0 has no weights of its own
        [],
        [1],
        [1, 2],
        [1, 2],  # 3 is what a begins from
        [1, 2],
        [1, 2, 3, 5],  # 6 is what b begins from, and the newest
        [1, 2, 3, 5],
        [1, 2, 3, 5, 6],
    ]
    assert superseded(plan, 3, keep=2) == [1]


def test_a_stage_that_learns_from_others_begins_each_round_from_what_it_learnt_first():
    train = Stage("train", iterations=2)
    target = Stage("target", iterations=3, learns_from=("train",))
    plan = steps([train, target, Stage("after", base="target"), Stage("again", base="train", learns_from=("target",))])
    assert [step.learns for step in plan] == [False, True, True, True, True, False, True]
    before = [theta0_of(plan, step) for step in plan]
    assert [each and each.number for each in before] == [None, None, None, 2, 2, 4, 1]
    # 1 is what "again" begins from, 2 what the rounds of "target" do.
    assert [superseded(plan, step.number, keep=1) for step in plan] == [[], [], [], [], [2, 3], [2, 3], [1, 2, 3, 4]]


def test_pruned_weights_leave_their_adapter_and_no_damage(tmp_path):
    directory = RunDirectory(tmp_path)
    aside = tmp_path / "aside"
    for name in ("model.safetensors", "tokenizer.json", "adapter/adapter_model.safetensors", "more/x"):
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).write_text(name)
    directory.weights(1).parent.mkdir()
    publish(aside, directory.weights(1), {"seed": 3})
    directory.prune([1, 2])
    left = sorted(str(file.relative_to(directory.weights(1))) for file in directory.weights(1).rglob("*"))
    assert left == ["adapter", "adapter/adapter_model.safetensors", "manifest.json"]
    assert is_published(directory.weights(1), {"seed": 3, "kept": "adapter"})
    directory.prune([1])
