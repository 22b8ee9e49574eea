"""A damaged archive gives the answer that it gave before, or an error: never another answer."""

import asyncio
import json
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from filled import everything_said, fill, with_a_byte_changed
from older import older

from soar.archive.audit import audit
from soar.archive.checks import checksum
from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An archive's bytes (nothing is left in its log), and all that is said of it."""
    path = tmp_path_factory.mktemp("whole") / "archive.sqlite"
    fill(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path.read_bytes(), everything_said(path)


def said_of(data, folder):
    path = folder / "archive.sqlite"
    for file in folder.glob("archive.sqlite*"):
        file.unlink()
    path.write_bytes(data)
    try:
        return everything_said(path)
    except StoreError:
        return None


def places(data, count, chance):
    """Random places, and the first bytes of many pages: there stand the headers, of which a page of rows has few."""
    pages = range(0, len(data), 4096)
    headers = [page + offset for page in pages for offset in (0, 3, 4, 5, 8, 12)]
    return [chance.randrange(len(data)) for _ in range(count)] + chance.sample(headers, min(count // 3, len(headers)))


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_changed_byte_is_noticed_or_changes_no_answer(whole, tmp_path, count):
    data, right = whole
    chance = random.Random(count)
    noticed = 0
    for place in places(data, count, chance):
        said = said_of(with_a_byte_changed(data, place, chance), tmp_path)
        assert said in (None, right), place
        noticed += said is None
    assert noticed > count / 3


def test_an_archive_that_was_cut_off_is_noticed_or_as_before(whole, tmp_path):
    data, right = whole
    for size in [*range(4096, len(data), 4096), len(data) - 1, 100, 1, 0]:
        assert said_of(data[:size], tmp_path) in (None, right)


def changed(whole, folder, sql):
    """Write the archive, changed behind the back of its checks; return its path."""
    path = folder / "archive.sqlite"
    path.write_bytes(whole[0])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()
    return path


DAMAGES = [
    ("UPDATE completions SET prompt_tokens = 11 WHERE rowid = 1", "completions"),
    ("UPDATE completions SET completion_tokens = completion_tokens + 1", "completions"),
    ("UPDATE completions SET text = CAST(text || ' ' AS BLOB) WHERE rowid = 40", "completions"),
    ("UPDATE completions SET code_hash = (SELECT hash FROM codes LIMIT 1) WHERE rowid = 20", "completions"),
    ("UPDATE codes SET code = (SELECT code FROM codes WHERE rowid = 1) WHERE rowid = 2", "program"),
    ("UPDATE codes SET code = substr(code, 1, 20) WHERE rowid = 3", "program"),
    ("DELETE FROM codes WHERE rowid = 4", "program"),
    ("DELETE FROM completions WHERE rowid = 7", "completions"),
    ("UPDATE executions SET accuracy = 1.0 WHERE rowid = 3", "executions"),
    ("DELETE FROM executions WHERE rowid = 5", "executions"),
    ("UPDATE outputs SET value = '[[8]]' WHERE value = '[[1]]'", "output"),
    ("DELETE FROM outputs WHERE value = '[[1]]'", "output"),
    ("DELETE FROM unsent WHERE rowid = 2", "unsent"),
    ("UPDATE unsent SET step = 8 WHERE rowid = 2", "unsent"),
    ("UPDATE iterations SET finished = 1", "iterations"),
    ("UPDATE iterations SET seconds = 4", "iterations"),
    ("DELETE FROM iterations WHERE iteration = 1", "iterations"),
    ("UPDATE iterations SET rowid = 9 WHERE iteration = 0", "iterations"),
    ("UPDATE requests SET issued = 6 WHERE session = 1", "requests"),
    ("DELETE FROM requests WHERE session = 2", "requests"),
    ("UPDATE counts SET rows = rows + 1 WHERE kind = 'executions' AND task_id = 'one'", "executions"),
]
"""Changes, each with the part of the archive that a finding must name."""


@pytest.mark.parametrize(("sql", "named"), DAMAGES)
def test_what_was_changed_is_named_by_the_reader_and_by_the_audit(whole, tmp_path, sql, named):
    path = changed(whole, tmp_path, sql)
    with pytest.raises(StoreError, match=named):
        everything_said(path)
    assert any(named in finding for finding in audit(path))


def test_what_is_said_of_damage_is_what_was_said(whole, tmp_path):
    """Where the words are meant to change, GOLDEN=write in the environment writes the file anew."""
    said = {}
    for sql, _ in DAMAGES:
        path = changed(whole, tmp_path, sql)
        with pytest.raises(StoreError) as refused:
            everything_said(path)
        found = [str(refused.value), *audit(path)]
        said[sql] = [finding.replace(str(path), "ARCHIVE").replace(str(tmp_path), "RUN") for finding in found]
    golden = Path(__file__).parent / "said_of_damage.json"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    assert said == json.loads(golden.read_text(encoding="utf-8"))


def test_an_audit_finds_nothing_in_an_archive_that_is_whole(whole, tmp_path):
    assert audit(changed(whole, tmp_path, "SELECT 1")) == []


def test_an_audit_says_which_check_it_could_not_end(whole, tmp_path):
    path = changed(whole, tmp_path, "DROP TABLE searched")
    assert "a check stopped early: no such table: searched" in audit(path)


def test_a_row_has_the_same_checksum_in_every_version():
    """Stored ones would not fit any more: an archive of an earlier version would look damaged."""
    assert checksum("train", 0, None, 2.5, b"\x00\xff", "ö", "", -(2**63)) == 2118213567
    assert len({checksum(value) for value in ("1", 1, 1.0, b"1", None, "None", "")}) == 7


def test_an_audit_finds_what_no_question_has_read(whole, tmp_path):
    """SQLite's own check alone finds neither a changed value nor an output that nothing refers to."""
    path = changed(whole, tmp_path, "DELETE FROM outputs WHERE value = '[[6]]'")
    assert any("missing" in finding for finding in audit(path))
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT text FROM completions WHERE rowid = 1").fetchone()
    assert whole[0].count(text) == 1
    path.write_bytes(whole[0].replace(text, text[:-1] + bytes([text[-1] ^ 1])))
    assert any("completions" in finding for finding in audit(path))


def test_a_damaged_row_of_an_iteration_is_not_made_good_by_writing_to_it(whole, tmp_path):
    path = changed(whole, tmp_path, "UPDATE iterations SET seconds = 4")
    writer = ArchiveWriter(path)
    with pytest.raises(StoreError, match="damaged"):
        asyncio.run(writer.finish("train", 1))
    writer.close()


def test_an_archive_of_the_first_layout_is_read_as_it_is_and_sealed_when_it_is_written(tmp_path):
    fill(tmp_path / "archive.sqlite")
    path = older(tmp_path / "archive.sqlite", 1)
    right = everything_said(tmp_path / "archive.sqlite")
    assert everything_said(path) == right
    assert audit(path) == []
    writer = ArchiveWriter(path)
    asyncio.run(writer.begin("train", 1))
    writer.close()
    assert everything_said(path) == right
    assert audit(path) == []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE completions SET status = 'empty' WHERE rowid = 1")
        connection.commit()
    with pytest.raises(StoreError, match="completions"):
        everything_said(path)


def test_a_resume_reads_its_own_task_and_not_the_whole_archive(whole, tmp_path):
    path = changed(whole, tmp_path, "UPDATE completions SET text = '' WHERE task_id = 'two'")
    reader = ArchiveReader(path)
    assert len(reader.completions("train", 0, "one", "sample", 0)) == 8
    with pytest.raises(StoreError, match="two"):
        reader.completions("train", 0, "two", "sample", 0)
    assert len(reader.programs("one", "train")) > 0
    reader.close()
