"""The writer's thread: whatever ends it reaches those who wait; locks that others hold are waited for."""

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from soar.archive import refusal
from soar.archive import writer as archive_writer
from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError
from soar.types import Completion, Origin

ROW = CompletionRow(Origin("train", 0, "t", "sample", 0, 0, 0), Completion("x"), "no-code")


@pytest.fixture
def writer(tmp_path):
    writer = ArchiveWriter(tmp_path / "archive.sqlite")
    yield writer
    writer.close()


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        (Completion("x", prompt_tokens=2**70), "OverflowError"),
        (Completion("half \ud800"), "UnicodeEncodeError"),
        (Completion("x", seconds="soon"), "ValueError"),  # type: ignore[arg-type]
        (Completion("x", prompt_tokens=[1]), "type 'list'"),  # type: ignore[arg-type]
    ],
)
def test_a_row_that_cannot_be_stored_is_an_error_and_the_next_one_is_stored(writer, tmp_path, completion, said):
    with pytest.raises(StoreError, match=said):
        asyncio.run(asyncio.wait_for(writer.add([replace(ROW, completion=completion)]), 20))
    asyncio.run(asyncio.wait_for(writer.add([ROW]), 20))
    reader = ArchiveReader(tmp_path / "archive.sqlite")
    assert reader.completions("train", 0, "t", "sample", 0) == [ROW]
    reader.close()


def test_a_thread_that_dies_fails_those_who_wait_and_all_who_come_later(tmp_path):
    async def add():
        await asyncio.wait_for(writer.add([ROW]), 20)

    async def die_among_others():
        deadly = asyncio.create_task(writer._write(lambda connection, stored: sys.exit("out of luck")))
        found = await asyncio.wait_for(asyncio.gather(deadly, add(), add(), return_exceptions=True), 20)
        assert [type(each) for each in found] == [StoreError] * 3

    writer = ArchiveWriter(tmp_path / "archive.sqlite")
    asyncio.run(die_among_others())
    with pytest.raises(StoreError, match="out of luck"):
        asyncio.run(add())
    writer.close()


HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def held(path, seconds):
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    child.stdout.readline()
    return child


@pytest.mark.slow
def test_a_lock_that_another_process_holds_for_nine_seconds_is_waited_for(writer):
    begun = time.monotonic()
    with held(writer.path, 9):
        asyncio.run(writer.add([ROW]))
    assert 7 < time.monotonic() - begun < 30


def test_whoever_holds_the_lock_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("soar.archive.writer.WAIT_SECONDS", 0.3)
    writer = ArchiveWriter(tmp_path / "archive.sqlite")
    with held(writer.path, 3) as child, (tmp_path / "other").open("w") as other:
        fcntl.lockf(other, fcntl.LOCK_EX)  # a lock of this process, which stands in nobody's way
        with pytest.raises(StoreError, match="another process holds its lock") as error:
            asyncio.run(writer.add([ROW]))
        assert f"process {child.pid}, " in str(error.value)
        assert str(os.getpid()) not in str(error.value)
        assert "space" not in str(error.value)
        child.terminate()
    writer.close()


def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path):
    path = tmp_path / "archive.sqlite"
    writer = ArchiveWriter(path)
    asyncio.run(writer.add([ROW]))
    pages: list[int] = []
    asyncio.run(
        writer._write(lambda connection, _: pages.append(connection.execute("PRAGMA page_count").fetchone()[0]))
    )
    asyncio.run(writer._write(lambda connection, _: _limit(connection, pages[0])))
    big = replace(ROW, origin=replace(ROW.origin, step=1), completion=Completion(os.urandom(50_000).hex()))
    with pytest.raises(StoreError, match="free space"):
        asyncio.run(writer.add([big]))
    writer.close()
    reader = ArchiveReader(path)
    assert reader.completions("train", 0, "t", "sample", 0) == [ROW]
    reader.close()


def _limit(connection: sqlite3.Connection, pages: int) -> None:
    connection.execute(f"PRAGMA max_page_count = {pages}")


def test_an_error_of_ours_is_passed_on_as_it_is(tmp_path):
    error = StoreError("as it is")
    assert refusal.refusal(tmp_path, "read", error) is error


def test_the_seconds_of_a_search_are_noted_while_it_runs(writer, monkeypatch):
    monkeypatch.setattr(archive_writer, "NOTED_EVERY", 0.05)

    def noted() -> float:
        with closing(ArchiveReader(writer.path)) as reader:
            return reader.iterations()[0].seconds

    async def more_than(seconds: float) -> float:
        while noted() <= seconds:
            await asyncio.sleep(0.02)
        return noted()

    async def search() -> tuple[float, float]:
        await writer.begin("train", 0)
        async with asyncio.timeout(20), writer.timing("train", 0, "seconds"):
            return await more_than(0.0), await more_than(noted())

    begun = time.monotonic()
    first, second = asyncio.run(search())
    assert 0 < first < second < noted() <= time.monotonic() - begun, "and none of them twice"
