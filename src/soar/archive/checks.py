"""What makes damage to an archive noticeable: a checksum per row, and counts of the rows that were stored.

SQLite notices little by itself: a changed byte in a row is another value, one in an index lets rows vanish from
answers. Knows columns; does not know what rows mean, nor when they are looked at.
"""

import sqlite3
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

Part: TypeAlias = tuple[str, str, int, str, str, int]
"""What a count is kept of: table, stage, iteration, task, phase, island; "" and 0 where a table has no such column."""

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
"""The columns that a table's checksum covers, in their order. Searches are told apart by the order of their rowids, so
these count. An output or a program needs no checksum: its hash is its name."""

KEYS = {
    "completions": ("stage", "iteration", "task_id", "phase", "island", "step", "place"),
    "executions": ("task_id", "code_hash"),
    "unsent": ("stage", "iteration", "task_id", "phase", "island", "step"),
    "iterations": ("stage", "iteration"),
    "requests": ("session",),
    "searched": ("stage", "iteration", "task_id"),
    "tallies": ("stage", "iteration", "task_id", "status"),
}
"""The columns that tell a table's rows apart."""

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
    """Return the checksum of a row's values as SQLite gives them back; None, numbers, text and bytes are told apart."""
    # Bytes written out as Python shows them would take several times as long.
    texts = [
        value if type(value) is str else "\1" + value.decode("latin-1") if type(value) is bytes else f"\0{value!r}"
        for value in values
    ]
    return zlib.crc32("\x1f".join(texts).encode())


def checksum_sql(table: str) -> str:
    """Return the expression that computes a row's checksum where `offer_checksum` was called."""
    return f"row_checksum({', '.join(f'{table}.{column}' for column in COLUMNS[table])})"


def offer_checksum(connection: sqlite3.Connection) -> None:
    """Let statements of a connection compute checksums."""
    connection.create_function("row_checksum", -1, checksum, deterministic=True)


def add_counts(connection: sqlite3.Connection, stored: Counter[Part]) -> None:
    """Add to the counts, in the transaction that stores the rows."""
    connection.executemany(
        "INSERT INTO counts VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        [(*part, rows) for part, rows in stored.items()],
    )


def seal(connection: sqlite3.Connection) -> None:
    """Compute checksums and counts of an archive that had none."""
    for table in COLUMNS:
        connection.execute(f"UPDATE {table} SET checksum = {checksum_sql(table)}")
    for table, columns in COUNTED_BY.items():
        sql = f"INSERT INTO counts {counted_sql(table)}" + (f" GROUP BY {', '.join(columns)}" if columns else "")
        connection.execute(sql)


def counted_sql(table: str) -> str:
    """Return the statement that counts a table's rows as they are, ready to be grouped by what they are counted by."""
    own = COUNTED_BY[table]
    empty = {"stage": "''", "iteration": "0", "task_id": "''", "phase": "''", "island": "0"}
    key = ", ".join(name if name in own else default for name, default in empty.items())
    return f"SELECT '{table}', {key}, COUNT(*) FROM {table}"


def counted(connection: sqlite3.Connection, table: str, where: Mapping[str, object]) -> int:
    """Return how many rows of a table were ever stored, of the part that the columns in `where` name."""
    conditions = "".join(f" AND {column} = ?" for column in where)
    sql = f"SELECT COALESCE(SUM(rows), 0) FROM counts WHERE kind = ?{conditions}"
    return connection.execute(sql, (table, *where.values())).fetchone()[0]
