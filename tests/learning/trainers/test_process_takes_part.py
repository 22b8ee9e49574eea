"""One process's part of a job: it reads the job, logs, hears that it should stop, says how it ended, and ends with its
parent. And the file that a job is."""

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from soar.errors import DataError, Interrupted, StoreError
from soar.learning.trainers import process
from soar.learning.trainers.process import Job, take_part
from soar.learning.trainers.settings import FinetuneSettings


@pytest.fixture
def job(tmp_path):
    settings = FinetuneSettings(rank=4)
    return Job(tmp_path / "rows", tmp_path / "base", tmp_path / "out", 3, settings, micro=2, data={"seed": 3})


@pytest.fixture
def part(job, monkeypatch):
    """Take part in the job with a function as the training; return the exit code and what is written of the end."""
    watched = threading.Event()
    monkeypatch.setattr(process, "_exit_when_orphaned", watched.set)
    monkeypatch.setattr(sys, "argv", ["module", str(job.write())])
    monkeypatch.delenv("RANK", raising=False)

    def part(train, rank=0):
        watched.clear()
        code = take_part(train, lambda error: isinstance(error, MemoryError))
        assert watched.wait(60), "nothing ends it with its parent"
        return code, json.loads((job.work / f"end-{rank}.json").read_text())

    return part


def raising(error):
    def train(job, on_log):
        raise error

    return train


def test_a_job_is_a_file_in_its_work_folder_and_is_read_as_it_was(job, tmp_path):
    path = job.write()
    assert path == tmp_path / "out.work" / "job.json"
    values = json.loads(path.read_text())
    assert values == {
        "rows": str(tmp_path / "rows"),
        "base": str(tmp_path / "base"),
        "out": str(tmp_path / "out"),
        "seed": 3,
        "settings": FinetuneSettings(rank=4).model_dump(mode="json"),
        "micro": 2,
        "data": {"seed": 3},
        "resume": None,
    }
    read = Job.read(path)
    assert read == job
    assert all(isinstance(each, Path) for each in (read.rows, read.base, read.out))


def test_the_training_gets_the_job_and_its_entries_are_lines_of_the_log(part, job):
    def train(given, on_log):
        assert given == job
        on_log({"step": 1})
        on_log({"loss": 2.5})

    assert part(train) == (0, {"error": None, "message": ""})
    assert (job.work / "log.jsonl").read_text() == '{"step": 1}\n{"loss": 2.5}\n'


def test_a_stop_is_heard_after_the_entry_is_written(part, job):
    (job.work / "stop").touch()
    said = {"error": "Interrupted", "message": "stopped during finetuning"}
    assert part(lambda job, on_log: on_log({"step": 1})) == (1, said)
    assert (job.work / "log.jsonl").read_text() == '{"step": 1}\n'


def test_an_error_of_ours_and_a_lack_of_memory_are_said_by_their_names(part):
    assert part(raising(DataError("bad rows"))) == (1, {"error": "DataError", "message": "bad rows"})
    assert part(raising(Interrupted("enough"))) == (1, {"error": "Interrupted", "message": "enough"})
    assert part(raising(MemoryError("all gone"))) == (1, {"error": "OutOfMemory", "message": "all gone"})


def test_any_other_error_is_a_crash_and_says_nothing(part, job):
    with pytest.raises(ZeroDivisionError):
        part(raising(ZeroDivisionError()))
    assert not list(job.work.glob("end-*"))


def test_each_process_says_its_end_under_its_rank(part, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert part(lambda job, on_log: None, rank=1)[0] == 0


def test_a_disk_that_refuses_the_last_word_does_not_hide_the_exit_code(part, job, monkeypatch):
    def refuse(path, text):
        raise StoreError("full")

    (job.work / "end-0.json").write_text("0")
    monkeypatch.setattr(process, "write_atomically", refuse)
    assert part(raising(DataError("why"))) == (1, 0)


def test_the_process_ends_when_its_input_is_closed_or_cannot_be_read(monkeypatch):
    exits, left = [], [b"a", b"b", b""]

    def read(file, count):
        assert (file, count) == (0, 1)
        return left.pop(0)

    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(os, "read", read)
    process._exit_when_orphaned()
    assert (exits, left) == ([1], [])

    def unreadable(file, count):
        raise OSError

    monkeypatch.setattr(os, "read", unreadable)
    process._exit_when_orphaned()
    assert exits == [1, 1]


def test_what_watches_the_parent_does_not_hold_the_process_up(job, monkeypatch):
    begun = []

    class Thread:
        def __init__(self, **given):
            begun.append(given)

        def start(self):
            begun.append("started")

    monkeypatch.setattr(threading, "Thread", Thread)
    monkeypatch.setattr(sys, "argv", ["module", str(job.write())])
    assert take_part(lambda job, on_log: None, lambda error: False) == 0
    assert begun == [{"target": process._exit_when_orphaned, "daemon": True}, "started"]
