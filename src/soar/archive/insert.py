"""Inserts rows, each with its checksum, and keeps the counts in step.

Knows statements; knows neither threads nor transactions. An existing row is left as it is and not counted again.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from soar.archive.checks import COLUMNS, Part, add_counts, checksum, checksum_sql
from soar.archive.packing import pack_all, pack_outputs, pack_without, stored_name
from soar.archive.rows import CompletionRow, ExecutionRow, Row, UnsentRow, code_hash, encode_output
from soar.archive.tallies import Tallies
from soar.errors import StoreError

AT_ONCE = 64
"""Hashes that one statement looks up. Shorter lists are padded with NULL, so that one prepared statement serves all."""


@dataclass
class Stored:
    """What one transaction has stored: rows per part, and what they add to the tallies."""

    counts: Counter[Part] = field(default_factory=Counter)
    tallies: Tallies = field(default_factory=Tallies)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add it to the archive's counts and tallies, in the transaction that stores the rows."""
        add_counts(connection, +self.counts)
        self.tallies.write(connection)


def insert(connection: sqlite3.Connection, stored: Stored, rows: Sequence[Row]) -> None:
    """Insert rows, and note the new ones in `stored`."""
    _insert_new(connection, stored, "codes", dict(filter(None, map(_code, rows))), pack_all)
    outputs = {name: text for row in rows if isinstance(row, ExecutionRow) for name, text in _encoded(row)}
    _insert_new(connection, stored, "outputs", outputs, pack_outputs)
    completions = [row for row in rows if isinstance(row, CompletionRow)]
    texts = iter(pack_without([(row.completion.text, (_code(row) or (None, None))[1]) for row in completions]))
    for row in rows:
        if isinstance(row, CompletionRow):
            _insert_completion(connection, stored, row, next(texts))
        elif isinstance(row, ExecutionRow):
            _insert_execution(connection, stored, row)
        elif isinstance(row, UnsentRow):
            _insert_unsent(connection, stored, row)
        else:
            part: Part = ("searched", row.stage, row.iteration, "", "", 0)
            _insert_checked(connection, stored, part, (row.stage, row.iteration, row.task_id))


def _code(row: Row) -> tuple[str, str] | None:
    """Return the name and text of a row's program, if known. One with another hash does not count: a text stored
    without it could not be read again."""
    if isinstance(row, ExecutionRow):
        return row.name, row.code
    if isinstance(row, CompletionRow) and row.code and (name := code_hash(row.code)) == row.code_hash:
        return name, row.code
    return None


def _encoded(row: ExecutionRow) -> Sequence[tuple[str, str]]:
    """Return the names and texts of an execution's outputs, training first."""
    return row.encoded or [encode_output(output) for output in (*row.train, *row.test)]


def _insert_new(
    connection: sqlite3.Connection,
    stored: Stored,
    table: str,
    texts: Mapping[str, str],
    packed: Callable[[Sequence[str]], Sequence[str | bytes]],
) -> None:
    """Insert new texts under their hashes. Only new ones are packed: that costs ten times as much as looking them up,
    which is done for many rows at once."""
    names = [bytes.fromhex(name) for name in texts]
    known: set[bytes] = set()
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        asked = [*some, *[None] * (AT_ONCE - len(some))]
        known.update(
            name for (name,) in connection.execute(f"SELECT hash FROM {table} WHERE hash IN ({_MARKS})", asked)
        )
    new = {name: text for name, text in zip(names, texts.values(), strict=True) if name not in known}
    connection.executemany(f"INSERT INTO {table} VALUES (?,?)", zip(new, packed(list(new.values())), strict=True))
    stored.counts[table, "", 0, "", "", 0] += len(new)


def _insert_completion(connection: sqlite3.Connection, stored: Stored, row: CompletionRow, text: bytes) -> None:
    o, c, name = row.origin, row.completion, stored_name(row.code_hash)
    values = (
        *(o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, o.index),
        *(_listed(row.parents), json.dumps(row.prompt_detail) if row.prompt_detail else "{}", text, c.finish_reason),
        *(c.prompt_tokens, c.completion_tokens, float(c.seconds), row.status, name),
    )
    part: Part = ("completions", o.stage, o.iteration, o.task_id, o.phase, o.island)
    if _insert_checked(connection, stored, part, values):
        ended = (o.stage, o.iteration, o.task_id, row.status)
        stored.tallies.completion(connection, ended, name, (c.prompt_tokens, c.completion_tokens))


@lru_cache(maxsize=1 << 10)
def _listed(parents: tuple[str, ...]) -> str:
    """Return parents as they are stored. Cached: the completions of one call share them."""
    return json.dumps(parents)


def _insert_execution(connection: sqlite3.Connection, stored: Stored, row: ExecutionRow) -> None:
    names = [name for name, _ in _encoded(row)]
    train, test = (bytes.fromhex("".join(some)) for some in (names[: len(row.train)], names[len(row.train) :]))
    name, accuracy = bytes.fromhex(row.name), float(row.accuracy)
    values = (
        *(row.task_id, name, row.status, accuracy, train, test),
        *(stored_name(row.ballot), stored_name(row.behaviour), float(row.cpu_seconds)),
    )
    if _insert_checked(connection, stored, ("executions", "", 0, row.task_id, "", 0), values):
        stored.tallies.execution(connection, row.task_id, name, row.status, accuracy)


def _insert_unsent(connection: sqlite3.Connection, stored: Stored, row: UnsentRow) -> None:
    o = row.origin
    values = (o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, row.completions)
    _insert_checked(connection, stored, ("unsent", o.stage, o.iteration, o.task_id, o.phase, o.island), values)


def _insert_checked(connection: sqlite3.Connection, stored: Stored, part: Part, values: tuple[object, ...]) -> bool:
    """Insert a row unless it exists; return whether it is new."""
    new = connection.execute(_INSERT[part[0]], (*values, checksum(*values))).rowcount == 1
    stored.counts[part] += new
    return new


_MARKS = ",".join("?" * AT_ONCE)
_INSERT = {
    table: f"INSERT INTO {table} VALUES ({'?,' * len(columns)}?) ON CONFLICT DO NOTHING"
    for table, columns in COLUMNS.items()
}


def insert_iteration(connection: sqlite3.Connection, stored: Stored, stage: str, iteration: int) -> None:
    """Insert an iteration that has started."""
    sql = "INSERT INTO iterations (stage, iteration) VALUES (?, ?) ON CONFLICT DO NOTHING"
    if connection.execute(sql, (stage, iteration)).rowcount:
        stored.counts["iterations", "", 0, "", "", 0] += 1
        _seal_iteration(connection, stage, iteration)


def update_iteration(
    connection: sqlite3.Connection, stage: str, iteration: int, change: str, values: tuple[object, ...]
) -> None:
    """Change an iteration's row; refuse a damaged one, which its new checksum would make look intact."""
    sql = f"UPDATE iterations SET {change} WHERE stage = ? AND iteration = ? AND checksum = {_ITERATION}"
    if connection.execute(sql, (*values, stage, iteration)).rowcount != 1:
        raise StoreError(
            f"the archive is damaged: the row of iteration {iteration} of {stage} was changed or is missing"
        )
    _seal_iteration(connection, stage, iteration)


def insert_requests(connection: sqlite3.Connection, stored: Stored, counts: Mapping[str, int]) -> None:
    """Insert the request counts of one session."""
    sql = "INSERT INTO requests (issued, retried, failed) VALUES (?, ?, ?)"
    session = connection.execute(sql, (counts["issued"], counts["retried"], counts["failed"])).lastrowid
    stored.counts["requests", "", 0, "", "", 0] += 1
    connection.execute(f"UPDATE requests SET checksum = {checksum_sql('requests')} WHERE session = ?", (session,))


_ITERATION = checksum_sql("iterations")


def _seal_iteration(connection: sqlite3.Connection, stage: str, iteration: int) -> None:
    sql = f"UPDATE iterations SET checksum = {_ITERATION} WHERE stage = ? AND iteration = ?"
    connection.execute(sql, (stage, iteration))
