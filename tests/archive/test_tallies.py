"""What searches came to is kept while rows are stored, and is what the rows say."""

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest
from filled import TASKS, fill, search_rows
from older import older

from soar.archive.audit import audit
from soar.archive.checks import COLUMNS, offer_checksum
from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, ExecutionRow, code_hash
from soar.archive.tallies import TALLIED
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError
from soar.types import Completion, Origin


def said_and_there(path):
    """Return the tallies as they are stored, and as the rows have them."""
    names = ", ".join(COLUMNS["tallies"])
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute(f"SELECT {names} FROM tallies WHERE completions OR right").fetchall()
        return sorted(stored), sorted(connection.execute(TALLIED).fetchall())


@pytest.mark.parametrize("seed", range(6))
def test_tallies_are_what_the_rows_say_in_whatever_order_they_came(seed, tmp_path):
    chance = random.Random(seed)
    rows = [row for iteration in range(2) for task in TASKS for row in search_rows(iteration, task)]
    # A program of the first search that the second one writes again.
    again = next(row for row in rows if isinstance(row, CompletionRow) and row.code_hash)
    rows.append(
        CompletionRow(
            Origin("train", 1, again.origin.task_id, "sample", 9, 0, 0), again.completion, "code", again.code_hash
        )
    )
    chance.shuffle(rows)
    rows += rows[:20]  # stored once all the same

    async def write(writer):
        while rows:
            count = chance.choice((1, 5, 12, 90))  # one by one, and many by one statement
            await asyncio.gather(*(writer.add(rows[at : at + 3]) for at in range(0, count, 3)))
            del rows[: 3 * -(-count // 3)]

    path = tmp_path / "archive.sqlite"
    writer = ArchiveWriter(path)
    asyncio.run(write(writer))
    writer.close()
    stored, there = said_and_there(path)
    assert stored == there
    assert sum(row[4] for row in stored) == 2 * 3 * 24 + 1
    assert {row[3] for row in stored} == {"ok", "failed", "waiting", "no-code"}
    assert audit(path) == []


def test_a_program_that_has_run_is_tallied_by_what_it_did_wherever_it_comes_again(tmp_path):
    path = tmp_path / "archive.sqlite"
    fill(path)
    reader = ArchiveReader(path)
    before = reader.totals("train", 1)
    done = next(row for row in search_rows(0, "one") if isinstance(row, CompletionRow) and row.code_hash)
    row = CompletionRow(
        Origin("train", 1, "one", "sample", 9, 0, 0), Completion("x", "stop", 3, 4), "code", done.code_hash
    )
    writer = ArchiveWriter(path)
    asyncio.run(writer.add([row]))
    writer.close()
    after = reader.totals("train", 1)
    reader.close()
    assert after.statuses["ok"] == before.statuses["ok"] + 1
    assert after.prompt_tokens == before.prompt_tokens + 3
    assert after.completion_tokens == before.completion_tokens + 4


@pytest.mark.parametrize(
    ("status", "accuracy", "right"), [("ok", 1.0, 1), ("ok", 0.5, 0), ("nondeterministic", 1.0, 0), ("failed", 0.0, 0)]
)
def test_right_is_a_program_that_ran_well_and_is_right_on_all_training_pairs(status, accuracy, right, tmp_path):
    path = tmp_path / "archive.sqlite"
    origin = Origin("train", 0, "one", "sample", 0, 0, 0)
    rows = [
        CompletionRow(origin, Completion("x", "stop", 3, 4), "code", code_hash("x"), code="x"),
        ExecutionRow("one", "x", status, accuracy, ((1,),), ((2,),)),
    ]
    writer = ArchiveWriter(path)
    asyncio.run(writer.add(rows))
    writer.close()
    stored, there = said_and_there(path)
    assert stored == there == [("train", 0, "one", status, 1, 3, 4, right)]


def test_a_changed_tally_is_refused_and_not_made_good_by_adding_to_it(tmp_path):
    path = tmp_path / "archive.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE tallies SET prompt_tokens = prompt_tokens + 1 WHERE task_id = 'two'")
        connection.commit()
    reader = ArchiveReader(path)
    with pytest.raises(StoreError, match="tallies"):
        reader.totals("train", 0)
    reader.close()
    writer = ArchiveWriter(path)
    row = CompletionRow(Origin("train", 0, "two", "sample", 9, 0, 0), Completion("x"), "no-code")
    with pytest.raises(StoreError, match=r"damaged: the tally train/0/two/no-code"):
        asyncio.run(writer.add([row]))
    writer.close()
    assert any("tallies" in finding for finding in audit(path))


def test_an_audit_finds_a_tally_that_the_rows_do_not_bear_out(tmp_path):
    path = tmp_path / "archive.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        offer_checksum(connection)
        connection.execute("UPDATE tallies SET right = 0 WHERE task_id = 'one' AND status = 'ok'")
        names = ", ".join(COLUMNS["tallies"])
        connection.execute(f"UPDATE tallies SET checksum = row_checksum({names})")
        connection.commit()
    assert [finding for finding in audit(path) if "train/0/one/ok" in finding]


def test_an_archive_of_the_third_layout_gets_its_tallies_when_it_is_written(tmp_path):
    path = tmp_path / "archive.sqlite"
    fill(path)
    reader = ArchiveReader(path)
    right = [reader.totals("train", iteration) for iteration in range(2)]
    reader.close()
    path = older(path, 3)
    for _ in range(2):
        reader = ArchiveReader(path)
        assert [reader.totals("train", iteration) for iteration in range(2)] == right
        assert sum(map(sum, reader.tokens_by_task().values())) > 0
        reader.close()
        ArchiveWriter(path).close()
    stored, there = said_and_there(path)
    assert stored == there
    assert audit(path) == []
