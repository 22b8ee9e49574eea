"""Archives of before are read as they are, say what they always said, and are brought up to date when a run goes on."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from filled import TASKS, everything_said, fill
from older import AS_TEXT, older

from soar.archive.audit import audit
from soar.archive.reader import ArchiveReader
from soar.archive.schema import MIGRATIONS, migrate
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError

BEFORE = range(1, 5)


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "archive.sqlite"
    fill(path)
    return path


def brought_up_to_date(path):
    ArchiveWriter(path).close()
    return path


def tables(path):
    """Return all rows of an archive as text, and its counts and tallies."""
    with closing(ArchiveReader(path)) as reader:
        found = {table: reader.query(f"SELECT {', '.join(names)} FROM {table}") for table, names in AS_TEXT.items()}
        found["counts"] = reader.query("SELECT * FROM counts WHERE rows AND kind != 'codes'")
        found["tallies"] = reader.query("SELECT * FROM tallies WHERE completions OR right")
        return {table: sorted(rows, key=repr) for table, rows in found.items()}


@pytest.mark.parametrize("layout", BEFORE)
def test_an_older_archive_says_the_same_before_and_after_it_is_brought_up_to_date(new, layout):
    right, path = everything_said(new), older(new, layout)
    for _ in range(2):
        assert everything_said(path) == right
        assert audit(path) == []
        with closing(ArchiveReader(path)) as reader:
            assert reader.executed("one")
            assert reader.behaviours("train", 0) == {"b" * 32}
        brought_up_to_date(path)
    assert tables(path) == tables(new)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'old%'").fetchall() == []


@pytest.mark.parametrize("layout", BEFORE)
def test_a_run_goes_on_with_an_older_archive(new, layout):
    path = older(new, layout)
    writer = ArchiveWriter(path)
    asyncio.run(writer.begin("train", 2))
    writer.close()
    with closing(ArchiveReader(path)) as reader:
        assert [row.iteration for row in reader.iterations()] == [0, 1, 2]
        assert len(reader.programs("one", "train")) == len(reader.programs("two", "train")) > 0


@pytest.mark.parametrize("layout", [2, 3, 4])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE completions SET text = 'Lock' WHERE rowid = 5",
        "UPDATE completions SET prompt_tokens = 7 WHERE rowid = 5",
        "UPDATE executions SET code = code || ' ' WHERE rowid = 5",
        "UPDATE executions SET accuracy = 0.25 WHERE rowid = 5",
    ],
)
def test_a_damaged_row_is_not_made_good_by_bringing_its_archive_up_to_date(new, sql, layout):
    path = older(new, layout)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"damaged.*{sql.split()[1]}"):
        ArchiveWriter(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (layout,)
    assert path.read_bytes() == before
    assert any(sql.split()[1] in finding for finding in audit(path))


@pytest.mark.parametrize("table", ["completions", "executions", "outputs"])
def test_a_lost_row_is_missed_before_and_after(new, table):
    path = older(new, 4)
    which = "value = '[[1]]'" if table == "outputs" else "rowid = 5"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DELETE FROM {table} WHERE {which}")
        connection.commit()
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            everything_said(path)
        assert any(table.rstrip("s") in finding for finding in audit(path))
        brought_up_to_date(path)


def test_an_archive_that_cannot_be_brought_up_to_date_whole_stays_as_it_is(new, monkeypatch):
    path, right = older(new, 4), everything_said(new)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("soar.archive.repack.pack_outputs", full)
    with pytest.raises(StoreError, match="No space left"):
        ArchiveWriter(path)
    assert everything_said(path) == right
    monkeypatch.undo()
    assert everything_said(brought_up_to_date(path)) == right


def test_an_archive_that_another_process_has_brought_up_to_date_in_between_is_left_alone(new):
    old = older(new, 4)

    class Late(sqlite3.Connection):
        def execute(self, sql, *parameters):
            if sql == "BEGIN IMMEDIATE":
                with closing(sqlite3.connect(old, isolation_level=None)) as other:
                    migrate(other)
            return super().execute(sql, *parameters)

    before = everything_said(new)
    with closing(sqlite3.connect(old, isolation_level=None, factory=Late)) as connection:
        migrate(connection)
    assert everything_said(old) == before


def test_whoever_looks_while_an_archive_is_brought_up_to_date_is_told_to_look_again(new):
    path = older(new, 4)
    with closing(ArchiveReader(path)) as reader:
        assert reader.programs("one", "train")
        assert reader.query("SELECT 1") == [(1,)]
        brought_up_to_date(path)
        for ask in (lambda: reader.programs("one", "train"), reader.iterations, lambda: reader.query("SELECT 1")):
            with pytest.raises(StoreError, match="migrated to a newer layout meanwhile"):
                ask()


def test_statements_meet_text_whatever_the_layout(new):
    asked = [
        "SELECT COUNT(*) FROM completions",
        "SELECT stage, iteration, task_id, phase, status, COUNT(*) FROM completions GROUP BY 1, 2, 3, 4, 5",
        "SELECT text, parents FROM completions ORDER BY task_id, rowid",
        "SELECT COUNT(*), COUNT(DISTINCT text) FROM completions WHERE text LIKE '%transform%'",
        "SELECT task_id, code, text FROM completions c JOIN executions USING (task_id, code_hash) ORDER BY c.rowid",
        "SELECT o.value FROM executions e, json_each(e.train) t JOIN outputs o ON o.hash = t.value ORDER BY 1",
        "SELECT DISTINCT ballot, behaviour FROM executions",
        "SELECT hash, value FROM outputs ORDER BY hash",
    ]
    with closing(ArchiveReader(new)) as ours, closing(ArchiveReader(older(new, 4))) as before:
        for sql in asked:
            assert ours.query(sql) == before.query(sql) != [], sql
        assert set(ours.query("SELECT code FROM codes")) > set(before.query("SELECT code FROM executions"))
        assert all(code in text for _, code, text in ours.query(asked[4]))
        with pytest.raises(StoreError, match="no such column"):
            ours.query("SELECT nowhere FROM completions")


def test_a_program_stands_once_however_many_hold_it(new):
    with closing(sqlite3.connect(new)) as connection:
        (rows,) = connection.execute("SELECT COUNT(*) FROM codes").fetchone()
        (named,) = connection.execute("SELECT COUNT(DISTINCT code_hash) FROM executions").fetchone()
        (beside,) = connection.execute("SELECT COUNT(*) FROM completions WHERE substr(text, 1, 1) = x'02'").fetchone()
    waiting = 2 * len(TASKS) * 2  # theirs was at hand; that of both islands is one
    assert rows == named + waiting
    assert beside > 0
