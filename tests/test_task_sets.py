import pytest

from soar.config import Config, validated
from soar.domains.arc.domain import Arc
from soar.errors import DataError
from soar.task_sets import load_task_sets


def config(train: str, target: str, **more) -> Config:
    stages = [{"name": "train", "source": train}, {"name": "target", "source": target, "answers": "hidden"}]
    return validated({"stages": stages, **more})


def test_the_one_training_task_that_is_an_evaluation_task_is_left_out():
    found = load_task_sets(config("arc1-training", "arc1-evaluation"), Arc())
    assert (len(found["train"]), len(found["target"])) == (399, 400)


def test_learning_from_a_set_that_holds_the_target_is_refused():
    with pytest.raises(DataError, match="stand in stage 'train' too"):
        load_task_sets(config("arc2-training", "arc1-evaluation"), Arc())


def test_a_draw_applies_to_every_stage():
    found = load_task_sets(config("arc1-training", "arc1-evaluation", tasks={"count": 5}), Arc())
    assert [len(tasks) for tasks in found.values()] == [5, 5]


def test_two_different_tasks_of_one_id_are_refused():
    stages = [{"name": "a", "source": "arc1-training"}, {"name": "b", "source": "arc2-training"}]
    with pytest.raises(DataError, match="another task than that of stage"):
        load_task_sets(validated({"stages": stages}), Arc())
