"""Checksums per row and counts of stored rows, which make damage to an archive detectable.

SQLite itself detects little: a changed byte in a row reads as another value, one in an index hides rows. Knows columns;
does not know what rows mean or when they are checked.
"""

import sqlite3
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

Part: TypeAlias = tuple[str, str, int, str, str, int]
"""The key of a count: table, stage, iteration, task, phase, island; "" or 0 if the table lacks the column."""

COLUMNS = {
    "completions": (
        *("stage", "iteration", "task_id", "phase", "island", "step", "place", "parents", "prompt_detail", "text"),
        *("finish_reason", "prompt_tokens", "completion_tokens", "seconds", "status", "code_hash"),
    ),
    "executions": (
        *("task_id", "code_hash", "status", "accuracy", "train", "test", "ballot", "behaviour", "cpu_seconds"),
    ),
    "unsent": ("stage", "iteration", "task_id", "phase", "island", "step", "completions"),
    "iterations": ("rowid", "stage", "iteration", "seconds", "finetune_seconds", "finished"),
    "requests": ("session", "issued", "retried", "failed"),
    "searched": ("stage", "iteration", "task_id"),
    "tallies": (
        *("stage", "iteration", "task_id", "status", "completions", "prompt_tokens", "completion_tokens", "right"),
    ),
}
"""The columns that a table's checksum covers, in order. Iterations are read in the order of their rowids, so it covers
these too. Outputs and programs need no checksum: each is stored under its hash."""

KEYS = {
    "completions": ("stage", "iteration", "task_id", "phase", "island", "step", "place"),
    "executions": ("task_id", "code_hash"),
    "unsent": ("stage", "iteration", "task_id", "phase", "island", "step"),
    "iterations": ("stage", "iteration"),
    "requests": ("session",),
    "searched": ("stage", "iteration", "task_id"),
    "tallies": ("stage", "iteration", "task_id", "status"),
}
"""The columns that identify a table's rows."""

COUNTED_BY = {
    "completions": ("stage", "iteration", "task_id", "phase", "island"),
    "unsent": ("stage", "iteration", "task_id", "phase", "island"),
    "executions": ("task_id",),
    "outputs": (),
    "codes": (),
    "iterations": (),
    "requests": (),
    "searched": ("stage", "iteration"),
}
"""The columns by which a table's rows are counted."""


def checksum(*values: object) -> int:
    """Return the checksum of a row's values as SQLite returns them; None, numbers, text and bytes differ."""
    # latin-1 for bytes: their repr would take several times as long.
    texts = [
        value if type(value) is str else "\1" + value.decode("latin-1") if type(value) is bytes else f"\0{value!r}"
        for value in values
    ]
    return zlib.crc32("\x1f".join(texts).encode())


def checksum_sql(table: str) -> str:
    """Return the SQL expression of a row's checksum, for connections that `offer_checksum` prepared."""
    return f"row_checksum({', '.join(f'{table}.{column}' for column in COLUMNS[table])})"


def offer_checksum(connection: sqlite3.Connection) -> None:
    """Make `row_checksum` available to a connection's statements."""
    connection.create_function("row_checksum", -1, checksum, deterministic=True)


def add_counts(connection: sqlite3.Connection, stored: Counter[Part]) -> None:
    """Add to the counts; call it in the transaction that stores the rows."""
    connection.executemany(
        "INSERT INTO counts VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        [(*part, rows) for part, rows in stored.items()],
    )


def seal(connection: sqlite3.Connection) -> None:
    """Compute the checksums and counts of an archive without any."""
    for table in COLUMNS:
        connection.execute(f"UPDATE {table} SET checksum = {checksum_sql(table)}")
    for table, columns in COUNTED_BY.items():
        sql = f"INSERT INTO counts {counted_sql(table)}" + (f" GROUP BY {', '.join(columns)}" if columns else "")
        connection.execute(sql)


def counted_sql(table: str) -> str:
    """Return the statement that counts the rows now in a table; the caller adds GROUP BY the table's `COUNTED_BY`."""
    own = COUNTED_BY[table]
    empty = {"stage": "''", "iteration": "0", "task_id": "''", "phase": "''", "island": "0"}
    key = ", ".join(name if name in own else default for name, default in empty.items())
    return f"SELECT '{table}', {key}, COUNT(*) FROM {table}"


def counted(connection: sqlite3.Connection, table: str, where: Mapping[str, object]) -> int:
    """Return how many rows were ever stored in the part of a table that `where` selects."""
    conditions = "".join(f" AND {column} = ?" for column in where)
    sql = f"SELECT COALESCE(SUM(rows), 0) FROM counts WHERE kind = ?{conditions}"
    return connection.execute(sql, (table, *where.values())).fetchone()[0]
