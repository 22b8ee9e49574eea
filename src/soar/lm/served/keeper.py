"""Keeps one engine for a run: starts it, ends it and all it began when the run is gone, however it went.

A script with Python's own library alone, so that a process that waits for days stays small:
``keeper.py RECORD COMMAND…``. Whoever holds its standard input open is the run; when that ends, or on SIGTERM, the
engine ends too. Its exit code is the engine's.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE = 10.0
"""Seconds that an engine has to end by itself before it is killed."""
POLL = 0.1
DEATH_SIGNAL, SUBREAPER = 1, 36
"""What Linux calls them in prctl(2)."""


def main(record: Path, command: list[str]) -> int:
    """Run a command until it ends or nobody wants it any more; return its exit code."""
    asked: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda number, _: asked.append(number))
    # What the engine leaves behind when it dies becomes ours to end, wherever it has put itself.
    set_in_linux(SUBREAPER, 1)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: set_in_linux(DEATH_SIGNAL, signal.SIGKILL),
    )
    write(record, child.pid, command)
    try:
        while child.poll() is None and not asked and not run_is_gone():
            pass
        return end(child)
    finally:
        record.unlink(missing_ok=True)


def run_is_gone() -> bool:
    """Return whether standard input has ended; wait a moment for it."""
    ready, _, _ = select.select([0], [], [], POLL)
    return bool(ready) and not os.read(0, 4096)


def end(child: "subprocess.Popen[bytes]") -> int:
    """End an engine's process group, and whatever else it has left; return its exit code."""
    send(child.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and (child.poll() is None or alive(child.pid)):
        reap(child)
        time.sleep(POLL / 2)
    send(child.pid, signal.SIGKILL)
    code = child.wait()
    for pid in children():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def reap(child: "subprocess.Popen[bytes]") -> None:
    """Take note of processes that ended and were left to us."""
    if child.poll() is not None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def send(group: int, what: int) -> None:
    """Send a signal to a process group, if there is any of it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def alive(group: int) -> bool:
    """Return whether a process group has any process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of processes that have ended
        return False
    return True


def children() -> list[int]:
    """Return the processes that were left to us, where the system tells."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


def write(record: Path, pid: int, command: list[str]) -> None:
    """Write down what runs, whole or not at all: by it a later run knows what it may end."""
    processes = [{"pid": each, "started": started(each)} for each in (os.getpid(), pid)]
    aside = record.with_name(record.name + ".tmp")
    aside.write_text(json.dumps({"processes": processes, "command": command}), "utf-8")
    aside.replace(record)


def started(pid: int) -> str | None:
    """Return when a process was started, in the system's own words that no later process of this number shares: on
    Linux the boot's id and the clock ticks since; elsewhere what `ps` says. None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None if sys.platform == "linux" else said_by_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def said_by_ps(pid: int) -> str | None:
    """Return a process's time of start by `ps`, which every POSIX system has."""
    try:
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def set_in_linux(option: int, value: int) -> None:
    """Set an attribute of this process where there is prctl(2)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
