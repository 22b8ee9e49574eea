"""One finetuning in processes of its own: started, listened to, told to stop, and ended with whoever began it.

Knows processes, files and how a training says what it does; does not know how it trains. What the processes say goes
through files in the work folder: all of their memory comes back when they end, on a GPU too, and several of them
(torchrun) say it in the same way as one.
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
from soar.errors import EndpointError, Interrupted, SoarError, StoreError
from soar.files import write_atomically
from soar.learning.trainers.settings import FinetuneSettings
from soar.protocols import OnLog

LOG, OUTPUT, STOP, JOB = "log.jsonl", "output.txt", "stop", "job.json"
POLL = 0.1
"""Seconds between two looks at what the processes have said."""

LONGEST = 400
"""How many characters of a crash's reason are told."""

_EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b: .")
"""How the last line of a traceback begins; the first such line that several processes print is the reason."""


class OutOfMemory(Exception):
    """A training did not fit the memory of its device."""


@dataclass(frozen=True, slots=True)
class Job:
    """One finetuning. `micro` examples go through the model at once; `resume` is the checkpoint to go on from, and
    `data` what a checkpoint must have been made from."""

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
        """The folder of checkpoints and of what is said meanwhile."""
        return self.out.with_name(self.out.name + ".work")

    def write(self) -> Path:
        """Write the job for its processes and return the file."""
        path = self.work / JOB
        # A configuration's section also names the trainer.
        settings = self.settings.model_dump(mode="json", include=set(FinetuneSettings.model_fields))
        values = {**asdict(self), "settings": settings}
        write_atomically(path, json.dumps(values, default=str))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a job that `write` has written."""
        values = json.loads(path.read_text(encoding="utf-8"))
        folders = {name: Path(values[name]) for name in ("rows", "base", "out")}
        return cls(**{**values, **folders, "settings": FinetuneSettings(**values["settings"])})


def run(job: Job, on_log: OnLog, module: str, python: str) -> None:
    """Have processes of an interpreter do a job by a module's `main`, and pass on what they say, until they are done.

    If `on_log` raises `Interrupted` they are told to stop, and it is raised once they have. Raises `OutOfMemory`, the
    error they ended with, or `EndpointError` with the reason of a crash.
    """
    work = job.work
    job.write()
    for left in (work / STOP, *work.glob("end-*.json")):
        left.unlink(missing_ok=True)
    said = _Said(work / LOG)
    stop: Interrupted | None = None
    with (work / OUTPUT).open("wb") as output:
        # A session of its own, or a ^C would reach them before they are told to stop.
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
                running = child.poll() is None  # before what it has said is read: nothing is missed
                for entry in said.new():
                    try:
                        on_log(entry)
                    except Interrupted as wish:
                        stop = stop or wish
                        (work / STOP).touch()
                if running:
                    time.sleep(POLL)
        finally:
            _end(child)
    _conclude(work, child.returncode, stop)


def command(job: Job, module: str, python: str) -> list[str]:
    """Return the command line of a job's processes."""
    run_it = ["-m", module, str(job.work / JOB)]
    if job.settings.processes == 1:
        return [python, *run_it]
    launch = [python, "-m", "torch.distributed.run", "--standalone"]
    return [*launch, "--nproc_per_node", str(job.settings.processes), *run_it]


def _environment(job: Job, python: str) -> dict[str, str]:
    """Return the processes' environment: the threads of this machine shared among them, unless somebody has said; and
    where another environment's interpreter finds this package."""
    threads = max(1, (os.cpu_count() or 1) // job.settings.processes)
    # Threads that wait sleep. By default they spin, and where anything else runs they then take three quarters of the
    # CPU time: 49 ms per example against 14 on two busy cores.
    patient = {"OMP_WAIT_POLICY": "PASSIVE"}
    found = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **patient, **os.environ}
    return found if python == sys.executable else {**found, "PYTHONPATH": str(_this_package_alone(job.work))}


def _this_package_alone(work: Path) -> Path:
    """Return a folder that holds this package and none of what is installed beside it."""
    folder = work / "package"
    folder.mkdir(exist_ok=True)
    (folder / "soar").unlink(missing_ok=True)
    (folder / "soar").symlink_to(Path(errors.__file__).parent, target_is_directory=True)
    return folder


class _Said:
    """The whole lines of a growing file, from where it ended when this was made."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path, self._place = path, path.stat().st_size

    def new(self) -> Iterator[dict[str, float]]:
        with self._path.open("rb") as file:
            file.seek(self._place)
            whole, end, _ = file.read().rpartition(b"\n")
        self._place += len(whole) + len(end)
        yield from map(json.loads, whole.splitlines())


def _end(child: subprocess.Popen[bytes]) -> None:
    """Make sure that processes are gone; those that still run end themselves when nobody listens any more."""
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _conclude(work: Path, code: int, stop: Interrupted | None) -> None:
    """Raise what processes ended with."""
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
        raise OutOfMemory  # what the kernel kills without a word has taken too much memory
    said = (work / OUTPUT).read_text(encoding="utf-8", errors="replace")
    errors_said = [line for line in said.splitlines() if _EXCEPTION.match(line)]
    reason = errors_said[0][:LONGEST] if errors_said else f"exit code {code}"
    raise EndpointError(f"finetuning failed: {reason} (all of what it said is in {work / OUTPUT})")


def take_part(train: Callable[[Job, OnLog], None], out_of_memory: Callable[[BaseException], bool]) -> int:
    """Do, as one of a job's processes, the job whose file the command line names; return the exit code."""
    job, rank = Job.read(Path(sys.argv[1])), int(os.environ.get("RANK", "0"))
    threading.Thread(target=_leave_when_alone, daemon=True).start()

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
    with suppress(StoreError):  # a full disk has been said by then
        write_atomically(job.work / f"end-{rank}.json", json.dumps(end))
    return 0 if end["error"] is None else 1


def _leave_when_alone() -> None:
    """End this process when the one that began it is gone: the input that it holds open then ends."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)
