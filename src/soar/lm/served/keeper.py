"""Supervises one engine for a run: starts it, and ends it and all its processes when the run is gone, for any reason.

A script that needs only the standard library, so that a process that waits for days stays small:
``keeper.py RECORD COMMAND…``. The run holds its standard input open; when that closes, or on SIGTERM, the engine is
ended. Its exit code is the engine's.
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
"""Seconds that an engine has to end after SIGTERM before it is killed."""
ORPHANS_GRACE = 3.0
"""Seconds after which orphans that cannot be killed are left alone."""
POLL = 0.1
DEATH_SIGNAL, SUBREAPER = 1, 36
"""PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of Linux's prctl(2)."""


def main(record: Path, command: list[str]) -> int:
    """Run a command until it ends, the run is gone or a signal arrives; return its exit code."""
    signals: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda number, _: signals.append(number))
    # Processes that the engine orphans become children of this one, which can then end them whatever their group.
    prctl(SUBREAPER, 1)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        # Should this process be killed, Linux kills the engine.
        preexec_fn=lambda: prctl(DEATH_SIGNAL, signal.SIGKILL),
    )
    write(record, child.pid, command)
    try:
        while child.poll() is None and not signals and not run_is_gone():
            pass
        return end(child)
    finally:
        record.unlink(missing_ok=True)


def run_is_gone() -> bool:
    """Return whether standard input has closed; wait `POLL` seconds for it."""
    ready, _, _ = select.select([0], [], [], POLL)
    return bool(ready) and not os.read(0, 4096)


def end(child: "subprocess.Popen[bytes]") -> int:
    """End an engine's process group and all else that it left; return its exit code, as a shell gives it."""
    send(child.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and (child.poll() is None or alive(child.pid)):
        reap(child)
        time.sleep(POLL / 2)
    send(child.pid, signal.SIGKILL)
    code = child.wait()
    end_orphans()
    return code if code >= 0 else 128 - code


def end_orphans() -> None:
    """Kill what the engine left, generation by generation: the children of each become children of this process."""
    until = time.monotonic() + ORPHANS_GRACE
    while (left := children()) and time.monotonic() < until:
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(POLL / 10)


def reap(child: "subprocess.Popen[bytes]") -> None:
    """Reap orphans of the engine that have ended."""
    # Only after the engine has ended, or waitpid would take its exit code away from `child`.
    if child.poll() is not None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def send(group: int, what: int) -> None:
    """Send a signal to a process group, if it still exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def alive(group: int) -> bool:
    """Return whether a process group has any process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # what macOS says of processes that have ended
        return False
    return True


def children() -> list[int]:
    """Return the engine's orphans that are left, if the system lists them."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


def write(record: Path, pid: int, command: list[str]) -> None:
    """Record what runs, whole or not at all: a later run ends only what is on record."""
    processes = [{"pid": each, "started": started(each)} for each in (os.getpid(), pid)]
    aside = record.with_name(record.name + ".tmp")
    aside.write_text(json.dumps({"processes": processes, "command": command}), "utf-8")
    aside.replace(record)


def started(pid: int) -> str | None:
    """Return when a process started, in a form that no later process of this number shares: on Linux the boot's id and
    the clock ticks since boot, elsewhere what `ps` prints. None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None if sys.platform == "linux" else started_by_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything, parentheses too
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def started_by_ps(pid: int) -> str | None:
    """Return a process's start time from `ps`, which every POSIX system has."""
    try:
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, on Linux alone."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
