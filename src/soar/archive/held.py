"""Reads an archive's rows and checks each against its checksum, and the rows of a result against their count.

Knows tables, checksums and counts; does not know which questions are asked, what rows mean, or how they are stored
(`forms`). Archives of the first layout have neither checksums nor counts and are read unchecked.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from soar.archive.checks import COUNTED_BY, KEYS, checksum, counted
from soar.archive.forms import PACKED, form_of
from soar.archive.opening import open_to_read, stamp
from soar.archive.readable import make_readable
from soar.archive.refusal import damaged, refusal
from soar.archive.schema import CHECKED, layout
from soar.errors import StoreError

Columns: TypeAlias = Mapping[str, Any]
"""One row by the names of its columns."""

AT_ONCE = 500
"""Outputs fetched per statement: one at a time, each would take three times as long."""


class CheckedRows:
    """A read-only connection to an archive that returns rows as they were stored, or raises `StoreError`."""

    def __init__(self, path: Path, *, checked: bool = True, readable: bool = False) -> None:
        """Open the archive at `path`; `StoreError` if there is none. Unless `checked`, rows are returned as found. A
        `readable` connection serves `query` only: all its tables show text."""
        if not path.exists():
            raise StoreError(f"no archive at {path}: the run has stored nothing yet, or this is not a run directory")
        self.path = path
        self._opened = open_to_read(path)
        self._connection = self._opened.connection
        try:
            self.layout = layout(self._connection)
            if not self.layout:
                raise StoreError(f"the archive {path} is empty: the run has stored nothing yet, or ended as it started")
            self.form = form_of(self.layout)
            self.checked = checked and self.layout >= CHECKED
            if readable and self.form is PACKED:
                make_readable(self._connection)
        except (sqlite3.Error, StoreError) as error:
            self._connection.close()
            raise refusal(path, "read", error) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple]:
        """Return the rows of any read-only statement."""
        try:
            rows = self._connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, ValueError) as error:
            raise refusal(self.path, "read", error) from error
        return rows

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Give all queries inside one snapshot of the archive, which a run may be changing; an unreadable row is a
        `StoreError`."""
        if self._opened.found and stamp(self.path) != self._opened.found:
            raise StoreError(f"the archive {self.path} was written to meanwhile: open it again")
        self.query("BEGIN")
        try:
            if layout(self._connection) != self.layout:
                raise StoreError(f"the archive {self.path} was migrated to a newer layout meanwhile: open it again")
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise damaged(self.path, f"a row cannot be read ({type(error).__name__}: {error})") from error
        finally:
            self._connection.rollback()

    def with_executions(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple[Columns, Columns | None]]:
        """Yield completions, each with its execution if there is one, one by one: a search has many. Their texts stay
        in stored form."""
        middle = len(self.form.columns["completions"]) + 1
        columns = (
            f"{self._columns('completions', 'c')}, {self._columns('executions', 'e')}, {self._code('executions', 'e')}"
        )
        for values in self.stream(f"SELECT {columns} {sql}", parameters):
            row = self._row("completions", values[:middle])
            done = None
            if values[middle] is not None:
                done = self._row("executions", values[middle:-1])
                done["code"] = self.form.code(values[-1], done["code_hash"])
            if done and (done["task_id"], done["code_hash"]) != (row["task_id"], row["code_hash"]):
                raise damaged(self.path, f"an execution of task {row['task_id']} is found under another program")
            yield row, done

    def rows(self, table: str, sql: str, parameters: tuple[object, ...] = ()) -> list[Columns]:
        """Return rows of one table, each checked."""
        rows: list[Columns] = []
        columns = f"{self._columns(table, table)}, {self._code(table, table)}"
        for *values, code in self.stream(f"SELECT {columns} {sql}", parameters):
            row = self._row(table, values)
            if table == "executions":
                row["code"] = self.form.code(code, row["code_hash"])
            if table == "completions":
                row["text"] = self.form.text(row["text"], code and self.form.code(code, row["code_hash"]))
            rows.append(row)
        return rows

    def _columns(self, table: str, alias: str) -> str:
        """Return a table's columns as SQL, then the checksum, or NULL if rows are not checked."""
        names = [f"{alias}.{name}" for name in self.form.columns[table]]
        return ", ".join([*names, f"{alias}.checksum" if self.checked else "NULL"])

    def _code(self, table: str, alias: str) -> str:
        """Return the SQL that finds the program that a row names."""
        return self.form.code_of.get(table, "NULL").format(alias)

    def _row(self, table: str, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row by its columns, given their values and the checksum; `StoreError` if it was changed.

        The check covers the very values that are returned: SQLite takes some from an index, some from the row.
        """
        row = dict(zip(self.form.columns[table], values, strict=False))
        if self.checked and checksum(*values[:-1]) != values[-1]:
            key = "/".join(str(row[name]) for name in KEYS[table])
            raise damaged(self.path, f"a row of {table} was changed ({key[:200]})")
        for name, decode in self.form.values.get(table, {}).items():
            row[name] = decode(row[name])
        return row

    def stream(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple]:
        """Yield the rows of any read-only statement one by one, unchecked."""
        try:
            for row in self._connection.execute(sql, parameters):  # noqa: UP028 — `yield from` would close the
                yield row  # cursor when a reader stops half-way, perhaps after its connection
        except sqlite3.Error as error:
            raise refusal(self.path, "read", error) from error

    def count(self, table: str, rows: Sequence[Columns], *part: object) -> None:
        """Refuse rows unless they are all those stored in a part, each once."""
        where = _part(table, part)
        found, elsewhere = set(map(itemgetter(*KEYS[table]), rows)), set[Any]()
        if where:
            part_of = itemgetter(*where)
            elsewhere = set(map(part_of, rows)) - {part_of(where)}
        if len(found) < len(rows) or elsewhere:
            raise damaged(self.path, f"rows of {table} are duplicated or misplaced")
        self.compare(table, len(rows), *part)

    def compare(self, table: str, found: int, *part: object) -> None:
        """Refuse a number of rows other than that stored in a part."""
        if not self.checked:
            return
        where = _part(table, part)
        try:
            stored = counted(self._connection, table, where)
        except sqlite3.Error as error:
            raise refusal(self.path, "read", error) from error
        if found != stored:
            of = f" of {'/'.join(map(str, where.values()))}" if where else ""
            raise damaged(self.path, f"found {found} rows of {table}{of}, expected {stored}")

    def check_missing(self, programs: Mapping[str, Set[str]]) -> None:
        """Check that programs without an execution, hashes by task, still wait for it: a damaged index may have hidden
        it."""
        for task_id, hashes in programs.items() if self.checked else ():
            if not hashes:
                continue
            rows = self.rows("executions", "FROM executions WHERE task_id = ?", (task_id,))
            self.count("executions", rows, task_id)
            if hashes & {row["code_hash"] for row in rows}:
                raise damaged(self.path, f"executions of task {task_id} cannot be found by their program's hash")

    def outputs(self, names: Iterable[str]) -> dict[str, Any]:
        """Return outputs by name, in stored form. Their hashes are checked later, when one is decoded (`form.output`),
        which is rare."""
        distinct = list(dict.fromkeys(names))
        found: dict[str, Any] = {}
        for begin in range(0, len(distinct), AT_ONCE):
            some = distinct[begin : begin + AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self.query(
                f"SELECT hash, value FROM outputs WHERE hash IN ({marks})", tuple(map(self.form.key, some))
            )
            found.update((self.form.name(name), value) for name, value in rows)
        for name in distinct:
            if name not in found:
                raise damaged(self.path, f"output {name} is missing")
        return found


def _part(table: str, values: Sequence[object]) -> dict[str, object]:
    """Return the part of a table that `values` select, by column; None means all."""
    return {name: value for name, value in zip(COUNTED_BY[table], values, strict=False) if value is not None}
