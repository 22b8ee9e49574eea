"""Checks a whole archive for damage that no query has met yet. Reads every row and every page; changes nothing.

Knows SQLite's own check, and the archive's checksums, counts and hashes.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from soar.archive.checks import COLUMNS, COUNTED_BY, KEYS, checksum, counted_sql
from soar.archive.forms import PLAIN, Form, form_of
from soar.archive.opening import open_to_read
from soar.archive.refusal import refusal
from soar.archive.schema import CHECKED, SINCE, layout
from soar.archive.tallies import TALLIED
from soar.errors import StoreError

SHOWN = 20
"""Findings listed per check."""


def audit(path: Path) -> list[str]:
    """Return the damage found in the archive at `path`, one sentence each; `StoreError` if it cannot be opened."""
    found: list[str] = []
    with closing(open_to_read(path).connection) as connection:
        try:
            found_layout = layout(connection)
            connection.execute("BEGIN")  # one snapshot for all checks: a run may be writing
        except sqlite3.Error as error:
            raise refusal(path, "read", error) from error
        form = form_of(found_layout)
        checks = [_pages(connection), _outputs(connection, form), _codes(connection, form)]
        checks += [_missing_outputs(connection, form), _missing_codes(connection, form)]
        tables = [table for table in {**COLUMNS, **COUNTED_BY} if SINCE.get(table, 1) <= found_layout]
        if found_layout >= CHECKED:
            checks += [_changed(connection, table, form.columns[table]) for table in tables if table in COLUMNS]
            checks += [_miscounted(connection, table) for table in tables if table in COUNTED_BY]
        if "tallies" in tables:
            checks.append(_mistallied(connection))
        for look in checks:
            found += _first_findings(look)
    return found


def _first_findings(look: Iterator[str]) -> list[str]:
    """Return a check's first findings, and the error that ended it, if any."""
    found: list[str] = []
    try:
        for finding in look:
            if len(found) == SHOWN:
                return [*found, "and more like these"]
            found.append(finding)
    except (sqlite3.Error, StoreError, ValueError) as error:
        found.append(f"a check stopped early: {error}")
    return found


def _pages(connection: sqlite3.Connection) -> Iterator[str]:
    for (finding,) in connection.execute(f"PRAGMA integrity_check({SHOWN + 1})"):
        if finding != "ok":
            yield f"SQLite reports: {finding}"


def _changed(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Check every row of a table, without an index: a damaged one could hide rows."""
    rowid = "rowid" if "rowid" not in columns else "0"
    for *values, stored, _ in connection.execute(
        f"SELECT {', '.join(columns)}, checksum, {rowid} FROM {table} NOT INDEXED"
    ):
        if checksum(*values) != stored:
            row = dict(zip(columns, values, strict=True))
            yield f"a row of {table} was changed: {'/'.join(str(row[name])[:80] for name in KEYS[table])}"


def _miscounted(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = ", ".join(COUNTED_BY[table])
    sql = counted_sql(table) + (f" GROUP BY {columns}" if columns else "")
    found = {row[:-1]: row[-1] for row in connection.execute(sql) if row[-1]}
    sql = "SELECT kind, stage, iteration, task_id, phase, island, rows FROM counts WHERE kind = ?"
    stored = {row[:-1]: row[-1] for row in connection.execute(sql, (table,)) if row[-1]}
    for part in sorted(found.keys() | stored.keys(), key=repr):
        if found.get(part, 0) != stored.get(part, 0):
            of = f" of {'/'.join(map(str, part[1:]))}" if columns else ""
            yield f"found {found.get(part, 0)} rows of {table}{of}, expected {stored.get(part, 0)}"


def _mistallied(connection: sqlite3.Connection) -> Iterator[str]:
    found = {row[:4]: row[4:] for row in connection.execute(TALLIED)}
    stored = {row[:4]: row[4:] for row in connection.execute(f"SELECT {', '.join(COLUMNS['tallies'])} FROM tallies")}
    for ended in sorted(found.keys() | stored.keys(), key=repr):
        there, said = found.get(ended, (0, 0, 0, 0)), stored.get(ended, (0, 0, 0, 0))
        if there != said:
            yield f"the completions of {'/'.join(map(str, ended))} add up to {there}, but the tally says {said}"


def _outputs(connection: sqlite3.Connection, form: Form) -> Iterator[str]:
    for name, value in connection.execute("SELECT hash, value FROM outputs"):
        if not _is_whole(form.output, value, form.name(name)):
            yield f"output {form.name(name)} was changed"


def _codes(connection: sqlite3.Connection, form: Form) -> Iterator[str]:
    sql = "SELECT code_hash, code FROM executions" if form is PLAIN else "SELECT hash, code FROM codes"
    for name, code in connection.execute(f"{sql} NOT INDEXED"):
        if not _is_whole(form.code, code, form.name(name)):
            yield f"program {form.name(name)} was changed"


def _is_whole(read: Callable[[Any, str], str], stored: object, name: str) -> bool:
    """Return whether a stored value matches the hash that names it."""
    try:
        read(stored, name)
    except (StoreError, ValueError, TypeError):
        return False
    return True


def _missing_outputs(connection: sqlite3.Connection, form: Form) -> Iterator[str]:
    for pairs in ("train", "test"):
        for task_id, name in connection.execute(
            f"SELECT task_id, hash FROM ({form.outputs_of.format(pairs)}) e"
            " WHERE NOT EXISTS (SELECT 1 FROM outputs o WHERE o.hash = e.hash)"
        ):
            yield f"output {form.name(name)} of task {task_id} is missing"


def _missing_codes(connection: sqlite3.Connection, form: Form) -> Iterator[str]:
    """Yield programs that are missing though they ran, or though a text cannot be unpacked without them."""
    if form is PLAIN:
        return
    # 02 is `packing.SPLICED`: the text was stored without its program.
    for table, which in (("executions", "1"), ("completions", "substr(t.text, 1, 1) = x'02'")):
        for task_id, name in connection.execute(
            f"SELECT t.task_id, t.code_hash FROM {table} t"
            f" WHERE {which} AND NOT EXISTS (SELECT 1 FROM codes WHERE codes.hash = t.code_hash)"
        ):
            yield f"program {form.name(name)} of task {task_id} is missing"
