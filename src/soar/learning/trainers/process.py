"""Runs one finetuning in processes of its own: starts them, reads their log, stops them, and ends them with the parent.

Knows processes, files and how a training reports; does not know how it trains. Separate processes free all their
memory when they end, on a GPU too. They report through files in the work folder, so that several processes (torchrun)
report just as one does.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from soar import errors
from soar.cores import available_cores
from soar.errors import EndpointError, Interrupted, SoarError, StoreError
from soar.files import write_atomically
from soar.learning.trainers.settings import FinetuneSettings
from soar.protocols import OnLog

LOG, OUTPUT, STOP, JOB = "log.jsonl", "output.txt", "stop", "job.json"
POLL = 0.1
"""Seconds between two reads of the processes' log."""

REASON_LENGTH = 400
"""The most characters of a crash's reason that the error quotes."""

_EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b: .")
"""Matches the last line of a traceback; of several such lines in the output, the first is the reason."""


class OutOfMemory(Exception):
    """A training did not fit in its device's memory."""


@dataclass(frozen=True, slots=True)
class Job:
    """One finetuning. `micro` examples go through the model at once; `resume` is the checkpoint to resume from; `data`
    identifies the data and settings that a checkpoint must come from."""

    rows: Path
    base: Path
    out: Path
    seed: int
    settings: FinetuneSettings
    micro: int
    data: Mapping[str, object]
    resume: str | None = None

    @property
    def work(self) -> Path:
        """The folder of checkpoints, logs and output."""
        return self.out.with_name(self.out.name + ".work")

    def write(self) -> Path:
        """Write the job for its processes and return the path of the file."""
        path = self.work / JOB
        # The section of a configuration has keys beyond these: the trainer's name and its own settings.
        settings = self.settings.model_dump(mode="json", include=set(FinetuneSettings.model_fields))
        values = {**asdict(self), "settings": settings}
        write_atomically(path, json.dumps(values, default=str))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a job that `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        folders = {name: Path(values[name]) for name in ("rows", "base", "out")}
        return cls(**{**values, **folders, "settings": FinetuneSettings(**values["settings"])})


def run(job: Job, on_log: OnLog, module: str, python: str) -> None:
    """Run a job's processes (`module` under the interpreter `python`) and pass on their log until they end.

    If `on_log` raises `Interrupted`, tells them to stop and re-raises it once they have. Raises `OutOfMemory`, the
    error that they ended with, or `EndpointError` with the reason of a crash.
    """
    work = job.work
    job.write()
    for left in (work / STOP, *work.glob("end-*.json")):
        left.unlink(missing_ok=True)
    said = _LogTail(work / LOG)
    stop: Interrupted | None = None
    with (work / OUTPUT).open("wb") as output:
        # In a session of their own: otherwise Ctrl-C would kill them before they are told to stop.
        child = subprocess.Popen(
            command(job, module, python),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(job, python),
        )
        try:
            running = True
            while running:
                running = child.poll() is None  # checked before the log is read, so that no entry is missed
                for entry in said.new():
                    try:
                        on_log(entry)
                    except Interrupted as request:
                        stop = stop or request
                        (work / STOP).touch()
                if running:
                    time.sleep(POLL)
        finally:
            _terminate(child)
    _raise_outcome(work, child.returncode, stop)


def command(job: Job, module: str, python: str) -> list[str]:
    """Return the command line of a job's processes."""
    run_it = ["-m", module, str(job.work / JOB)]
    if job.settings.processes == 1:
        return [python, *run_it]
    launch = [python, "-m", "torch.distributed.run", "--standalone"]
    return [*launch, "--nproc_per_node", str(job.settings.processes), *run_it]


def _environment(job: Job, python: str) -> dict[str, str]:
    """Return the processes' environment: this machine's threads divided among them, unless already set; a single
    process sees one GPU; and the path where the interpreter of another environment finds this package."""
    threads = max(1, available_cores() // job.settings.processes)
    # Waiting threads sleep. By default they spin, which takes three quarters of the CPU time if anything else runs:
    # 49 ms per example against 14 on two busy cores.
    patient = {"OMP_WAIT_POLICY": "PASSIVE"}
    found = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **patient, **os.environ}
    if job.settings.processes == 1:  # the trainer would take all GPUs that it sees, in a way that TRL refuses
        found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    return found if python == sys.executable else {**found, "PYTHONPATH": str(_isolated_package(job.work))}


def _isolated_package(work: Path) -> Path:
    """Return a folder that holds this package and nothing else installed here."""
    folder = work / "package"
    folder.mkdir(exist_ok=True)
    (folder / "soar").unlink(missing_ok=True)
    (folder / "soar").symlink_to(Path(errors.__file__).parent, target_is_directory=True)
    return folder


class _LogTail:
    """Reads the whole lines appended to a file since this was created."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path, self._place = path, path.stat().st_size

    def new(self) -> Iterator[dict[str, float]]:
        with self._path.open("rb") as file:
            file.seek(self._place)
            whole, end, _ = file.read().rpartition(b"\n")
        self._place += len(whole) + len(end)
        yield from map(json.loads, whole.splitlines())


def _terminate(child: subprocess.Popen[bytes]) -> None:
    """Make sure that the processes are gone: closing their input makes those still running exit by themselves."""
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _raise_outcome(work: Path, code: int, stop: Interrupted | None) -> None:
    """Raise the error that the processes ended with, if any."""
    ends = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("end-*.json"))]
    if any(end["error"] == OutOfMemory.__name__ for end in ends):
        raise OutOfMemory
    for end in ends:
        kind = getattr(errors, end["error"] or "", None)
        if kind is Interrupted and stop is not None:
            raise stop
        if kind is not None:
            raise kind(end["message"])
    if code == 0:
        return
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        raise OutOfMemory  # killed without an end file: most likely by the kernel's out-of-memory killer
    said = (work / OUTPUT).read_text(encoding="utf-8", errors="replace")
    errors_said = [line for line in said.splitlines() if _EXCEPTION.match(line)]
    reason = errors_said[0][:REASON_LENGTH] if errors_said else f"exit code {code}"
    raise EndpointError(f"finetuning failed: {reason} (its whole output is in {work / OUTPUT})")


def take_part(train: Callable[[Job, OnLog], None], out_of_memory: Callable[[BaseException], bool]) -> int:
    """Do one process's part of the job whose file the command line names; return the exit code."""
    job, rank = Job.read(Path(sys.argv[1])), int(os.environ.get("RANK", "0"))
    threading.Thread(target=_exit_when_orphaned, daemon=True).start()

    def on_log(entry: Mapping[str, float]) -> None:
        with (job.work / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(dict(entry)) + "\n")
        if (job.work / STOP).exists():
            raise Interrupted("stopped during finetuning")

    end: dict[str, Any] = {"error": None, "message": ""}
    try:
        train(job, on_log)
    except SoarError as error:
        end = {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        if not out_of_memory(error):
            raise
        end = {"error": OutOfMemory.__name__, "message": str(error)}
    with suppress(StoreError):  # a full disk was reported by then
        write_atomically(job.work / f"end-{rank}.json", json.dumps(end))
    return 0 if end["error"] is None else 1


def _exit_when_orphaned() -> None:
    """Exit when the parent process is gone: its end of standard input is then closed."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)
