"""How rows go into the tables, each with its checksum, and the counts that go with them.

Knows statements; knows neither threads nor transactions. A row that exists is left as it is and not counted again.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from soar.archive.checks import Part, add_counts, checksum, checksum_sql
from soar.archive.rows import CompletionRow, ExecutionRow, Row, UnsentRow, code_hash, encode_output
from soar.archive.tallies import Tallies
from soar.errors import StoreError


@dataclass
class Stored:
    """What one transaction has stored: rows per part, and what they add to the tallies."""

    counts: Counter[Part] = field(default_factory=Counter)
    tallies: Tallies = field(default_factory=Tallies)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add all of it to what the archive counts, in the transaction that stores the rows."""
        add_counts(connection, +self.counts)
        self.tallies.write(connection)


def insert(connection: sqlite3.Connection, stored: Stored, rows: Sequence[Row]) -> None:
    """Insert rows, and note in `stored` those that were not there."""
    for row in rows:
        if isinstance(row, CompletionRow):
            _insert_completion(connection, stored, row)
        elif isinstance(row, ExecutionRow):
            _insert_execution(connection, stored, row)
        elif isinstance(row, UnsentRow):
            _insert_unsent(connection, stored, row)
        else:
            part: Part = ("searched", row.stage, row.iteration, "", "", 0)
            _insert_checked(connection, stored, part, (row.stage, row.iteration, row.task_id))


def _insert_completion(connection: sqlite3.Connection, stored: Stored, row: CompletionRow) -> None:
    o, c = row.origin, row.completion
    values = (
        *(o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, o.index),
        *(json.dumps(row.parents), json.dumps(row.prompt_detail), c.text, c.finish_reason),
        *(c.prompt_tokens, c.completion_tokens, float(c.seconds), row.status, row.code_hash),
    )
    part: Part = ("completions", o.stage, o.iteration, o.task_id, o.phase, o.island)
    if _insert_checked(connection, stored, part, values):
        ended = (o.stage, o.iteration, o.task_id, row.status)
        stored.tallies.completion(connection, ended, row.code_hash, (c.prompt_tokens, c.completion_tokens))


def _insert_execution(connection: sqlite3.Connection, stored: Stored, row: ExecutionRow) -> None:
    encoded = row.encoded or tuple(encode_output(output) for output in (*row.train, *row.test))
    found = connection.executemany("INSERT INTO outputs VALUES (?,?) ON CONFLICT DO NOTHING", encoded)
    stored.counts["outputs", "", 0, "", "", 0] += max(found.rowcount, 0)
    hashes = [name for name, _ in encoded]
    train, test = json.dumps(hashes[: len(row.train)]), json.dumps(hashes[len(row.train) :])
    name, accuracy = code_hash(row.code), float(row.accuracy)
    values = (
        *(row.task_id, name, row.code, row.status, accuracy),
        *(train, test, row.ballot, row.behaviour, float(row.cpu_seconds)),
    )
    if _insert_checked(connection, stored, ("executions", "", 0, row.task_id, "", 0), values):
        stored.tallies.execution(connection, row.task_id, name, row.status, accuracy)


def _insert_unsent(connection: sqlite3.Connection, stored: Stored, row: UnsentRow) -> None:
    o = row.origin
    values = (o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, row.completions)
    _insert_checked(connection, stored, ("unsent", o.stage, o.iteration, o.task_id, o.phase, o.island), values)


def _insert_checked(connection: sqlite3.Connection, stored: Stored, part: Part, values: tuple[object, ...]) -> bool:
    """Insert a row unless it is there; return whether it was not."""
    marks = ",".join("?" * (len(values) + 1))
    sql = f"INSERT INTO {part[0]} VALUES ({marks}) ON CONFLICT DO NOTHING"
    new = connection.execute(sql, (*values, checksum(*values))).rowcount == 1
    stored.counts[part] += new
    return new


def insert_iteration(connection: sqlite3.Connection, stored: Stored, stage: str, iteration: int) -> None:
    """Insert an iteration that has begun."""
    sql = "INSERT INTO iterations (stage, iteration) VALUES (?, ?) ON CONFLICT DO NOTHING"
    if connection.execute(sql, (stage, iteration)).rowcount:
        stored.counts["iterations", "", 0, "", "", 0] += 1
        _seal_iteration(connection, stage, iteration)


def update_iteration(
    connection: sqlite3.Connection, stage: str, iteration: int, change: str, values: tuple[object, ...]
) -> None:
    """Change an iteration's row, unless it is damaged: its new checksum would make that true."""
    sql = f"UPDATE iterations SET {change} WHERE stage = ? AND iteration = ? AND checksum = {_ITERATION}"
    if connection.execute(sql, (*values, stage, iteration)).rowcount != 1:
        raise StoreError(f"the archive is damaged: the row of iteration {iteration} of {stage} was changed or is lost")
    _seal_iteration(connection, stage, iteration)


def insert_requests(connection: sqlite3.Connection, stored: Stored, counts: Mapping[str, int]) -> None:
    """Insert what one session asked of its model."""
    sql = "INSERT INTO requests (issued, retried, failed) VALUES (?, ?, ?)"
    session = connection.execute(sql, (counts["issued"], counts["retried"], counts["failed"])).lastrowid
    stored.counts["requests", "", 0, "", "", 0] += 1
    connection.execute(f"UPDATE requests SET checksum = {checksum_sql('requests')} WHERE session = ?", (session,))


_ITERATION = checksum_sql("iterations")


def _seal_iteration(connection: sqlite3.Connection, stage: str, iteration: int) -> None:
    sql = f"UPDATE iterations SET checksum = {_ITERATION} WHERE stage = ? AND iteration = ?"
    connection.execute(sql, (stage, iteration))
