"""The only code that writes to a run's archive: one connection, one thread, group commits.

Knows how rows become durable; does not know why they are written. Once `add` returns, its rows survive kill -9 and
power loss (WAL, synchronous=FULL).
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from soar.archive.checks import offer_checksum
from soar.archive.insert import Stored, insert, insert_iteration, insert_requests, update_iteration
from soar.archive.refusal import WAIT_SECONDS, refusal
from soar.archive.rows import Row
from soar.archive.schema import migrate
from soar.errors import StoreError
from soar.files import rename_durably

Write: TypeAlias = Callable[[sqlite3.Connection, Stored], None]
"""A write inside a transaction; it notes the rows that it stores."""

Job: TypeAlias = tuple[Write, Future[None]]
SecondsColumn: TypeAlias = Literal["seconds", "finetune_seconds"]

NOTED_EVERY = 30.0
"""The seconds of a search or finetuning after which it is noted how long it has taken so far."""


@dataclass(eq=False, slots=True)
class _Window:
    """Rows to be written together: all that arrive before the thread takes them. Their callers share one future: one
    per row would cost more than the rows."""

    loop: asyncio.AbstractEventLoop
    written: "asyncio.Future[None]"
    rows: list[Row] = field(default_factory=list)


class ArchiveWriter:
    """The writing side of one archive. Existing rows never change: adding one again does nothing."""

    def __init__(self, path: Path) -> None:
        """Open or create the archive at `path`; `StoreError` if that is impossible."""
        self.path = path
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._ended: StoreError | None = None
        self._window: _Window | None = None
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="archive", daemon=True)
        self._thread.start()
        opened.result()

    async def add(self, rows: Sequence[Row]) -> None:
        """Store rows; return once they are durable. `StoreError` if the disk refuses or a row cannot be stored."""
        if rows:
            await asyncio.shield(self.submit(rows))

    def submit(self, rows: Sequence[Row]) -> "asyncio.Future[None]":
        """Add rows to those that wait; return the future that is done when they are durable. They are written even if
        nobody waits for it. It is shared: shield it."""
        loop = asyncio.get_running_loop()
        with self._lock:
            window = self._window
            if window and window.loop is loop and not window.written.done():
                window.rows += rows
                return window.written
        future: Future[None] = Future()
        window = _Window(loop, asyncio.wrap_future(future), list(rows))
        self._submit(lambda connection, stored: insert(connection, stored, self._close_window(window)), future, window)
        return window.written

    def _close_window(self, window: _Window) -> Sequence[Row]:
        """Close a window to further rows and return those it has."""
        with self._lock:
            if self._window is window:
                self._window = None
            return window.rows

    async def begin(self, stage: str, iteration: int) -> None:
        """Note that an iteration has started; repeating it does nothing."""
        await self._write(lambda connection, stored: insert_iteration(connection, stored, stage, iteration))

    @asynccontextmanager
    async def timing(self, stage: str, iteration: int, column: SecondsColumn) -> AsyncIterator[None]:
        """Add the seconds spent inside to a column of an iteration's row, even if interrupted; every `NOTED_EVERY`
        seconds, so that a kill loses no more of them."""
        noted = time.monotonic()

        async def note() -> None:
            nonlocal noted
            now = time.monotonic()
            change, spent = f"{column} = {column} + ?", (now - noted,)
            noted = now
            await self._write(lambda connection, _: update_iteration(connection, stage, iteration, change, spent))

        async def now_and_then() -> None:
            while True:
                await asyncio.sleep(NOTED_EVERY)
                await note()

        ticking = asyncio.create_task(now_and_then())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await note()

    async def finish(self, stage: str, iteration: int) -> None:
        """Note that an iteration is finished: its answers are written."""
        await self._write(lambda connection, _: update_iteration(connection, stage, iteration, "finished = ?", (1,)))

    async def add_requests(self, counts: Mapping[str, int]) -> None:
        """Add a model's request counts: ``issued``, ``retried`` and ``failed``."""
        await self._write(lambda connection, stored: insert_requests(connection, stored, counts))

    async def flush(self) -> None:
        """Return once everything submitted is durable."""
        await self._write(lambda *_: None)

    async def _write(self, write: Write) -> None:
        """Submit a write and wait for it; it is done even if the caller is cancelled."""
        future: Future[None] = Future()
        self._submit(write, future)
        await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """Finish the submitted writes and close the file."""
        self._jobs.put(None)
        self._thread.join()

    def _submit(self, write: Write, future: Future[None], window: _Window | None = None) -> None:
        with self._lock:
            if self._ended:
                raise self._ended
            self._window = window or self._window
            self._jobs.put((write, future))

    def _work(self, opened: Future[None]) -> None:
        """Commit batches until closed: the thread's body. However it ends, nobody is left waiting."""
        batch: list[Job] = []
        ended = StoreError(f"the archive {self.path} is closed")
        try:
            with closing(_open(self.path)) as connection:
                opened.set_result(None)
                more = True
                while more:
                    batch, more = _next_batch(self._jobs)
                    _commit(connection, batch, self.path)
                    batch = []
        except StoreError as error:
            ended = error
        except BaseException as error:  # noqa: BLE001 — whatever ends the thread must reach its callers
            ended = refusal(self.path, "written" if opened.done() else "opened", error)
        if not opened.done():
            opened.set_exception(ended)
        self._end(batch, ended)

    def _end(self, batch: Sequence[Job], ended: StoreError) -> None:
        """Take no more jobs; fail those that wait and those of `batch` that are not done."""
        with self._lock:
            self._ended = ended
            left = list(batch)
            while not self._jobs.empty():
                left += [job for job in [self._jobs.get()] if job]
        for _, future in left:
            if not future.done():
                future.set_exception(ended)


def _create(path: Path) -> None:
    """Create an archive without rows. It gets its name only once its tables exist: a reader may come at any moment."""
    aside = path.with_name(path.name + ".tmp")
    # Left by a process that was killed in this function.
    for left in (aside, aside.with_name(aside.name + "-journal")):
        left.unlink(missing_ok=True)
    with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
        offer_checksum(connection)
        migrate(connection)
    rename_durably(aside, path)


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        _create(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=WAIT_SECONDS)
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{path} cannot use write-ahead logging (a network file system?): use a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 32768")
        offer_checksum(connection)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _next_batch(jobs: "queue.SimpleQueue[Job | None]") -> tuple[list[Job], bool]:
    """Wait for a job; return all that are queued, and whether more may come."""
    batch: list[Job] = []
    job = jobs.get()
    while job is not None:
        batch.append(job)
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return batch, True
    return batch, False


def _commit(connection: sqlite3.Connection, batch: Sequence[Job], path: Path) -> None:
    """Run a batch as one transaction; all of it is acknowledged or none."""
    if not batch:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        stored = Stored()
        for write, _ in batch:
            write(connection, stored)
        stored.write(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 — a row that cannot be stored fails its batch, not the thread
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for _, future in batch:
            future.set_exception(refusal(path, "written", error))
        return
    for _, future in batch:
        future.set_result(None)
