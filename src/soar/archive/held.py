"""Rows of an archive, each held against its checksum, and the rows of an answer against their count.

Knows tables, checksums and counts; does not know what is asked, nor what rows mean, nor how they are stored (`forms`).
Archives of the first layout have neither checksums nor counts; they are read as they are.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from soar.archive.checks import COUNTED_BY, KEYS, checksum, counted
from soar.archive.forms import PACKED, form_of
from soar.archive.readable import make_readable
from soar.archive.refusal import WAIT_SECONDS, damaged, refusal
from soar.archive.schema import CHECKED, layout
from soar.errors import StoreError

Columns: TypeAlias = Mapping[str, Any]
"""One row by the names of its columns."""

AT_ONCE = 500
"""How many outputs one statement asks for: alone each would take three times as long."""


class HeldRows:
    """A read-only connection to an archive that gives out rows as they were stored, or `StoreError`."""

    def __init__(self, path: Path, *, checked: bool = True, readable: bool = False) -> None:
        """Open the archive at `path`; `StoreError` if there is none. Unchecked rows are given out as they are. A
        `readable` connection is for `query` alone: its statements meet text in all tables."""
        if not path.exists():
            raise StoreError(f"no archive at {path}: the run has stored nothing yet, or this is no run directory")
        self.path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=WAIT_SECONDS
        )
        try:
            self.layout = layout(self._connection)
            if not self.layout:
                raise StoreError(
                    f"the archive {path} is empty: the run has stored nothing yet, or was ended as it began"
                )
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
        """Let all questions inside see one state of the archive, which a run may be changing; what cannot be read is
        `StoreError`."""
        self.query("BEGIN")
        try:
            if layout(self._connection) != self.layout:
                raise StoreError(f"the archive {self.path} was brought up to date meanwhile: look at it again")
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise damaged(self.path, f"a row cannot be read ({type(error).__name__}: {error})") from error
        finally:
            self._connection.rollback()

    def with_executions(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple[Columns, Columns | None]]:
        """Yield completions, each with its execution if there is one, as they are read: a search has many. Their texts
        stay as they are stored."""
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
                raise damaged(self.path, f"an execution of task {row['task_id']} is found under another's name")
            yield row, done

    def rows(self, table: str, sql: str, parameters: tuple[object, ...] = ()) -> list[Columns]:
        """Return rows of one table that are as they were stored."""
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
        """Return a table's columns as SQL, with the checksum behind them where rows are held against it."""
        names = [f"{alias}.{name}" for name in self.form.columns[table]]
        return ", ".join([*names, f"{alias}.checksum" if self.checked else "NULL"])

    def _code(self, table: str, alias: str) -> str:
        """Return the SQL that finds the program that a row names."""
        return self.form.code_of.get(table, "NULL").format(alias)

    def _row(self, table: str, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row by its columns, given their values and the checksum; `StoreError` unless it is as it was stored.

        What is held against the checksum is what is used: SQLite takes some columns from the index, some from the row.
        """
        row = dict(zip(self.form.columns[table], values, strict=False))
        if self.checked and checksum(*values[:-1]) != values[-1]:
            key = "/".join(str(row[name]) for name in KEYS[table])
            raise damaged(self.path, f"a row of {table} was changed ({key[:200]})")
        for name, says in self.form.values.get(table, {}).items():
            row[name] = says(row[name])
        return row

    def stream(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple]:
        """Yield the rows of any read-only statement, held against nothing, as they are read."""
        try:
            for row in self._connection.execute(sql, parameters):  # noqa: UP028 — it would close a cursor whose
                yield row  # connection may be closed, when a reader stops half-way
        except sqlite3.Error as error:
            raise refusal(self.path, "read", error) from error

    def count(self, table: str, rows: Sequence[Columns], *part: object) -> None:
        """Refuse rows unless they are those that were stored: each once, all of the part that the columns name."""
        where = _part(table, part)
        found, elsewhere = set(map(itemgetter(*KEYS[table]), rows)), set[Any]()
        if where:
            part_of = itemgetter(*where)
            elsewhere = set(map(part_of, rows)) - {part_of(where)}
        if len(found) < len(rows) or elsewhere:
            raise damaged(self.path, f"rows of {table} stand where others belong")
        self.compare(table, len(rows), *part)

    def compare(self, table: str, found: int, *part: object) -> None:
        """Compare how many rows were read with how many were stored, of the part that the leading columns name."""
        if not self.checked:
            return
        where = _part(table, part)
        try:
            stored = counted(self._connection, table, where)
        except sqlite3.Error as error:
            raise refusal(self.path, "read", error) from error
        if found != stored:
            of = f" of {'/'.join(map(str, where.values()))}" if where else ""
            raise damaged(self.path, f"{found} rows of {table}{of} were found, {stored} were stored")

    def miss(self, programs: Mapping[str, Set[str]]) -> None:
        """Say that programs of tasks, named by their hashes, have no execution: they wait for it, unless it is there
        and was not found."""
        for task_id, hashes in programs.items() if self.checked else ():
            if not hashes:
                continue
            rows = self.rows("executions", "FROM executions WHERE task_id = ?", (task_id,))
            self.count("executions", rows, task_id)
            if hashes & {row["code_hash"] for row in rows}:
                raise damaged(self.path, f"executions of task {task_id} are not found by the hash of their program")

    def outputs(self, names: Iterable[str]) -> dict[str, Any]:
        """Return outputs by name, as they are stored. They are not held against their names yet: that is done where one
        is made of them (`form.output`), which is seldom."""
        wanted = list(dict.fromkeys(names))
        found: dict[str, Any] = {}
        for begin in range(0, len(wanted), AT_ONCE):
            some = wanted[begin : begin + AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self.query(
                f"SELECT hash, value FROM outputs WHERE hash IN ({marks})", tuple(map(self.form.key, some))
            )
            found.update((self.form.name(name), value) for name, value in rows)
        for name in wanted:
            if name not in found:
                raise damaged(self.path, f"output {name} is missing")
        return found


def _part(table: str, values: Sequence[object]) -> dict[str, object]:
    """Return the columns that say which part of a table is meant, by name; None means all."""
    return {name: value for name, value in zip(COUNTED_BY[table], values, strict=False) if value is not None}
