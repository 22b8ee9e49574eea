"""An engine's processes as a run sees them: started, watched, ended; and those of an earlier run found and ended.

Knows processes, files and ports; knows nothing of what an engine serves. `keeper` stands between the run and the
engine, so that the engine ends with the run, however the run ends.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from soar.errors import StoreError
from soar.lm.served import keeper

RECORD, LOG = ".pid", ".log"
PATIENCE = keeper.GRACE + 5
"""Seconds after which a keeper that was asked to end is killed with its engine."""
LOG_LINES = 20
"""How many of a log's last lines an error shows."""


class EngineProcess:
    """A running engine. Its output goes to a log; its processes are on record while it runs."""

    def __init__(self, name: str, folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a command; its log and record go to `folder`. `StoreError` if that cannot be written."""
        self.log = folder / f"{name}{LOG}"
        self._record = folder / f"{name}{RECORD}"
        script = [sys.executable, "-I", keeper.__file__, str(self._record)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}  {' '.join(command)}\n".encode())
                log.flush()
                # A session of its own, or ^C would reach it before the run could end it properly.
                self._keeper = subprocess.Popen(
                    [*script, *command],
                    stdin=subprocess.PIPE,  # it closes with the run, even by kill -9
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
        except OSError as error:
            raise StoreError(f"cannot start an engine in {folder}: {error}") from None

    def ended(self) -> int | None:
        """Return the exit code of an engine that has ended, None while it runs."""
        return self._keeper.poll()

    def end(self) -> None:
        """Ask the engine to end, kill it if it does not; return when all of it is gone."""
        assert self._keeper.stdin is not None
        with suppress(OSError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
            _end_recorded(self._record)

    def last_lines(self) -> str:
        """Return the end of the engine's log, from this start or an earlier one."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 20_000))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_LINES:])


def end_left_over(folder: Path) -> list[str]:
    """End the engines that an earlier run left in its folder, and return their commands.

    Only what is on record there, and only if number and start time match the record: another process may have the
    number by now. If the system does not tell when a process started, none is ended.
    """
    found = [_end_recorded(record) for record in sorted(folder.glob(f"*{RECORD}"))]
    return [command for command in found if command is not None]


def _end_recorded(record: Path) -> str | None:
    """End what a record names, and remove the record; return the command, None if nothing of it runs."""
    try:
        noted = json.loads(record.read_text(encoding="utf-8"))
        processes = [(int(each["pid"]), each["started"]) for each in noted["processes"]]
        command = " ".join(map(str, noted["command"]))
    except (OSError, ValueError, KeyError, TypeError):  # gone by now, or damaged: it names no process
        processes, command = [], ""
    running = any(_still_runs(*process) for process in processes)
    if running:
        _end(processes)
    record.unlink(missing_ok=True)
    return command if running else None


def _end(processes: Sequence[tuple[int, str | None]]) -> None:
    """End processes, each with its group: SIGTERM first, then SIGKILL."""
    for what, seconds in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
        for process in processes:
            if _still_runs(*process):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process[0], what)
        until = time.monotonic() + seconds
        while any(_still_runs(*process) for process in processes):
            if time.monotonic() > until:
                break
            time.sleep(0.05)


def _still_runs(pid: int, started: str | None) -> bool:
    """Return whether a number still names the process that started then."""
    return started is not None and keeper.started(pid) == started


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
