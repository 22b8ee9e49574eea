"""All of an archive looked at, for damage that nothing has read yet. Reads every row and every page; changes nothing.

Knows what SQLite can check, and what its own checksums, counts and hashes say.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from soar.archive.checks import COLUMNS, COUNTED_BY, KEYS, checksum, counted_sql
from soar.archive.refusal import WAIT_SECONDS, refusal
from soar.archive.rows import code_hash, output_hash
from soar.archive.schema import CHECKED, SINCE, layout
from soar.archive.tallies import TALLIED
from soar.errors import StoreError

SHOWN = 20
"""How many findings of one kind are named."""


def audit(path: Path) -> list[str]:
    """Return what is damaged in the archive at `path`, a sentence each; `StoreError` if it cannot be opened at all."""
    found: list[str] = []
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS)) as connection:
        try:
            found_layout = layout(connection)
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise refusal(path, "read", error) from error
        looks = [_pages(connection), _outputs(connection), _codes(connection), _missing_outputs(connection)]
        tables = [table for table in COLUMNS if SINCE.get(table, 1) <= found_layout]
        if found_layout >= CHECKED:
            looks += [_changed(connection, table) for table in tables]
            looks += [_uncounted(connection, table) for table in COUNTED_BY if table in (*tables, "outputs")]
        if "tallies" in tables:
            looks.append(_mistallied(connection))
        for look in looks:
            found += _few(look)
    return found


def _few(look: Iterator[str]) -> list[str]:
    """Return the first findings of a look, and how it ended where the file gave out."""
    found: list[str] = []
    try:
        for finding in look:
            if len(found) == SHOWN:
                return [*found, "and more of the kind"]
            found.append(finding)
    except (sqlite3.Error, StoreError, ValueError) as error:
        found.append(f"a look broke off: {error}")
    return found


def _pages(connection: sqlite3.Connection) -> Iterator[str]:
    for (finding,) in connection.execute(f"PRAGMA integrity_check({SHOWN + 1})"):
        if finding != "ok":
            yield f"SQLite finds: {finding}"


def _changed(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """Read a table in the order of its rows, past any index."""
    rowid = "rowid" if "rowid" not in COLUMNS[table] else "0"
    for *values, stored, _ in connection.execute(
        f"SELECT {', '.join(COLUMNS[table])}, checksum, {rowid} FROM {table} NOT INDEXED"
    ):
        if checksum(*values) != stored:
            row = dict(zip(COLUMNS[table], values, strict=True))
            yield f"a row of {table} was changed: {'/'.join(str(row[name])[:80] for name in KEYS[table])}"


def _uncounted(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = ", ".join(COUNTED_BY[table])
    sql = counted_sql(table) + (f" GROUP BY {columns}" if columns else "")
    found = {row[:-1]: row[-1] for row in connection.execute(sql) if row[-1]}
    sql = "SELECT kind, stage, iteration, task_id, phase, island, rows FROM counts WHERE kind = ?"
    stored = {row[:-1]: row[-1] for row in connection.execute(sql, (table,)) if row[-1]}
    for part in sorted(found.keys() | stored.keys(), key=repr):
        if found.get(part, 0) != stored.get(part, 0):
            of = f" of {'/'.join(map(str, part[1:]))}" if columns else ""
            yield f"{found.get(part, 0)} rows of {table}{of} are there, {stored.get(part, 0)} were stored"


def _mistallied(connection: sqlite3.Connection) -> Iterator[str]:
    found = {row[:4]: row[4:] for row in connection.execute(TALLIED)}
    stored = {row[:4]: row[4:] for row in connection.execute(f"SELECT {', '.join(COLUMNS['tallies'])} FROM tallies")}
    for ended in sorted(found.keys() | stored.keys(), key=repr):
        there, said = found.get(ended, (0, 0, 0, 0)), stored.get(ended, (0, 0, 0, 0))
        if there != said:
            yield f"the completions of {'/'.join(map(str, ended))} come to {there}, the tally says {said}"


def _outputs(connection: sqlite3.Connection) -> Iterator[str]:
    for name, value in connection.execute("SELECT hash, value FROM outputs"):
        if output_hash(value) != name:
            yield f"output {name} was changed"


def _codes(connection: sqlite3.Connection) -> Iterator[str]:
    for task_id, name, code in connection.execute("SELECT task_id, code_hash, code FROM executions NOT INDEXED"):
        if code_hash(code) != name:
            yield f"program {name} of task {task_id} was changed"


def _missing_outputs(connection: sqlite3.Connection) -> Iterator[str]:
    for pairs in ("train", "test"):
        for task_id, name in connection.execute(
            f"SELECT e.task_id, p.value FROM executions e, json_each(e.{pairs}) p"
            " WHERE NOT EXISTS (SELECT 1 FROM outputs o WHERE o.hash = p.value)"
        ):
            yield f"output {name} of task {task_id} is missing"
