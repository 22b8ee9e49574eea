"""Finetuning in processes of its own: the same result, the same errors, and nothing left when whoever began it goes."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import psutil
import pytest

from soar.config import validated
from soar.errors import ConfigError, DataError, EndpointError, Interrupted
from soar.files import is_published
from soar.learning.trainers import trl
from soar.learning.trainers.process import Job, OutOfMemory
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.training import train
from soar.learning.trainers.trl import Trl, new_job, smaller

SETTINGS = FinetuneSettings(
    method="lora", rank=4, lr=1e-2, batch_size=2, accumulation=4, epochs=2, max_length=64, checkpoint_steps=3
)


def finetune(rows, base, out, settings=SETTINGS, on_log=None):
    log = []
    Trl(settings).finetune(rows, base, out, 1, on_log or log.append)
    return log


def in_this_process(rows, base, out, settings=SETTINGS):
    log = []
    train(new_job(rows, base, out, 1, settings), log.append)
    return log


def files(folder):
    """The weights and what was noted with them, byte for byte."""
    adapter = ("adapter/adapter_model.safetensors", "adapter/adapter_config.json")
    names = ("model.safetensors", *adapter, "probe.json")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_weights_and_says_the_same(rows, base, tmp_path):
    log = finetune(rows, base, tmp_path / "a")
    assert 0 < log.pop(0)["estimated GiB of memory, at most"] < 0.1
    assert log == in_this_process(rows, base, tmp_path / "b")
    assert [entry["step"] for entry in log[1:]] == list(range(1, 13))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) == 4
    assert not (tmp_path / "a.work").exists()


@pytest.mark.slow
def test_told_to_stop_it_leaves_a_checkpoint_and_goes_on_from_it(rows, base, tmp_path):
    def stop(entry):
        if entry.get("step", 0) >= 4:
            raise Interrupted("enough")

    before = set(psutil.Process().children(recursive=True))  # those of other tests
    with pytest.raises(Interrupted, match="enough"):
        finetune(rows, base, tmp_path / "a", on_log=stop)
    assert set(psutil.Process().children(recursive=True)) <= before
    log = finetune(rows, base, tmp_path / "a")
    assert log[2]["step"] > 4
    in_this_process(rows, base, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.slow
def test_its_errors_are_raised_here_and_a_crash_is_said_with_its_reason(rows, base, tmp_path):
    with pytest.raises(DataError, match="none of 48 examples"):
        finetune(rows, base, tmp_path / "a", SETTINGS.model_copy(update={"max_length": 2}))
    with pytest.raises(EndpointError, match=r"(?s)nowhere.*output\.txt"):
        finetune(rows, tmp_path / "nowhere", tmp_path / "b")


PARENT = """
import sys
from pathlib import Path
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.trl import Trl

rows, base, out, settings = sys.argv[1:]
Trl(FinetuneSettings.model_validate_json(settings)).finetune(Path(rows), Path(base), Path(out), 1, print)
"""


def begun(rows, base, out, settings=SETTINGS):
    arguments = [str(rows), str(base), str(out), settings.model_dump_json()]
    return subprocess.Popen([sys.executable, "-u", "-c", PARENT, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_weights(rows, base, tmp_path):
    """Twenty kills, while it starts, learns, writes a checkpoint, merges, publishes; no process is left over."""
    in_this_process(rows, base, tmp_path / "undisturbed")
    out = tmp_path / "out"
    kills = 0
    while True:
        with begun(rows, base, out) as parent:
            deadline = time.monotonic() + 0.5 + 0.7 * kills
            while parent.poll() is None and (time.monotonic() < deadline or kills >= 20):
                time.sleep(0.01)
            left = psutil.Process(parent.pid).children(recursive=True) if parent.poll() is None else []
            parent.kill()
        _, alive = psutil.wait_procs(left, timeout=5)
        # One that has ended and that PID 1 has not come to yet is none that is left over.
        assert not [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        if parent.returncode == 0:
            break
        assert parent.returncode == -signal.SIGKILL
        kills += 1
    assert is_published(out)
    assert files(out) == files(tmp_path / "undisturbed")


def test_out_of_memory_fewer_go_through_at_once_and_as_many_make_a_step(rows, base, tmp_path, monkeypatch):
    tried = []

    def run(job, on_log, module, python):
        del on_log, module, python
        job.write()
        tried.append(job.micro)
        if job.micro > 1:
            raise OutOfMemory

    monkeypatch.setattr(trl, "run", run)
    settings = SETTINGS.model_copy(update={"batch_size": 12, "accumulation": 1})
    log = finetune(rows, base, tmp_path / "out", settings)
    assert tried == [12, 6, 3, 1]
    assert [*map(list, map(dict.values, log[1:]))] == [[6], [3], [1]]


def test_what_an_earlier_session_found_to_fit_is_begun_with_where_the_data_are_the_same(rows, base, tmp_path):
    job = replace(new_job(rows, base, tmp_path / "out", 1, SETTINGS), micro=1)
    job.write()
    assert new_job(rows, base, tmp_path / "out", 1, SETTINGS).micro == 1
    assert new_job(rows, base, tmp_path / "out", 2, SETTINGS).micro == 2
    with pytest.raises(DataError, match="max_length"):
        smaller(job)


def test_a_job_is_read_as_it_was_written(rows, base, tmp_path):
    section: Any = validated({"finetune": {"trainer": "trl", "rank": 4, "keep": 2}}).finetune
    job = replace(new_job(rows, base, tmp_path / "out", 1, section), resume="checkpoint-3")
    read = Job.read(job.write())
    assert read.settings == FinetuneSettings(rank=4, keep=2)
    assert replace(read, settings=section) == job


def test_a_step_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ConfigError, match="8 examples"):
        Trl(SETTINGS.model_copy(update={"processes": 3}))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_one_process_ddp_and_fsdp2_over_two_give_the_same_losses(rows, base, tmp_path, method):
    one = SETTINGS.model_copy(update={"method": method, "dtype": "float32", "batch_size": 1, "accumulation": 8})
    losses = {}
    for name, more in (("one", {}), ("ddp", {"processes": 2}), ("fsdp", {"processes": 2, "sharding": "fsdp"})):
        log = finetune(rows, base, tmp_path / name, one.model_copy(update=more))
        assert log[1]["processes"] == more.get("processes", 1)
        losses[name] = [entry["loss"] for entry in log[2:]]
    assert len(losses["one"]) == 12
    assert losses["one"][-1] < losses["one"][0]
    for name in ("ddp", "fsdp"):
        assert losses[name] == pytest.approx(losses["one"], abs=1e-3)
        assert json.loads((tmp_path / name / "probe.json").read_text())["learnt"] == pytest.approx(
            json.loads((tmp_path / "one" / "probe.json").read_text())["learnt"], abs=1e-2
        )
