import asyncio
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.archive.reader import ArchiveReader
from soar.archive.rows import (
    CompletionRow,
    UnsentRow,
    code_hash,
    decode_output,
    encode_output,
    execution_row,
)
from soar.archive.schema import MIGRATIONS, migrate
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError
from soar.types import Completion, Example, Execution, Failure, Origin, Task, content_hash

ORIGIN = Origin("train", 0, "t", "sample", 0, 0, 0)
GRID = ((1, 2), (3, 4))
values = st.recursive(
    st.integers() | st.text() | st.booleans() | st.none(), lambda x: st.lists(x).map(tuple), max_leaves=9
)
failures = st.builds(Failure, type=st.text(), message=st.text(), line=st.none() | st.integers(1, 99))


@given(values | failures)
def test_an_output_is_read_back_as_it_was_written(output):
    name, text = encode_output(output)
    assert decode_output(text) == output
    assert encode_output(decode_output(text)) == (name, text)


def stored(tmp_path, rows):
    async def write():
        await writer.add(rows)

    path = tmp_path / "archive.sqlite"
    writer = ArchiveWriter(path)
    asyncio.run(write())
    writer.close()
    return ArchiveReader(path)


def test_programs_come_back_with_their_outputs_lineage_and_hashes(tmp_path):
    code = "def transform(grid): return grid"
    row = CompletionRow(ORIGIN, Completion("text", "stop", 3, 4, 0.5), "code", code_hash(code))
    child = replace(row, origin=replace(ORIGIN, phase="refine", island=2), parents=(ORIGIN.key,))
    task = Task("t", (Example(GRID, GRID), Example(GRID, None)), (Example(GRID, None),))
    done = execution_row(task, code, Execution((GRID, GRID, ((7,),))))
    reader = stored(tmp_path, [child, row, done])
    first, second = reader.programs("t", "train", 0)
    assert (first.origin, second.origin) == (row.origin, child.origin)
    assert (first.train, first.test, first.accuracy, first.code) == ((GRID, GRID), (((7,),),), 0.5, code)
    assert second.parents == (first.key,)
    assert (first.ballot, first.behaviour) == (content_hash(((7,),)), content_hash(GRID, GRID, ((7,),)))
    assert reader.execution("t", code) == done
    assert len(reader.query("SELECT * FROM outputs")) == 2
    reader.close()


def test_writing_a_row_again_changes_nothing(tmp_path):
    row = CompletionRow(ORIGIN, Completion("first"), "no-code")
    reader = stored(
        tmp_path, [row, replace(row, completion=Completion("second")), UnsentRow(ORIGIN, 4), UnsentRow(ORIGIN, 4)]
    )
    assert [found.completion.text for found in reader.completions("train", 0, "t", "sample", 0)] == ["first"]
    assert reader.unsent("train", 0, "t") == {("sample", 0, 0)}
    reader.close()


@pytest.mark.parametrize("name", [None, code_hash("another"), code_hash("code")])
def test_a_text_is_read_back_whatever_is_said_of_its_program(tmp_path, name):
    row = CompletionRow(ORIGIN, Completion("all of the code is here"), "code", name, code="code")
    reader = stored(tmp_path, [row])
    assert reader.completions("train", 0, "t", "sample", 0) == [row]
    assert len(reader.query("SELECT * FROM codes")) == (name == code_hash("code"))
    reader.close()


def test_a_program_that_many_texts_hold_is_stored_once(tmp_path):
    rows = [
        CompletionRow(replace(ORIGIN, step=step), Completion(f"{step}: code"), "code", code_hash("code"), code="code")
        for step in range(3)
    ]
    reader = stored(tmp_path, [*rows, *rows])
    assert reader.completions("train", 0, "t", "sample", 0) == rows
    assert reader.query("SELECT code FROM codes") == [("code",)]
    assert reader.query("SELECT rows FROM counts WHERE kind = 'codes'") == [(1,)]
    reader.close()


def test_a_failed_write_is_a_store_error_for_everyone_who_waits_and_later_writes_go_on(tmp_path):
    async def write():
        bad = replace(ORIGIN, island=None)  # type: ignore[arg-type]
        results = await asyncio.gather(
            writer.add([CompletionRow(bad, Completion("x"), "no-code")]), return_exceptions=True
        )
        assert isinstance(results[0], StoreError)
        await writer.add([CompletionRow(ORIGIN, Completion("x"), "no-code")])

    writer = ArchiveWriter(tmp_path / "archive.sqlite")
    asyncio.run(write())
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        asyncio.run(writer.add([CompletionRow(ORIGIN, Completion("x"), "no-code")]))


def test_an_archive_from_the_future_is_refused(tmp_path):
    path = tmp_path / "archive.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="update soar"):
        ArchiveWriter(path)


def test_an_archive_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "archive.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot open"):
        ArchiveWriter(path)


def test_reading_needs_an_archive(tmp_path):
    with pytest.raises(StoreError, match="no archive"):
        ArchiveReader(tmp_path / "archive.sqlite")


def test_an_archive_has_its_name_only_when_its_tables_are_there(tmp_path, monkeypatch):
    path = tmp_path / "archive.sqlite"

    def ended(connection):
        migrate(connection)
        assert not path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("soar.archive.writer.migrate", ended)
    with pytest.raises(StoreError):
        ArchiveWriter(path)
    assert not path.exists()
    monkeypatch.undo()
    ArchiveWriter(path).close()
    assert [file.name for file in tmp_path.iterdir()] == ["archive.sqlite"]


def test_an_empty_archive_is_said_to_be_empty(tmp_path):
    path = tmp_path / "archive.sqlite"
    path.touch()
    with pytest.raises(StoreError, match="has stored nothing yet"):
        ArchiveReader(path)


def test_the_status_of_an_execution_tells_syntax_errors_failures_and_nondeterminism_apart():
    task = Task("t", (Example(GRID, GRID),), (Example(GRID, None),))

    def status(*outputs, **more):
        return execution_row(task, "code", Execution(outputs, **more)).status

    syntax = Failure("SyntaxError", "bad", 1, stage="load")
    assert status(GRID, GRID) == "ok"
    assert status(GRID, Failure("IndexError", "x")) == "failed"
    assert status(syntax, syntax) == "syntax-error"
    for kind in ("IndentationError", "TabError"):
        assert status(Failure(kind, "bad", 1, stage="load"), GRID) == "syntax-error"
    assert status(Failure("SyntaxError", "raised by the program", stage="run"), GRID) == "failed"
    assert status(Failure("NameError", "bad", stage="load"), GRID) == "failed"
    assert status(GRID, GRID, nondeterministic=True) == "nondeterministic"
    row = execution_row(task, "code", Execution((GRID, Failure("IndexError", "x"))))
    assert (row.accuracy, row.ballot, row.behaviour) == (1.0, None, None)


def test_no_query_for_what_a_search_left_asks_about_each_completion_anew(tmp_path):
    # For the 6,000 completions of a task, each with all executions, it took 13 s.
    connection = sqlite3.connect(tmp_path / "archive.sqlite")
    reader = stored(tmp_path, [CompletionRow(ORIGIN, Completion("code"), "code", code_hash("code"), code="code")])
    asked = list[str]()
    reader._tables._connection.set_trace_callback(asked.append)
    assert [row.origin for row in reader.waiting("train", 0, "t")] == [ORIGIN]
    assert [row.origin for row in reader.arrived("train", 0, "t")] == [ORIGIN]
    reader.close()
    plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked if "NOT IN" in sql]
    assert len(plans) == 2
    # The look-up of a program's own text, by its key, is the one subquery that a row may have to itself.
    assert all(sum("CORRELATED" in step[-1] for step in plan) == 1 for plan in plans)
    connection.close()
