"""The trainer's own loss, and what watches a training: log entries, values that are not finite, stops, checkpoints."""

import json
import math
from types import SimpleNamespace
from typing import Any

import accelerate
import accelerate.utils
import pytest
import torch

from soar.errors import DataError, Interrupted
from soar.files import MANIFEST
from soar.learning.trainers import training
from soar.learning.trainers.training import _watch

LABELS = torch.tensor([[-100, -100, 2, 3, -100], [-100, 1, 0, -100, -100]])
IDS = torch.arange(10).reshape(2, 5)
SCORES = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
    """With one, the loss is TRL's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


class Model:
    """Scores the positions that it is asked for, and keeps how it was asked."""

    def __call__(self, **asked):
        self.asked = asked
        return SimpleNamespace(logits=SCORES[:, asked["logits_to_keep"]].to(torch.bfloat16))


def loss(**more):
    model, trainer = Model(), SimpleNamespace(accelerator=SimpleNamespace(num_processes=3))
    inputs = {"input_ids": IDS, "labels": LABELS}
    return model, training._trainer_class().compute_loss(trainer, model, inputs, **more)


@pytest.fixture
def wanted():
    """The loss by hand: a label is scored where the token before it is read."""
    likely = SCORES.to(torch.bfloat16).float().log_softmax(-1)
    places = [(0, 1, 2), (0, 2, 3), (1, 0, 1), (1, 1, 0)]
    return -sum(float(likely[place]) for place in places)


def test_the_loss_is_the_mean_over_the_labels_that_count_and_only_their_columns_are_scored(wanted):
    model, found = loss()
    assert found.item() == pytest.approx(wanted / 4, rel=1e-5)
    assert found.dtype == torch.float32
    assert model.asked.keys() == {"input_ids", "logits_to_keep", "use_cache"}
    assert torch.equal(model.asked["input_ids"], IDS)
    assert model.asked["logits_to_keep"].tolist() == [0, 1, 2]
    assert model.asked["use_cache"] is False


def test_of_several_processes_the_sum_is_scaled_so_that_their_mean_is_right(wanted):
    _, found = loss(num_items_in_batch=8)
    assert found.item() == pytest.approx(3 * wanted / 8, rel=1e-5)


def test_with_a_gpu_the_loss_is_that_of_trl(monkeypatch):
    from trl.trainer.sft_trainer import SFTTrainer

    assert issubclass(training._trainer_class(), SFTTrainer)
    assert training._trainer_class() is not SFTTrainer
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training._trainer_class() is SFTTrainer


@pytest.fixture
def watching(monkeypatch, tmp_path):
    """Watch a training as one of some processes; the first's decision reaches the others."""
    done: list[Any] = []
    shared: list[Any] = []

    def watching(*, first=True, processes=1, refuse=None):
        state = SimpleNamespace(
            is_main_process=first, num_processes=processes, wait_for_everyone=lambda: done.append("wait")
        )

        def broadcast(stop):
            done.append("broadcast")
            if first:
                shared[:] = stop
            else:
                stop[:] = shared

        def on_log(entry):
            done.append(entry)
            if refuse:
                raise refuse

        monkeypatch.setattr(accelerate, "PartialState", lambda: state)
        monkeypatch.setattr(accelerate.utils, "broadcast_object_list", broadcast)
        watch = _watch(on_log, {"data": 1})
        control = SimpleNamespace(should_save=False, should_training_stop=False)
        step: Any = SimpleNamespace(global_step=4, max_steps=9)
        args: Any = SimpleNamespace(output_dir=str(tmp_path))
        assert watch.interrupted is None
        return SimpleNamespace(
            done=done,
            control=control,
            watch=watch,
            log=lambda logs: watch.on_log(args, step, control, logs=logs, model="more"),
            save=lambda: watch.on_save(args, step, control, model="more"),
        )

    return watching


def stopped(watched):
    return watched.control.should_save, watched.control.should_training_stop


def test_losses_and_norms_are_logged_with_their_step_and_nothing_else(watching):
    watched = watching()
    watched.log({"loss": "2.5", "grad_norm": 1, "learning_rate": math.nan})
    watched.log({"loss": 1})
    assert watched.done == [{"step": 4, "of": 9, "loss": 2.5, "grad_norm": 1.0}, {"step": 4, "of": 9, "loss": 1.0}]
    watched.log({"train_runtime": 3})
    watched.log(None)
    assert len(watched.done) == 2
    assert stopped(watched) == (False, False)


@pytest.mark.parametrize("logs", [{"loss": math.nan, "grad_norm": 1.0}, {"loss": 1.0, "grad_norm": math.inf}])
def test_a_training_that_diverges_is_ended_with_its_numbers(watching, logs):
    watched = watching()
    with pytest.raises(DataError) as error:
        watched.log(logs)
    assert str(error.value) == f"finetuning diverged ({logs}); nothing was published. Lower finetune.lr"
    assert watched.done == []


def test_a_request_to_stop_ends_the_training_after_a_checkpoint(watching):
    watched = watching(refuse=Interrupted("enough"))
    watched.log({"loss": 1})
    assert stopped(watched) == (True, True)
    assert str(watched.watch.interrupted) == "enough"


def test_the_first_process_logs_and_decides_for_all(watching):
    first = watching(processes=2, refuse=Interrupted("enough"))
    first.log({"loss": 1})
    other = watching(processes=2, first=False)
    other.log({"loss": 1})
    assert other.done == [{"step": 4, "of": 9, "loss": 1.0}, "broadcast", "broadcast"]
    for each in (first, other):
        assert stopped(each) == (True, True)
        assert str(each.watch.interrupted) == "enough"


def test_a_checkpoint_is_sealed_by_the_first_process_when_all_have_written(watching, tmp_path):
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    (folder / "part").touch()
    other = watching(processes=2, first=False)
    other.save()
    assert not (folder / MANIFEST).exists()
    watching(processes=2).save()
    assert other.done == ["wait", "wait"]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["data"] == 1
    assert list(manifest["sha256"]) == ["part"]
