"""The supervisor: takes programs from many tasks of one event loop and runs them in batches in confined workers.

Knows queues and zygotes; `batch` knows what records mean. Expected outputs are unknown here.
"""

import asyncio
import contextlib
import json
import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from soar.errors import SandboxError
from soar.execution.codecs import CODECS, codec_named
from soar.execution.local import wire
from soar.execution.local.batch import ATTEMPTS, Batch, Job
from soar.execution.local.link import Killed, Lost, Zygote, library_folders
from soar.types import Execution, Failure, Value

MAX_BATCH = 2048
MAX_WAITING = 4096
MAX_REMEMBERED = 1024
MAX_PACKED = 512
FORKS_PER_SLICE = 300
"""A worker's time slice, in costs of an empty fork. Copying the pages that programs touch costs about as much again, so
forking takes less than 1 % of the time."""

MIN_SLICE = 0.1
FORKS_REPAID = 20
"""How much work a worker should get if enough programs wait, in costs of its fork."""

FORKS_WAITED = 5
"""How long a worker waits for more programs, in costs of a fork, if too few wait to be worth one: a search submits them
a few at a time."""

AVERAGE_WEIGHT = 0.02
"""Weight of the latest program in the moving average of CPU time per program."""

MAX_LOSSES = 2
"""How many inputs of one program may end a worker before the rest are not tried."""

RESTARTS = 50
STARTS = 3
"""How often a zygote is started in all if it is killed while the sandbox opens."""

FIRST_DELAY = 0.1
"""Seconds that a program waits after losing its second worker, doubled with each further loss: what kills workers, such
as a memory shortage, kills many at once and passes."""


_KILLED = (
    f"a program's process was killed from outside {ATTEMPTS} times (by the OOM killer? by an operator?):"
    " give the machine more memory, or lower executor.workers or memory_mb"
)
_Key = tuple[str, bytes, bool]


class ConfinedSandbox:
    """Runs programs in confined processes, one zygote per worker. Opened by `soar.execution.open_sandbox`."""

    def __init__(
        self,
        *,
        workers: int,
        cpu_seconds: float,
        memory_mb: int,
        level: str,
        codec: str,
        signature: str,
        stop_at_failure: bool = False,
        landlock: bool = True,
    ) -> None:
        self.level = level
        self.workers = workers
        self.hello: dict[str, Any] = {}
        self._codec = codec_named(codec)
        self._settings = {
            "memory_mb": memory_mb,
            "landlock": landlock,
            "libraries": library_folders(),
            "codec": CODECS[codec],
            "signature": signature,
            "stop_at_failure": stop_at_failure,
        }
        self._cpu_seconds = cpu_seconds
        self._max_losses = 1 if stop_at_failure else MAX_LOSSES
        self._zygotes: list[Zygote] = []
        self._idle_zygotes: list[Zygote] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._packed: dict[tuple[int, ...], tuple[bytes, tuple[Value, ...]]] = {}
        self._known: OrderedDict[_Key, Execution] = OrderedDict()
        self._program_seconds = 2e-3
        self._reset()

    def _reset(self) -> None:
        """Forget everything that belongs to an event loop."""
        self._waiting: deque[Job] = deque()
        self._waiting_alone: deque[Job] = deque()
        self._running: dict[_Key, list[asyncio.Future[Execution]]] = {}
        self._work_ready, self._room = asyncio.Event(), asyncio.Event()

    def __enter__(self) -> Self:
        try:
            for zygote in [self._started() for _ in range(self.workers)]:
                for attempt in range(STARTS):
                    try:
                        self._greet(zygote.greeting())
                        break
                    except Killed as error:
                        zygote = self._replacement(zygote, attempt, error)
                self._idle_zygotes.append(zygote)
        except BaseException:
            self._kill_all()
            raise
        return self

    def _replacement(self, killed: Zygote, attempt: int, error: Killed) -> Zygote:
        """Return a new zygote for one that was killed while it started; raise the error after the last attempt."""
        self._drop(killed)
        if attempt == STARTS - 1:
            raise error
        return self._started()

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            if self._loop is not None and not self._loop.is_closed():
                task.cancel()
        self._kill_all()

    async def __aenter__(self) -> Self:
        try:
            for zygote in [self._started() for _ in range(self.workers)]:
                for attempt in range(STARTS):
                    try:
                        self._greet(await zygote.greeting_async())
                        break
                    except Killed as error:
                        zygote = self._replacement(zygote, attempt, error)
                self._idle_zygotes.append(zygote)
        except BaseException:
            self._kill_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every worker process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._loop = None
        self._kill_all()

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute a program on every input; see `soar.protocols.Executor`. Waits while too many programs are queued."""
        self._attach()
        while len(self._waiting) >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        return await self.submit(code, inputs, alone=alone)

    def submit(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> asyncio.Future[Execution]:
        """Return a future of the execution; the caller limits how many wait. The same program on the same inputs is not
        run again while it runs or shortly after."""
        self._attach()
        answer: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        key = (code, self._packed_inputs(inputs), alone)
        if not inputs:
            answer.set_result(Execution(()))
        elif key in self._known:
            self._known.move_to_end(key)
            answer.set_result(self._known[key])
        elif key in self._running:
            self._running[key].append(answer)
        else:
            self._running[key] = [answer]
            self._put(self._job(key, len(inputs)))
        return answer

    @property
    def achieved(self) -> str:
        """The level at which programs actually run: ``full``, ``full without files`` (no Landlock: a program can open
        nothing at all), or ``weak``; before the first zygote is up, the requested level."""
        if not self.hello:
            return self.level
        if self.hello["open"]:
            return "weak"
        return "full" if self.hello["landlock"] else "full without files"

    def zygote_pids(self) -> list[int]:
        """Return the process ids of the zygotes, for measurements and tests."""
        return [zygote.pid for zygote in self._zygotes]

    def _packed_inputs(self, inputs: Sequence[Value]) -> bytes:
        """Return the inputs as bytes. They are cached unless mutable, since each program of a task comes with the same
        ones."""
        same = tuple(map(id, inputs))
        if same in self._packed:
            return self._packed[same][0]
        packed = wire.pack_inputs(inputs, self._codec)
        if _immutable(inputs):
            if len(self._packed) >= MAX_PACKED:
                self._packed.clear()
            # The inputs are kept too: as long as they live, nothing else has their ids.
            self._packed[same] = (packed, tuple(inputs))
        return packed

    def _job(self, key: _Key, count: int) -> Job:
        code, inputs, alone = key

        def finish(execution: Execution) -> None:
            # Never 0, since `_worth_a_fork` divides by the mean.
            self._program_seconds += AVERAGE_WEIGHT * (max(execution.cpu_seconds, 1e-5) - self._program_seconds)
            self._known[key] = execution
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
            for answer in self._running.pop(key, []):
                if not answer.done():
                    answer.set_result(execution)

        def fail(error: SandboxError) -> None:
            for answer in self._running.pop(key, []):
                if not answer.done():
                    answer.set_exception(error)

        return Job(code.encode("utf-8", "surrogatepass"), inputs, count, alone, finish, fail)

    def _put(self, job: Job, *, front: bool = False) -> None:
        queue = self._waiting_alone if job.alone else self._waiting
        queue.appendleft(job) if front else queue.append(job)
        self._work_ready.set()

    def _attach(self) -> None:
        """Serve the running event loop in place of any earlier one."""
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._tasks:
            return
        self._reset()
        self._loop = loop
        self._tasks = [loop.create_task(self._work()) for _ in range(self.workers)]

    async def _work(self) -> None:
        """Serve batches for ever; a lost zygote is replaced and its unfinished programs are run again."""
        zygote: Zygote | None = None
        batch: Batch | None = None
        try:
            while True:
                batch = None
                batch = Batch(await self._next_jobs(), self._codec, self._max_losses, self._most_seconds)
                try:
                    zygote = zygote or await self._zygote()
                    again = await self._serve(zygote, batch)
                except Lost:
                    self._drop(zygote)
                    zygote = None
                    again = batch.lost()
                except SandboxError as error:
                    again = []
                    for job in batch.jobs:
                        job.fail(error)
                self._requeue(again)
        finally:
            # The loop is ending. A zygote whose worker has nothing left to report can serve the next loop.
            if zygote is not None and batch is not None and not batch.settled:
                self._drop(zygote)
            elif zygote is not None and zygote in self._zygotes:
                zygote.ending = batch is not None
                self._idle_zygotes.append(zygote)

    async def _next_jobs(self) -> list[Job]:
        """Return what one worker runs next: one job that must run alone, or a fair share of the others."""
        await self._wait_for_jobs()
        if not self._waiting_alone and len(self._waiting) < self._worth_a_fork():
            await asyncio.sleep(FORKS_WAITED * self.hello.get("fork_seconds", 0.0))
            await self._wait_for_jobs()
        if self._waiting_alone:
            return [self._waiting_alone.popleft()]
        jobs = [self._waiting.popleft() for _ in range(self._share())]
        if len(self._waiting) < MAX_WAITING:
            self._room.set()
        return jobs

    async def _wait_for_jobs(self) -> None:
        while not self._waiting_alone and not self._waiting:
            self._work_ready.clear()
            await self._work_ready.wait()

    def _share(self) -> int:
        """Return how many of the waiting programs the next worker takes. Shares shrink with what is left, so that all
        workers end at about the same time, but not below what is worth a fork."""
        waiting = len(self._waiting)
        shrinking = -(-waiting // (2 * self.workers - 1))
        return min(MAX_BATCH, max(shrinking, min(self._worth_a_fork(), waiting)))

    def _worth_a_fork(self) -> int:
        """Return how many programs, at their recent mean CPU time, are worth a fork."""
        return math.ceil(FORKS_REPAID * self.hello.get("fork_seconds", 0.0) / self._program_seconds)

    def _requeue(self, jobs: Sequence[Job]) -> None:
        """Queue jobs again, ahead of untried ones; give up on those that have lost too many workers."""
        for job in reversed(jobs):
            if job.attempts >= ATTEMPTS and self.achieved == "weak":
                # At this level it may well have killed itself, and one program must not stop the rest.
                job.fill(Failure("Crash", _KILLED))
            elif job.attempts >= ATTEMPTS:
                job.fail(SandboxError(_KILLED))
            elif job.attempts > 1:
                # The loop's timer holds the job, so it lasts no longer than the loop.
                delay = FIRST_DELAY * 2 ** (job.attempts - 2)
                asyncio.get_running_loop().call_later(delay, partial(self._put, job, front=True))
            else:
                self._put(job, front=True)

    async def _serve(self, zygote: Zygote, batch: Batch) -> list[Job]:
        """Run a batch in one worker; return the jobs to run again."""
        slice_seconds = max(MIN_SLICE, FORKS_PER_SLICE * self.hello["fork_seconds"])
        calls = max(job.count - len(job.outputs) for job in batch.jobs)
        most = (slice_seconds if len(batch.jobs) > 1 else 0.0) + self._most_seconds(calls)
        # A program alone reports after each call; loading and the first call come in one report.
        silent = self._most_seconds(1) if batch.jobs[0].alone else most
        await zygote.send(wire.ORDER.pack(most, silent) + batch.request(self._cpu_seconds, slice_seconds))
        while True:
            kind, content = await zygote.receive()
            if kind == b"e":
                return batch.ended(json.loads(content))
            if kind != b"d":
                raise Lost
            batch.feed(content)

    def _most_seconds(self, inputs: int) -> float:
        """Return the CPU seconds after which a program that loads and runs on so many inputs is ended from outside."""
        # More than the worker's own limit for a call (`worker.Alarm`), so that the worker acts first and says where it
        # was.
        return (inputs + 1) * (self._cpu_seconds * 1.5 + 0.75)

    async def _zygote(self) -> Zygote:
        """Return an idle zygote or start one, again if it is killed while starting."""
        for attempt in range(RESTARTS):
            fresh = not self._idle_zygotes
            zygote = self._started() if fresh else self._idle_zygotes.pop()
            try:
                if fresh:
                    self._greet(await zygote.greeting_async())
                await zygote.finish()
                return zygote
            except (Lost, Killed) as error:
                self._drop(zygote)
                if attempt == RESTARTS - 1:
                    raise SandboxError(str(error)) from None
            except BaseException:
                self._drop(zygote)
                raise
        raise AssertionError("the loop above returns or raises")

    def _started(self) -> Zygote:
        zygote = Zygote(self._settings)
        self._zygotes.append(zygote)
        return zygote

    def _greet(self, hello: dict[str, Any]) -> None:
        """Note how a zygote is confined; `SandboxError` if that is less than the level requires."""
        self.hello = hello
        if hello["open"] and self.level == "full":
            raise SandboxError(
                f"programs could still {', '.join(hello['open'])} here ({hello['reason'] or 'for an unknown reason'});"
                ' set executor.level = "weak" to run them anyway, on a machine you can afford to lose'
            )

    def _drop(self, zygote: Zygote | None) -> None:
        if zygote is not None and zygote in self._zygotes:
            self._zygotes.remove(zygote)
            zygote.kill()

    def _kill_all(self) -> None:
        for zygote in self._zygotes:
            with contextlib.suppress(OSError):
                zygote.kill()
        self._zygotes.clear()
        self._idle_zygotes.clear()


def _immutable(inputs: Sequence[Value]) -> bool:
    """Return whether packable values are immutable: of these, only lists and dicts cannot be hashed."""
    try:
        hash(tuple(inputs))
    except TypeError:
        return False
    return True
