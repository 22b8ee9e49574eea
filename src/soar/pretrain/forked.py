"""Runs the grammar's own programs in a forked process, quickly and without confinement.

Only for programs that this package writes itself: nothing here stops a hostile one. A program that kills its process
is a `Failure`, and the next one finds a fresh process.
"""

import os
import pickle
import resource
import signal
import struct
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np

from soar.types import Execution, Failure, Output, Value

MEMORY = 192 << 20
"""How many bytes a program may add to the process."""


class Late(BaseException):
    """A program took too long."""


class ForkedRunner:
    """A `Sandbox` for trusted programs: one forked process that runs one program at a time."""

    def __init__(self, seconds: float = 0.3) -> None:
        self._seconds = seconds
        self._pid = 0
        self._read = self._write = -1

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute ``transform`` on every input; one failure stands for all inputs."""
        if alone or not self._pid:
            await self.close()
            self._fork()
        try:
            _send(self._write, (code, inputs))
            return Execution(_receive(self._read))
        except (EOFError, BrokenPipeError):
            await self.close()
            return Execution((Failure("Crash", "the process died"),) * len(inputs))

    async def close(self) -> None:
        """End the process."""
        if self._pid:
            os.close(self._write)
            os.close(self._read)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _fork(self) -> None:
        jobs, answers = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(jobs[1])
                os.close(answers[0])
                _serve(jobs[0], answers[1], self._seconds)
            finally:
                os._exit(0)
        os.close(jobs[0])
        os.close(answers[1])
        self._read, self._write = answers[0], jobs[1]


def _serve(read: int, write: int, seconds: float) -> None:
    """Run what comes until nothing comes any more; under a memory limit, so that a large array is an error."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, _late)
    while True:
        try:
            code, inputs = _receive(read)
        except EOFError:
            return
        _send(write, _outputs(code, inputs, seconds))


def _outputs(code: str, inputs: Sequence[Value], seconds: float) -> tuple[Output, ...]:
    scope: dict[str, Any] = {}
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        exec(compile(code, "program", "exec"), scope)
        return tuple(_grid(scope["transform"]([list(row) for row in cast(Any, grid)])) for grid in inputs)
    except Late:
        return (Failure("Timeout", "too slow"),) * len(inputs)
    except Exception as error:  # noqa: BLE001  the jailed child: whatever a program raises is its fault
        return (Failure(type(error).__name__, str(error)[:100]),) * len(inputs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise Late


def _grid(result: object) -> Value:
    if not isinstance(result, np.ndarray) or result.ndim != 2 or result.dtype.kind not in "iu":
        raise ValueError("no grid")
    if not (1 <= result.shape[0] <= 30 and 1 <= result.shape[1] <= 30) or result.min() < 0 or result.max() > 9:
        raise ValueError("no grid")
    return tuple(map(tuple, result.tolist()))


def _send(write: int, value: object) -> None:
    data = pickle.dumps(value)
    data = struct.pack("<I", len(data)) + data
    while data:
        data = data[os.write(write, data) :]


def _receive(read: int) -> Any:
    (size,) = struct.unpack("<I", _bytes(read, 4))
    return pickle.loads(_bytes(read, size))


def _bytes(read: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(read, size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
