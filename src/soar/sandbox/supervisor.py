"""The supervisor: takes programs from many tasks of one event loop, batches them, and has confined workers run them.

Knows zygotes, batches and verdicts; believes nothing that a worker writes beyond its form. Expected outputs are unknown
here.
"""

import asyncio
import json
import os
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from soar.errors import SandboxError
from soar.types import Execution, Failure, Output, Value, canonical_json

ZYGOTE = Path(__file__).with_name("zygote.py")
BATCH = 32
ATTEMPTS = 5
MAX_ANSWER = 1 << 20
GRIDS = {str(cell): cell for cell in range(10)}


@dataclass
class Job:
    """One program to run on some inputs (JSON texts). `attempts` counts the times a worker was lost under it."""

    code: str
    inputs: list[str]
    alone: bool
    answer: "asyncio.Future[Execution]"
    attempts: int = 0


class ConfinedSandbox:
    """Runs programs in confined processes, one zygote per worker. Opened by `soar.sandbox.open_sandbox`."""

    def __init__(
        self, *, workers: int, cpu_seconds: float, memory_mb: int, level: str, results: Literal["grid", "json"]
    ) -> None:
        self.level = level
        self._settings = {"cpu_seconds": cpu_seconds, "memory_mb": memory_mb, "hard_seconds": 0}
        self._results = results
        self._workers = workers
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._zygotes: set[asyncio.subprocess.Process] = set()
        self.hello: dict[str, Any] = {}

    async def __aenter__(self) -> "ConfinedSandbox":
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __enter__(self) -> "ConfinedSandbox":
        return self

    def __exit__(self, *_: object) -> None:
        for zygote in self._zygotes:
            if zygote.returncode is None:
                zygote.kill()

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute a program on every input; see `soar.sandbox.protocol.Sandbox`."""
        await self._start()
        answer: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        text = code.encode("utf-8", "replace").decode()
        self._jobs.put_nowait(Job(text, [canonical_json(value) for value in inputs], alone, answer))
        return await answer

    async def close(self) -> None:
        """End every worker process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for zygote in self._zygotes:
            await _end(zygote)
        self._zygotes.clear()

    async def _start(self) -> None:
        if self._tasks:
            return
        # The first zygote proves the level before any program runs.
        first = await self._started_zygote()
        self._tasks = [asyncio.create_task(self._work(first if i == 0 else None)) for i in range(self._workers)]

    async def _started_zygote(self) -> asyncio.subprocess.Process:
        for attempt in range(ATTEMPTS):
            try:
                return await self._zygote()
            except ConnectionError as error:
                if attempt == ATTEMPTS - 1:
                    raise SandboxError(str(error)) from None
        raise AssertionError

    async def _zygote(self) -> asyncio.subprocess.Process:
        """Start a zygote and check that it is as confined as the level demands."""
        # Six inputs and loading at the soft limit each, and as much again, is the hard limit of one program.
        hard = max(2, int(self._settings["cpu_seconds"] * 12))
        settings = json.dumps({**self._settings, "hard_seconds": hard})
        zygote = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(ZYGOTE),
            settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            cwd="/",
            start_new_session=True,
            limit=1 << 22,
        )
        self._zygotes.add(zygote)
        try:
            _, payload = await _frame(zygote)
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._lose(zygote)
            raise ConnectionError("the sandbox's process ended while starting; try `soar doctor`") from None
        self.hello = json.loads(payload)
        if self.hello["open"] and self.level == "full":
            await self._lose(zygote)
            raise SandboxError(
                f"programs could still {', '.join(self.hello['open'])} here ({self.hello['reason'] or 'unexplained'})"
                '; set sandbox.level = "weak" to run them all the same, on a machine you can afford to lose'
            )
        return zygote

    async def _lose(self, zygote: asyncio.subprocess.Process) -> None:
        await _end(zygote)
        self._zygotes.discard(zygote)

    async def _work(self, zygote: asyncio.subprocess.Process | None) -> None:
        """Serve batches for ever; a lost zygote is replaced and its unfinished programs are run again."""
        while True:
            batch = await self._batch()
            try:
                zygote = zygote or await self._started_zygote()
                await self._serve(zygote, batch)
            except (asyncio.IncompleteReadError, ConnectionError):
                if zygote is not None:
                    await self._lose(zygote)
                zygote = None
                self._again(batch)
            except SandboxError as error:
                for job in batch:
                    if not job.answer.done():
                        job.answer.set_exception(error)

    async def _batch(self) -> list[Job]:
        """Return the next programs for one worker: one that wants to be alone, or a fair share of those that wait."""
        batch = [await self._jobs.get()]
        size = min(BATCH, -(-(self._jobs.qsize() + 1) // self._workers))
        while len(batch) < size and not batch[-1].alone and not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job.alone:
                self._jobs.put_nowait(job)
                break
            batch.append(job)
        return batch

    def _again(self, batch: Sequence[Job]) -> None:
        """Queue what has no verdict; alone from the second loss on, and not for ever."""
        for job in batch:
            if job.answer.done():
                continue
            job.attempts += 1
            job.alone = job.alone or job.attempts > 1
            if job.attempts >= ATTEMPTS:
                job.answer.set_exception(SandboxError(f"a worker was lost {ATTEMPTS} times under one program"))
            else:
                self._jobs.put_nowait(job)

    async def _serve(self, zygote: asyncio.subprocess.Process, batch: Sequence[Job]) -> None:
        """Have a batch run in one worker, give out its verdicts, and queue again what it did not come to."""
        programs = [{"code": job.code, "inputs": job.inputs} for job in batch]
        request = {"programs": programs, "cpu_seconds": self._settings["cpu_seconds"], "results": self._results}
        text = json.dumps(request).encode()
        assert zygote.stdin is not None
        zygote.stdin.write(struct.pack("<I", len(text)) + text)
        await zygote.stdin.drain()
        answers = bytearray()
        while True:
            kind, payload = await _frame(zygote)
            if kind == b"e":
                break
            answers += payload
        said = _answers(bytes(answers))
        for place, job in enumerate(batch):
            if place in said and not job.answer.done():
                job.answer.set_result(_execution(said[place], len(job.inputs), self._results))
        self._judge(batch, said, json.loads(payload))

    def _judge(self, batch: Sequence[Job], said: dict[int, Any], end: dict[str, Any]) -> None:
        """Find the program that a worker ended under, if any; the ones behind it are queued again."""
        waiting = [place for place in range(len(batch)) if place not in said]
        # A worker that ends itself early does so after a program that left its mark, and says so.
        clean = end["code"] == 0 and not end["killed"] and any(bool(answer.get("dirty")) for answer in said.values())
        for place in waiting:
            job = batch[place]
            if job.answer.done():
                continue
            if not clean and place == waiting[0] and (len(batch) == 1 or end["killed"] or end["code"] == 3):
                failure = _fate(end, job.code)
                job.answer.set_result(Execution((failure,) * len(job.inputs), end["cpu"]))
            else:
                job.alone = job.alone or (not clean and place == waiting[0])
                self._jobs.put_nowait(job)


async def _frame(zygote: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert zygote.stdout is not None
    header = await zygote.stdout.readexactly(5)
    return header[:1], await zygote.stdout.readexactly(struct.unpack("<I", header[1:])[0])


async def _end(zygote: asyncio.subprocess.Process) -> None:
    if zygote.returncode is None:
        zygote.kill()
    await zygote.wait()


def _answers(data: bytes) -> dict[int, Any]:
    """Return the answers in a worker's frames by place; what cannot be read ends the reading."""
    found: dict[int, Any] = {}
    start = 0
    while start + 4 <= len(data):
        size = struct.unpack_from("<I", data, start)[0]
        text = data[start + 4 : start + 4 + size]
        if size > MAX_ANSWER or len(text) < size:
            break
        try:
            answer = json.loads(text)
            found.setdefault(int(answer["i"]), answer)
        except (ValueError, KeyError, TypeError, RecursionError):
            break
        start += 4 + size
    return found


def _execution(answer: Any, inputs: int, results: str) -> Execution:
    """Return what an answer says, or a crash where it is not of the form that our worker writes."""
    try:
        outputs = tuple(_output(entry, results) for entry in answer["o"])
        if len(outputs) == inputs:
            return Execution(outputs, float(answer["cpu"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return Execution((Failure("Crash", "the worker's answer could not be read"),) * inputs)


def _output(entry: Any, results: str) -> Output:
    if isinstance(entry, dict):
        line = entry["line"] if isinstance(entry["line"], int) else None
        source = entry["source_line"] if isinstance(entry["source_line"], str) else None
        stage = entry["stage"] if entry["stage"] in ("load", "run", "result") else "run"
        return Failure(str(entry["type"])[:80], str(entry["message"])[:300], line, source, stage)
    if results == "json":
        (value,) = entry
        return _frozen(value)
    height, width, digits = entry.split(" ")
    h, w = int(height), int(width)
    if not (1 <= h <= 30 and 1 <= w <= 30 and len(digits) == h * w):
        raise ValueError("a grid of another size than it says")
    return tuple(tuple(GRIDS[cell] for cell in digits[y * w : y * w + w]) for y in range(h))


def _frozen(value: Any) -> Value:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _fate(end: dict[str, Any], code: str) -> Failure:
    """Return the failure of a program that its worker ended under, with the line it was in where that is known."""
    lines = re.findall(r'File "<program>", line (\d+)', end["trace"])
    line = int(lines[0]) if lines else None
    source = code.split("\n")[line - 1].strip()[:300] if line and line <= code.count("\n") + 1 else None
    if end["killed"] in ("cpu", "wall") or end["code"] in (3, -24):
        return Failure("Timeout", "did not end in time", line, source)
    if end["killed"] == "output":
        return Failure("TooMuchOutput", "wrote more than a worker may", line, source)
    how = f"signal {-end['code']}" if end["code"] < 0 else f"exit code {end['code']}"
    return Failure("Crash", f"the process ended with {how}", line, source)


def available_workers() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
