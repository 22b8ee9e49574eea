"""What the trainer prepares before a process starts and decides after one has failed."""

import json
import shutil
import sys
from dataclasses import replace

import pytest
import torch

from soar.errors import ConfigError, DataError
from soar.files import MANIFEST, seal, sha256
from soar.learning.trainers import trl
from soar.learning.trainers.memory import estimate, read_shape
from soar.learning.trainers.process import OutOfMemory
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.trl import Trl, expected_memory, new_job, newest_checkpoint, smaller
from soar.lm.embedded import SHIPPED

SETTINGS = FinetuneSettings(rank=4, batch_size=12, accumulation=2, max_length=64)
NAME = "estimated GiB of memory, at most"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    return path


def job_of(rows, settings=SETTINGS, seed=1, base=SHIPPED):
    return new_job(rows, base, rows.parent / "out", seed, settings)


def needing(monkeypatch):
    asked = []
    monkeypatch.setattr(trl, "require", lambda *given: asked.append(given))
    return asked


LIBRARIES = ('finetune.trainer = "trl"', "train", "torch", "transformers", "trl", "peft", "datasets", "accelerate")
EIGHT_BITS = ('finetune.method = "qlora" or finetune.optimizer = "adamw_8bit"', "qlora", "bitsandbytes")


def test_the_libraries_that_are_needed_are_asked_for(monkeypatch):
    for changes, expected in (
        ({}, [LIBRARIES]),
        ({"method": "full", "optimizer": "adamw"}, [LIBRARIES]),
        ({"method": "qlora"}, [LIBRARIES, EIGHT_BITS]),
        ({"optimizer": "adamw_8bit"}, [LIBRARIES, EIGHT_BITS]),
    ):
        asked = needing(monkeypatch)
        settings = FinetuneSettings.model_validate(changes)
        trainer = Trl(settings)
        assert asked == expected
        assert trainer.settings == settings
        assert (trainer.python, trainer.module) == (sys.executable, "soar.learning.trainers.training")


@pytest.mark.parametrize(
    ("changes", "gpus", "compiler", "said"),
    [
        ({"processes": 4}, 4, True, None),
        ({"processes": 2}, 0, True, None),
        ({}, 0, False, None),
        ({}, 1, True, None),
        ({"processes": 4}, 2, True, "finetune.processes = 4, but this machine has 2 GPUs"),
        ({}, 1, False, "needs a C compiler"),
        (
            {"processes": 2, "method": "qlora", "sharding": "fsdp"},
            0,
            True,
            'finetune.method = "qlora" cannot be sharded',
        ),
        (
            {"processes": 2, "optimizer": "adamw_8bit", "sharding": "fsdp"},
            2,
            True,
            'finetune.optimizer = "adamw_8bit" cannot be sharded',
        ),
        ({"processes": 2, "method": "qlora"}, 2, True, None),
        ({"method": "qlora", "sharding": "fsdp"}, 1, True, None),
    ],
)
def test_what_a_machines_gpus_cannot_do_is_refused_before_anything_is_spent(monkeypatch, changes, gpus, compiler, said):
    needing(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/clang" if compiler and name == "clang" else None)
    settings = FinetuneSettings.model_validate(changes)
    if said is None:
        Trl(settings)
        return
    with pytest.raises(ConfigError) as refused:
        Trl(settings)
    assert said in str(refused.value)


def test_a_step_that_cannot_be_divided_is_refused_with_its_figures():
    Trl(SETTINGS.model_copy(update={"processes": 8}))
    with pytest.raises(ConfigError) as error:
        Trl(SETTINGS.model_copy(update={"processes": 5}))
    assert str(error.value) == (
        "finetune.batch_size x finetune.accumulation = 24 examples cannot be divided among finetune.processes = 5:"
        " make it a multiple"
    )


def test_a_job_is_known_by_its_rows_its_seed_and_the_settings_that_count(rows, tmp_path):
    job = job_of(rows, SETTINGS.model_copy(update={"keep": 2}), seed=7)
    kept = SETTINGS.model_dump(mode="json")
    del kept["keep"]
    assert job.data == {"data_sha256": sha256(rows), "settings": kept, "seed": 7}
    assert (job.rows, job.base, job.out, job.seed, job.resume) == (rows, SHIPPED, tmp_path / "out", 7, None)
    assert job.settings.keep == 2


def test_the_interpreter_of_unsloth_does_not_make_another_job(rows):
    from soar.learning.trainers.unsloth import UnslothSettings

    assert "python" not in job_of(rows, UnslothSettings(python="/a")).data["settings"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "processes", "micro"), [(12, 2, 1, 12), (12, 2, 8, 3), (5, 4, 2, 5), (4, 3, 2, 3)]
)
def test_as_many_go_through_at_once_as_divide_a_process_s_share(rows, batch_size, accumulation, processes, micro):
    settings = FinetuneSettings(batch_size=batch_size, accumulation=accumulation, processes=processes)
    assert job_of(rows, settings).micro == micro


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"micro": "many", "data": {}}', '{"data": {}}'])
def test_a_damaged_job_of_an_earlier_session_is_as_none(rows, content):
    job = job_of(rows)
    job.work.mkdir()
    (job.work / "job.json").write_text(content)
    assert job_of(rows) == job


def test_what_fitted_before_is_taken_up_for_the_same_data(rows):
    replace(job_of(rows), micro=3).write()
    assert job_of(rows).micro == 3
    assert job_of(rows, seed=2).micro == 12


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_memory_said_is_the_estimate_for_this_machine_in_three_digits(rows, monkeypatch, gpu, fast, dtype):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(trl, "has_fast_bf16", lambda device: asked.append(device) or fast)
    settings = SETTINGS.model_copy(update={"dtype": dtype})
    how = {"method": "lora", "rank": 4, "batch_size": 12, "length": 64}
    bf16 = fast and dtype == "bfloat16"
    total = estimate(read_shape(SHIPPED), **how, bf16=bf16, gpu=gpu).total
    assert expected_memory(job_of(rows, settings)) == {NAME: float(f"{total / 2**30:.3g}")}
    assert asked == (["cuda" if gpu else "cpu"] if dtype == "bfloat16" else [])


def test_of_all_weights_more_is_said_and_of_a_model_of_unknown_size_nothing(rows, tmp_path):
    full = expected_memory(job_of(rows, SETTINGS.model_copy(update={"method": "full"})))
    assert full[NAME] != expected_memory(job_of(rows))[NAME]
    assert expected_memory(job_of(rows, base=tmp_path)) == {}


def test_a_smaller_micro_batch_divides_the_share_and_below_one_there_is_none(rows):
    job = job_of(rows)
    sizes = [job.micro]
    while sizes[-1] > 1:
        sizes.append(smaller(replace(job, micro=sizes[-1])))
    assert sizes == [12, 6, 3, 1]
    two = replace(job, settings=SETTINGS.model_copy(update={"processes": 3}), micro=7)  # a share of 8
    assert smaller(two) == 2
    with pytest.raises(DataError) as error:
        smaller(replace(job, micro=1))
    assert str(error.value) == (
        "finetuning runs out of memory with one example of up to finetune.max_length = 64 tokens at once: lower it, set"
        ' finetune.method = "qlora", or shard the model over more GPUs (finetune.processes, finetune.sharding = "fsdp")'
    )


def checkpoint(work, step, data):
    folder = work / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "state").write_text("x" * 9)
    if data is not None:
        seal(folder, data)
    return folder


def test_the_newest_whole_checkpoint_is_taken_and_newer_ones_are_removed(tmp_path):
    old, whole = checkpoint(tmp_path, 8, {"a": 1}), checkpoint(tmp_path, 9, {"a": 1})
    foreign, partial = checkpoint(tmp_path, 100, {"a": 2}), checkpoint(tmp_path, 20, None)
    damaged = checkpoint(tmp_path, 10, {"a": 1})
    (damaged / "state").write_text("y")
    assert newest_checkpoint(tmp_path, {"a": 1}) == str(whole)
    assert [each.exists() for each in (old, whole, damaged, partial, foreign)] == [True, True, False, False, False]
    assert newest_checkpoint(tmp_path, {"a": 3}) is None
    assert list(tmp_path.iterdir()) == []


def test_a_finetuning_says_its_memory_resumes_shrinks_and_leaves_no_work_folder(rows, monkeypatch):
    tried, log = [], []

    def run(job, on_log, module, python):
        tried.append((job.micro, job.resume, module, python))
        if len(tried) == 2:
            raise OutOfMemory
        if len(tried) == 1:
            checkpoint(job.work, 4, job.data)
            raise OutOfMemory
        on_log({"step": 5})

    monkeypatch.setattr(trl, "run", run)
    trainer = Trl(SETTINGS)
    trainer.python = "/a/python"
    job = job_of(rows)
    trainer.finetune(rows, SHIPPED, job.out, 1, log.append)
    resumed = str(job.work / "checkpoint-4")
    where = ("soar.learning.trainers.training", "/a/python")
    assert tried == [(12, None, *where), (6, resumed, *where), (3, resumed, *where)]
    less = "out of memory, micro-batch reduced to"
    assert log == [expected_memory(job), {less: 6}, {less: 3}, {"step": 5}]
    assert not job.work.exists()


def test_a_finetuning_that_left_no_work_folder_is_done_all_the_same(rows, monkeypatch):
    monkeypatch.setattr(trl, "run", lambda *given: None)
    Trl(SETTINGS).finetune(rows, SHIPPED, rows.parent / "out", 1, lambda entry: None)


def test_a_manifest_that_is_no_manifest_makes_a_checkpoint_a_damaged_one(tmp_path):
    folder = checkpoint(tmp_path, 1, {"a": 1})
    (folder / MANIFEST).write_text(json.dumps([]))
    assert newest_checkpoint(tmp_path, {"a": 1}) is None
    assert not folder.exists()
