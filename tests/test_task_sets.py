import pytest

from soar.config import Config, validated
from soar.domains.arc.domain import Arc
from soar.errors import DataError
from soar.task_sets import leaks, load_task_sets, tasks_with_ids


def config(train: str, target: str, **more) -> Config:
    stages = [{"name": "train", "source": train}, {"name": "target", "source": target, "answers": "hidden"}]
    return validated({"stages": stages, **more})


def test_the_one_training_task_that_is_an_evaluation_task_is_left_out():
    found = load_task_sets(config("arc1-training", "arc1-evaluation"), Arc())
    assert (len(found["train"]), len(found["target"])) == (399, 400)


def test_what_is_left_out_is_said():
    said: list[str] = []
    load_task_sets(config("arc1-training", "arc1-evaluation"), Arc(), said.append)
    assert said == [
        "left out 1 of the 400 tasks of stage 'train' (answers known): stage 'target' has it too, with its answers"
        " hidden"
    ]
    said.clear()
    load_task_sets(config("arc1-training", "arc2-evaluation"), Arc(), said.append)
    assert said == []


@pytest.mark.parametrize("allow_leak", [False, True])
def test_a_stage_that_would_be_left_without_tasks_is_refused(tmp_path, allow_leak):
    (tmp_path / "ids.txt").write_text("".join(f"{task.id}\n" for task in Arc().load("arc1-evaluation")[:5]))
    few = {"name": "train", "source": "arc1-evaluation", "ids_file": str(tmp_path / "ids.txt")}
    stages = [few, {"name": "target", "source": "arc1-evaluation", "answers": "hidden"}]
    found = validated({"stages": stages, "tasks": {"allow_leak": allow_leak}})
    with pytest.raises(
        DataError, match=r"^all 5 tasks of stage 'train' .* are also in stage 'target' .*: choose other"
    ):
        load_task_sets(found, Arc())


def test_learning_from_a_set_that_holds_the_target_is_refused():
    with pytest.raises(DataError, match="are also in stage 'train'"):
        load_task_sets(config("arc2-training", "arc1-evaluation"), Arc())


def test_a_draw_applies_to_every_stage():
    found = load_task_sets(config("arc1-training", "arc1-evaluation", tasks={"count": 5}), Arc())
    assert [len(tasks) for tasks in found.values()] == [5, 5]


def test_two_different_tasks_of_one_id_are_refused():
    stages = [{"name": "a", "source": "arc1-training"}, {"name": "b", "source": "arc2-training"}]
    with pytest.raises(DataError, match=r"differs from task .* of stage"):
        load_task_sets(validated({"stages": stages}), Arc())


@pytest.mark.slow
def test_a_set_that_holds_the_target_is_learnt_from_where_that_is_allowed_and_counted():
    allowed = config("arc2-training", "arc1-evaluation", tasks={"allow_leak": True})
    found = load_task_sets(allowed, Arc())
    assert (len(found["train"]), len(found["target"])) == (1000, 400)
    assert leaks(allowed, Arc(), found) == {"target": {"train": 376}}
    named = {name: [task.id for task in tasks] for name, tasks in found.items()}
    assert tasks_with_ids(allowed, Arc(), named) == found
    few = config("arc1-training", "arc1-evaluation", tasks={"allow_leak": True})
    assert leaks(few, Arc(), load_task_sets(few, Arc())) == {}
