"""The only code that writes to a run's archive: one connection, one thread, group commits.

Knows how rows become durable; does not know why they are written. What `add` returned from survives kill -9 and loss of
power (WAL, synchronous=FULL).
"""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from soar.archive.rows import CompletionRow, ExecutionRow, Row, UnsentRow, code_hash, encode_output
from soar.archive.schema import migrate
from soar.errors import StoreError

SecondsColumn = Literal["seconds", "finetune_seconds"]
Job = tuple[Callable[[sqlite3.Connection], None], Future[None]]


class ArchiveWriter:
    """The writing side of one archive. Rows that exist are never changed: writing one again does nothing."""

    def __init__(self, path: Path) -> None:
        """Open or create the archive at `path`; `StoreError` if that is impossible."""
        self.path = path
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="archive", daemon=True)
        self._thread.start()
        opened.result()

    async def add(self, rows: Sequence[Row]) -> None:
        """Store rows durably; returns once they are. `StoreError` when the disk refuses."""
        if rows:
            await asyncio.shield(asyncio.wrap_future(self._submit(lambda connection: _insert(connection, rows))))

    async def begin(self, stage: str, iteration: int) -> None:
        """Note that an iteration has begun; once is enough."""
        sql = "INSERT INTO iterations (stage, iteration) VALUES (?, ?) ON CONFLICT DO NOTHING"
        await self._execute(sql, stage, iteration)

    @asynccontextmanager
    async def timing(
        self, stage: str, iteration: int, column: Literal["seconds", "finetune_seconds"]
    ) -> AsyncIterator[None]:
        """Add the seconds that pass meanwhile to a column of an iteration's row, also when it is interrupted."""
        begun = time.monotonic()
        try:
            yield
        finally:
            sql = f"UPDATE iterations SET {column} = {column} + ? WHERE stage = ? AND iteration = ?"
            await self._execute(sql, time.monotonic() - begun, stage, iteration)

    async def finish(self, stage: str, iteration: int) -> None:
        """Note that an iteration is finished: its answers are written."""
        await self._execute("UPDATE iterations SET finished = 1 WHERE stage = ? AND iteration = ?", stage, iteration)

    async def add_requests(self, counts: Mapping[str, int]) -> None:
        """Add what a model counted: requests ``issued``, ``retried`` and ``failed``."""
        sql = "INSERT INTO requests (issued, retried, failed) VALUES (?, ?, ?)"
        await self._execute(sql, counts["issued"], counts["retried"], counts["failed"])

    async def _execute(self, sql: str, *parameters: object) -> None:
        def job(connection: sqlite3.Connection) -> None:
            connection.execute(sql, parameters)

        await asyncio.shield(asyncio.wrap_future(self._submit(job)))

    def close(self) -> None:
        """Write what was submitted and close the file."""
        self._jobs.put(None)
        self._thread.join()

    def _submit(self, job: Callable[[sqlite3.Connection], None]) -> Future[None]:
        if not self._thread.is_alive():
            raise StoreError(f"the archive {self.path} is closed")
        future: Future[None] = Future()
        self._jobs.put((job, future))
        return future

    def _work(self, opened: Future[None]) -> None:
        try:
            connection = _open(self.path)
        except (sqlite3.Error, OSError) as error:
            opened.set_exception(StoreError(f"cannot open the archive {self.path}: {error}"))
            return
        except StoreError as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        going = True
        while going:
            batch, going = _take(self._jobs)
            _commit(connection, batch, self.path)
        connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"{path} cannot use write-ahead logging (a network file system?): use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 32768")
    migrate(connection)
    return connection


def _take(jobs: "queue.SimpleQueue[Job | None]") -> tuple[list[Job], bool]:
    """Return all jobs that wait, at least one, and whether more may come."""
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
        for job, _ in batch:
            job(connection)
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for _, future in batch:
            future.set_exception(StoreError(f"the archive {path} cannot be written: {error}; free space and go on"))
        return
    for _, future in batch:
        future.set_result(None)


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        if isinstance(row, CompletionRow):
            _insert_completion(connection, row)
        elif isinstance(row, ExecutionRow):
            _insert_execution(connection, row)
        else:
            _insert_unsent(connection, row)


def _insert_completion(connection: sqlite3.Connection, row: CompletionRow) -> None:
    o, c = row.origin, row.completion
    place = (o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, o.index)
    answer = (c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens, c.seconds)
    connection.execute(
        "INSERT INTO completions VALUES (?,?,?,?,?,?,?, ?,?, ?,?,?,?,?, ?,?) ON CONFLICT DO NOTHING",
        (*place, json.dumps(row.parents), json.dumps(row.prompt_detail), *answer, row.status, row.code_hash),
    )


def _insert_execution(connection: sqlite3.Connection, row: ExecutionRow) -> None:
    encoded = [encode_output(output) for output in (*row.train, *row.test)]
    connection.executemany("INSERT INTO outputs VALUES (?,?) ON CONFLICT DO NOTHING", encoded)
    hashes = [name for name, _ in encoded]
    train, test = json.dumps(hashes[: len(row.train)]), json.dumps(hashes[len(row.train) :])
    connection.execute(
        "INSERT INTO executions VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (row.task_id, code_hash(row.code), row.code, row.status, row.accuracy)
        + (train, test, row.ballot, row.behaviour, row.cpu_seconds),
    )


def _insert_unsent(connection: sqlite3.Connection, row: UnsentRow) -> None:
    o = row.origin
    connection.execute(
        "INSERT INTO unsent VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, row.completions),
    )
