"""Rewrites the rows of layout 4 or earlier as layout 5 stores them.

Knows both forms; runs inside a migration's transaction. A damaged row is refused: its new checksum would make it look
intact. Counts are kept, so rows that were lost are still noticed.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

from soar.archive.checks import COLUMNS, checksum, counted_sql
from soar.archive.forms import PLAIN
from soar.archive.packing import pack, pack_outputs, stored_name
from soar.errors import StoreError


def repack(connection: sqlite3.Connection, *, checked: bool) -> None:
    """Move all rows out of the tables ``old_…`` and drop these; `StoreError` if a row does not match its checksum
    (`checked`: it has one)."""
    for row in _rows(connection, "executions", checked):
        code, hashes = row.pop("code"), ("code_hash", "ballot", "behaviour")
        row |= {name: stored_name(row[name]) for name in hashes}
        row |= {pairs: b"".join(map(bytes.fromhex, row[pairs])) for pairs in ("train", "test")}
        connection.execute("INSERT INTO codes VALUES (?,?) ON CONFLICT DO NOTHING", (row["code_hash"], pack(code)))
        _insert(connection, "executions", row)
    for row in _rows(connection, "completions", checked):
        sql = "SELECT code FROM old_executions WHERE task_id = ? AND code_hash = ?"
        found = connection.execute(sql, (row["task_id"], row["code_hash"])).fetchone()
        # Only programs that ran are in `codes`, so only their texts may be stored without them.
        row |= {"text": pack(row["text"], *found or ()), "code_hash": stored_name(row["code_hash"])}
        _insert(connection, "completions", row)
    outputs = connection.execute("SELECT hash, value FROM old_outputs")
    packed = ((bytes.fromhex(name), *pack_outputs([value])) for name, value in outputs)
    connection.executemany("INSERT INTO outputs VALUES (?,?)", packed)
    for table in ("completions", "executions", "outputs"):
        connection.execute(f"DROP TABLE old_{table}")
    if checked:
        connection.execute(f"INSERT INTO counts {counted_sql('codes')}")


def _rows(connection: sqlite3.Connection, table: str, checked: bool) -> Iterator[dict[str, Any]]:
    """Yield a table's rows in the order of their rowids, by column."""
    names = PLAIN.columns[table]
    for *values, stored in connection.execute(f"SELECT {', '.join(names)}, checksum FROM old_{table} ORDER BY rowid"):
        if checked and checksum(*values) != stored:
            raise StoreError(f"the archive is damaged: a row of {table} was changed ({values[0]}/{values[1]} …)")
        row = dict(zip(names, values, strict=True))
        if table == "executions":
            row |= {name: decode(row[name]) for name, decode in PLAIN.values[table].items()}
        yield row


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    values = [row[name] for name in COLUMNS[table]]
    marks = ",".join("?" * (len(values) + 1))
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", (*values, checksum(*values)))
