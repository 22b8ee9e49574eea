"""A job's processes, with a stand-in for the training: how they are started, followed, stopped and judged."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import soar
from soar.errors import BudgetReached, DataError, EndpointError, Interrupted
from soar.learning.trainers import process
from soar.learning.trainers.process import Job, OutOfMemory, command, run
from soar.learning.trainers.settings import FinetuneSettings

WRITES = """
import json, os, sys, time
from pathlib import Path
job = Path(sys.argv[1])
work = job.parent
def say(entry):
    with (work / "log.jsonl").open("a") as log:
        log.write(json.dumps(entry) + "\\n")
def end(error, message=""):
    (work / "end-0.json").write_text(json.dumps({"error": error, "message": message}))
"""
"""How a stand-in begins: what it needs to report as a training does."""


@pytest.fixture
def job(tmp_path):
    work = tmp_path / "out.work"
    work.mkdir()
    settings = FinetuneSettings()
    return Job(tmp_path / "rows", tmp_path / "base", tmp_path / "out", 3, settings, micro=2, data={"seed": 3})


@pytest.fixture
def runs(job, tmp_path, monkeypatch):
    """Run a job with a text as its module, and return what it logged."""
    (tmp_path / "lib").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))

    def runs(text, on_log=None):
        log = []
        (tmp_path / "lib" / "stand_in.py").write_text(WRITES + text)
        run(job, on_log or log.append, "stand_in", sys.executable)
        return log

    return runs


def raised(kind, do, *given):
    with pytest.raises(kind) as error:
        do(*given)
    assert type(error.value) is kind
    return str(error.value)


def test_all_that_is_logged_arrives_and_nothing_of_a_session_before(runs, job):
    (job.work / "log.jsonl").write_text('{"old": 1}\n')
    (job.work / "stop").touch()
    (job.work / "end-0.json").write_text('{"error": "DataError", "message": "old"}')
    text = """
assert not (work / "stop").exists() and not (work / "end-0.json").exists()
assert json.loads(job.read_text())["micro"] == 2
say({"a": 1})
say({"b": 2.5})
print("out"); print("err", file=sys.stderr)
print(os.getsid(0) == os.getpid())
"""
    assert runs(text) == [{"a": 1}, {"b": 2.5}]
    assert sorted((job.work / "output.txt").read_text().split()) == ["True", "err", "out"]


def test_told_to_stop_it_ends_by_itself_and_the_first_request_is_raised(runs, job):
    requests = [BudgetReached("first"), Interrupted("second")]

    def on_log(entry):
        raise requests[entry["n"]]

    text = """
say({"n": 0}); say({"n": 1})
while not (work / "stop").exists():
    time.sleep(0.01)
end("Interrupted", "stopped during finetuning")
sys.exit(1)
"""
    with pytest.raises(BudgetReached, match="first"):
        runs(text, on_log)


def test_an_error_of_whoever_follows_leaves_no_process(runs, job):
    def on_log(entry):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs('say({"a": 1})\nsys.stdin.read()\n(work / "gone").touch()\n', on_log)
    assert (job.work / "gone").exists()


def test_an_error_of_ours_is_raised_here_as_it_was_there(runs):
    assert raised(DataError, runs, 'end("DataError", "too long")\nsys.exit(1)') == "too long"
    raised(OutOfMemory, runs, 'end("OutOfMemory")\nsys.exit(1)')
    assert raised(Interrupted, runs, 'end("Interrupted", "by itself")\nsys.exit(1)') == "by itself"


def test_a_crash_is_said_with_the_first_exception_of_its_output(runs, job):
    text = 'print("Loading: 3 Errors"); print("torch.SomeError: why"); print("ValueError: later"); sys.exit(3)'
    where = f"(its whole output is in {job.work / 'output.txt'})"
    assert raised(EndpointError, runs, text) == f"finetuning failed: torch.SomeError: why {where}"
    assert raised(EndpointError, runs, "sys.exit(3)") == f"finetuning failed: exit code 3 {where}"


def ended(job, code, output=b"", stop=None, **ends):
    (job.work / "output.txt").write_bytes(output)
    for path in job.work.glob("end-*.json"):
        path.unlink()
    for rank, error in ends.items():
        values = {"error": error, "message": rank}
        (job.work / f"end-{rank[1:]}.json").write_text(json.dumps(values))
    process._raise_outcome(job.work, code, stop)


def test_of_several_processes_memory_comes_first_and_then_the_first_that_has_an_error(job):
    raised(OutOfMemory, lambda: ended(job, 1, r0="DataError", r1="OutOfMemory"))
    assert raised(DataError, lambda: ended(job, 1, r0=None, r1="DataError", r2="StoreError")) == "r1"
    assert raised(DataError, lambda: ended(job, 1, stop=Interrupted("s"), r0="DataError")) == "r0"
    assert raised(Interrupted, lambda: ended(job, 1, stop=Interrupted("s"), r0="Interrupted")) == "s"


def test_all_is_well_where_no_process_says_otherwise_and_the_code_is_nought(job):
    ended(job, 0, b"ValueError: handled", r0=None)
    ended(job, 0, stop=Interrupted("too late"), r0=None)


@pytest.mark.parametrize("code", [-signal.SIGKILL, 128 + signal.SIGKILL])
def test_killed_without_a_word_it_ran_out_of_memory(job, code):
    raised(OutOfMemory, lambda: ended(job, code, b"ValueError: before"))


def test_a_reason_is_cut_where_it_is_long_and_bytes_that_are_no_text_do_no_harm(job):
    said = raised(EndpointError, lambda: ended(job, 1, b"\xff\nKeyError: " + b"x" * 500))
    assert said.startswith("finetuning failed: KeyError: " + "x" * 390 + " (its")


@pytest.mark.parametrize(
    ("line", "found"),
    [("ValueError: a", True), ("a.b.MyException: a", True), ("Errors: a", False), ("ValueError:", False)],
)
def test_a_reason_is_the_last_line_of_a_traceback(line, found):
    assert bool(process._EXCEPTION.match(line)) == found


def test_one_process_is_started_plainly_and_several_by_torchrun(job):
    path = str(job.work / "job.json")
    assert command(job, "module", "python") == ["python", "-m", "module", path]
    several = replace(job, settings=FinetuneSettings(processes=3))
    launch = ["python", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "3"]
    assert command(several, "module", "python") == [*launch, "-m", "module", path]


def test_the_threads_are_divided_among_the_processes_and_wait_asleep(job, monkeypatch):
    monkeypatch.setattr(os, "environ", {"HERE": "1"})
    monkeypatch.setattr(process, "available_cores", lambda: 8)
    asleep = {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE", "HERE": "1"}
    assert process._environment(job, sys.executable) == {"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": "0", **asleep}
    for count, threads in ((3, "2"), (9, "1")):
        several = replace(job, settings=FinetuneSettings(processes=count))
        assert process._environment(several, sys.executable) == {"OMP_NUM_THREADS": threads, **asleep}
    own = {"OMP_NUM_THREADS": "5", "PYTHONUNBUFFERED": "", "OMP_WAIT_POLICY": "ACTIVE", "CUDA_VISIBLE_DEVICES": "2"}
    monkeypatch.setattr(os, "environ", own)
    assert process._environment(job, sys.executable) == own


@pytest.mark.parametrize(("given", "seen"), [(None, "0"), ("3,1", "3"), ("GPU-a1,GPU-b2", "GPU-a1"), ("", "")])
def test_one_process_sees_one_gpu_and_several_see_all(job, monkeypatch, given, seen):
    monkeypatch.setattr(os, "environ", {} if given is None else {"CUDA_VISIBLE_DEVICES": given})
    assert process._environment(job, sys.executable)["CUDA_VISIBLE_DEVICES"] == seen
    several = replace(job, settings=FinetuneSettings(processes=2))
    assert process._environment(several, sys.executable).get("CUDA_VISIBLE_DEVICES") == given


def test_another_interpreter_finds_this_package_and_nothing_else_installed_here(job):
    # A session after a kill finds the folder there.
    folder, again = (Path(process._environment(job, "/other/python")["PYTHONPATH"]) for _ in range(2))
    assert folder == again == job.work / "package"
    assert [each.name for each in folder.iterdir()] == ["soar"]
    assert (folder / "soar").resolve() == Path(soar.__file__).parent.resolve()


def test_of_a_growing_log_whole_lines_are_read_once(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"old": 1}\n')
    tail = process._LogTail(path)
    assert list(tail.new()) == []
    for piece, new in (('{"a": 1}\n{"b"', [{"a": 1}]), (': 2}\n{"c": 3}\n', [{"b": 2}, {"c": 3}]), ("", [])):
        with path.open("a") as log:
            log.write(piece)
        assert list(tail.new()) == new


class Deaf:
    """A child that ends only when it is killed."""

    pid = 4321

    def __init__(self):
        self.done, self.stdin = [], self

    def close(self):
        self.done.append("closed")
        raise BrokenPipeError

    def wait(self, timeout=None):
        self.done.append(("wait", timeout))
        if timeout:
            raise subprocess.TimeoutExpired("deaf", timeout)


def test_processes_that_do_not_end_when_their_input_closes_are_killed_with_all_of_their_own(monkeypatch):
    child, killed = Deaf(), []
    monkeypatch.setattr(os, "killpg", lambda *given: killed.append(given))
    process._terminate(child)  # type: ignore[arg-type]
    assert child.done == ["closed", ("wait", 20), ("wait", None)]
    assert killed == [(4321, signal.SIGKILL)]
