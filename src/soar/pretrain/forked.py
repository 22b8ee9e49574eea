"""Runs the grammar's own programs in a forked process, quickly and without confinement.

Only for programs that this package writes itself: nothing here stops a hostile one. A program that kills its process
is a `Failure`, and the next one finds a fresh process.
"""

import asyncio
import os
import pickle
import resource
import signal
import struct
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias, cast

import numpy as np

from soar.types import Execution, Failure, Output, Value

MEMORY = 192 << 20
"""How many bytes a program may add to the process."""

MESSAGE = 128
"""How many programs are sent at once."""

Job: TypeAlias = tuple[str, Sequence[Value]]
"""A program and its inputs."""


class Late(BaseException):
    """A program took too long."""


class ForkedRunner:
    """A `Sandbox` for trusted programs: one forked process that runs, in turn, whatever waits at the same time."""

    def __init__(self, seconds: float = 0.3) -> None:
        """Prepare; `seconds` is the CPU time a program may take on all its inputs."""
        # Loaded before the fork: a time limit in the midst of an import would spoil every program that follows.
        import_module("scipy.ndimage")
        self._seconds = seconds
        self._pid = 0
        self._read = self._write = -1
        self._waiting: list[tuple[Job, asyncio.Future[Execution]]] = []

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute ``transform`` on every input; one failure stands for all inputs."""
        if alone:
            await self.close()
            return Execution(self._do([(code, inputs)])[0])
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Execution] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._drain)
        self._waiting.append(((code, inputs), future))
        return await future

    def _drain(self) -> None:
        """Run what waits: many programs to a message, because changing processes costs more than a program."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MESSAGE):
            part = waiting[start : start + MESSAGE]
            for (_, future), outputs in zip(part, self._do([job for job, _ in part]), strict=True):
                if not future.done():
                    future.set_result(Execution(outputs))

    def _do(self, jobs: list[Job]) -> list[tuple[Output, ...]]:
        """Return the outputs of some programs; one by one, if the process dies under them."""
        if not self._pid:
            self._fork()
        try:
            _send(self._write, jobs)
            return _receive(self._read)
        except (EOFError, BrokenPipeError):
            self._end()
            if len(jobs) == 1:
                return [(Failure("Crash", "the process died"),) * len(jobs[0][1])]
            return [self._do([job])[0] for job in jobs]

    async def close(self) -> None:
        """End the process."""
        self._end()

    def _end(self) -> None:
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
    signal.signal(signal.SIGPROF, _late)
    while True:
        try:
            jobs = _receive(read)
        except EOFError:
            return
        _send(write, [_outputs(code, inputs, seconds) for code, inputs in jobs])


def _outputs(code: str, inputs: Sequence[Value], seconds: float) -> tuple[Output, ...]:
    scope: dict[str, Any] = {}
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        exec(compile(code, "program", "exec"), scope)
        return tuple(_grid(scope["transform"]([list(row) for row in cast(Any, grid)])) for grid in inputs)
    except Late:
        return (Failure("Timeout", "too slow"),) * len(inputs)
    except Exception as error:  # noqa: BLE001  the jailed child: whatever a program raises is its fault
        return (Failure(type(error).__name__, str(error)[:100]),) * len(inputs)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


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
