"""Watches one worker for its zygote, from fork to end: relays what it writes, ends it when it oversteps a limit.

Knows processes, pipes and clocks, not programs. Imported by the zygote, so standard library only.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TICK, MAX_TICK = 0.005, 0.1
"""Seconds between the zygote's looks at a worker, first and at most: short at first, then doubling, since each look
costs two processes a cold start; short again while the worker writes much."""

BUSY_BYTES = 1 << 15
LAST_WORDS = 0.02
"""Seconds that a worker gets to write its traceback before it is killed."""

STILL_SECONDS, STILL_LOOKS = 2.0, 10
"""How long, and at how many looks in a row, a worker must be found waiting or stopped before it is ended. No permitted
call waits, and the kernel reports a worker that merely gets no CPU time on a busy machine as ready to run."""

IDLE_SECONDS = 30.0
"""How long a worker may do nothing if the kernel does not say why."""

PIPE_BYTES = 1 << 18
MAX_TRACE, MAX_TRACED = 4096, 1 << 18
MAX_RELAYED = 64 << 20


class Watch:
    """One worker from its fork to its end."""

    def __init__(self, pid: int, results: int, traces: int, relay: Callable[[bytes], object]) -> None:
        self._pid, self._results, self._traces, self._relay = pid, results, traces, relay
        self._relayed = self._traced = 0
        self._trace = b""
        self._used = self._heard = 0.0
        self._moved, self._waits = time.monotonic(), 0

    def until_end(self, cpu: float, silent: float) -> dict[str, Any]:
        """Relay results until the worker ends, by itself or because it used more than `cpu` seconds, or `silent` ones
        without a word, stood still or wrote too much."""
        killed, tick = "", TICK
        while True:
            signal.sigtimedwait({signal.SIGCHLD}, tick)
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            drained = self._drain()
            tick = TICK if drained > BUSY_BYTES else min(2 * tick, MAX_TICK)
            if pid:
                break
            stall = self._stall(drained)
            if not killed:
                over = self._used > cpu or self._used - self._heard > silent
                much = self._relayed > MAX_RELAYED or self._traced > MAX_TRACED
                killed = "cpu" if over else "output" if much else stall
                if killed:
                    self._kill()
        code = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        if code == -signal.SIGKILL and not killed and seconds > cpu:
            # The kernel's limit, the backstop to ours: it sends SIGKILL to a process that ignores SIGXCPU.
            killed = "cpu"
        return {"code": code, "killed": killed, "trace": self._trace.decode("utf-8", "replace"), "cpu": seconds}

    def _stall(self, drained: int) -> str:
        """Note what the worker has done since the last look; return "wall" if it has waited too long, "stopped" if
        somebody stopped it."""
        now = _cpu_seconds(self._pid)
        if drained:
            self._heard = now
        state = "" if drained or now > self._used else _state(self._pid)
        waiting = state in ("S", "T", "t")
        self._waits = self._waits + 1 if waiting else 0
        if drained or now > self._used or (state and not waiting):
            self._used, self._moved = max(now, self._used), time.monotonic()
        still = time.monotonic() - self._moved
        if (self._waits >= STILL_LOOKS and still > STILL_SECONDS) or still > IDLE_SECONDS:
            return "wall" if state == "S" else "stopped"
        return ""

    def _kill(self) -> None:
        """Ask the worker for its traceback, then kill it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)
            time.sleep(LAST_WORDS)
            os.kill(self._pid, signal.SIGKILL)

    def _drain(self) -> int:
        """Read what is in the pipes without waiting; return the number of bytes."""
        before = self._relayed + self._traced
        while data := _read(self._results):
            self._relayed += len(data)
            if self._relayed <= MAX_RELAYED + PIPE_BYTES:
                self._relay(data)
            if self._relayed > MAX_RELAYED:
                break
        while data := _read(self._traces):
            self._traced += len(data)
            self._trace = (self._trace + data)[-MAX_TRACE:]
            if self._traced > MAX_TRACED:
                break
        return self._relayed + self._traced - before


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a child so far."""
    # The kernel's number for a process's CPU clock: the inverted pid, then 3 bits for the kind of clock.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _state(pid: int) -> str:
    """Return the kernel's letter for what a child is doing (R: running or ready to, S: waiting, T: stopped), "" if
    unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 1 << 16)
    except BlockingIOError:
        return b""
