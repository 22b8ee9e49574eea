"""Read-only questions to a run's archive, safe while the run goes on.

Knows the tables and gives back `soar.types`; decides nothing. Answers of tasks are not in the archive. Every row that
is read is held against its checksum and the rows of an answer against their count, so that an archive that was damaged
gives the answer that it always gave, or `StoreError`. Archives of the first layout have neither; they are read as they
are.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from soar.archive.checks import checksum, columns_sql, counted
from soar.archive.refusal import WAIT_SECONDS, damaged, refusal
from soar.archive.rows import (
    CompletionRow,
    ExecutionRow,
    IterationRow,
    SearchTotals,
    code_hash,
    decode_output,
    output_hash,
)
from soar.archive.schema import CHECKED, layout
from soar.errors import StoreError
from soar.types import Completion, Origin, Output, Phase, Program

_PLACE = "stage = ? AND iteration = ? AND task_id = ? AND phase = ? AND island = ?"
_SAME_PROGRAM = "e.task_id = c.task_id AND e.code_hash = c.code_hash"
_EXECUTION = "e.code, e.status, e.accuracy, e.train, e.test, e.ballot, e.behaviour, e.cpu_seconds"
_ORIGIN = "c.stage, c.iteration, c.task_id, c.phase, c.island, c.step, c.place"
_STATUS = "CASE WHEN c.status = 'code' THEN COALESCE(e.status, 'waiting') ELSE c.status END"


class ArchiveReader:
    """A read-only connection to an archive. Use from one thread."""

    def __init__(self, path: Path, *, checked: bool = True) -> None:
        """Open the archive at `path`; `StoreError` if there is none. Unchecked answers cost less and may be wrong."""
        if not path.exists():
            raise StoreError(f"no archive at {path}: is this a run directory?")
        self._path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=WAIT_SECONDS
        )
        self._connection.create_function("intact", -1, self._intact)
        self._damage: str | None = None
        self._output = lru_cache(maxsize=65536)(self._read_output)
        try:
            self._checked = checked and layout(self._connection) >= CHECKED
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
            raise refusal(self._path, "read", error) from error
        damage, self._damage = self._damage, None
        if damage:
            raise damaged(self._path, damage)
        return rows

    def completions(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> list[CompletionRow]:
        """Return the stored completions of one task, phase and island, in order of step and place."""
        place = (stage, iteration, task_id, phase, island)
        with self._reading():
            rows = self.query(
                f"SELECT {_ORIGIN}, text, finish_reason, prompt_tokens, completion_tokens, seconds,"
                f" status, code_hash, parents, prompt_detail FROM completions c"
                f" WHERE {_PLACE} AND {self._are_intact('completions', 'c')} ORDER BY step, place",
                place,
            )
            self._count("completions", len(rows), *place)
            return [
                CompletionRow(
                    Origin(*row[:7]),
                    Completion(*row[7:12]),
                    row[12],
                    row[13],
                    tuple(json.loads(row[14])),
                    json.loads(row[15]),
                )
                for row in rows
            ]

    def unsent(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> set[int]:
        """Return the steps of one task, phase and island whose call was never made (no prompt fits)."""
        place = (stage, iteration, task_id, phase, island)
        with self._reading():
            rows = self.query(f"SELECT step FROM unsent WHERE {_PLACE} AND {self._are_intact('unsent')}", place)
            self._count("unsent", len(rows), *place)
            return {row[0] for row in rows}

    def execution(self, task_id: str, code: str) -> ExecutionRow | None:
        """Return what a program did on a task, None if it has not run."""
        with self._reading():
            rows = self.query(
                f"SELECT {_EXECUTION} FROM executions e WHERE task_id = ? AND code_hash = ?"
                f" AND {self._are_intact('executions', 'e')}",
                (task_id, code_hash(code)),
            )
            return self._execution(task_id, rows[0]) if rows else None

    def programs(self, task_id: str, stage: str, iteration: int | None = None) -> list[Program]:
        """Return a task's executed programs of a stage, one per completion, samples first; one iteration or all."""
        which = "= ?" if iteration is not None else "IN (SELECT iteration FROM iterations WHERE stage = ?)"
        with self._reading():
            rows = self.query(
                f"SELECT {_ORIGIN}, c.parents, {_EXECUTION}, c.status, c.code_hash FROM completions c"
                f" LEFT JOIN executions e ON {_SAME_PROGRAM} AND {self._are_intact('executions', 'e')}"
                f" WHERE c.stage = ? AND c.iteration {which} AND c.task_id = ?"
                f" AND {self._are_intact('completions', 'c')}",
                (stage, stage if iteration is None else iteration, task_id),
            )
            self._count("completions", len(rows), stage, iteration, task_id)
            self._miss(task_id, {row[17] for row in rows if row[16] == "code" and row[8] is None})
            programs = [
                self._execution(task_id, row[8:16]).program(Origin(*row[:7]), tuple(json.loads(row[7])))
                for row in rows
                if row[8] is not None
            ]
        return sorted(programs, key=_search_order)

    def iterations(self) -> list[IterationRow]:
        """Return the iterations in the order in which they were begun."""
        columns = "stage, iteration, seconds, finetune_seconds, finished"
        with self._reading():
            rows = self.query(f"SELECT {columns} FROM iterations WHERE {self._are_intact('iterations')} ORDER BY rowid")
            self._count("iterations", len(rows))
        return [IterationRow(stage, i, search, tuning, bool(done)) for stage, i, search, tuning, done in rows]

    def completion_counts(self, stage: str, iteration: int, task_id: str) -> tuple[int, int]:
        """Return how many completions one task has in one iteration, and how many of them are samples."""
        with self._reading():
            rows = self.query(
                "SELECT phase, COUNT(*) FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?"
                " GROUP BY phase",
                (stage, iteration, task_id),
            )
            for phase, count in rows:
                self._count("completions", count, stage, iteration, task_id, phase)
            self._count("completions", sum(count for _, count in rows), stage, iteration, task_id)
        found = dict(rows)
        return sum(found.values()), found.get("sample", 0)

    def totals(self, stage: str, iteration: int) -> SearchTotals:
        """Return what one search came to, all tasks together."""
        with self._reading():
            rows = self.query(
                f"SELECT {_STATUS} AS s, COUNT(*), SUM(c.prompt_tokens), SUM(c.completion_tokens),"
                " COUNT(DISTINCT CASE WHEN e.accuracy = 1.0 AND e.status = 'ok' THEN c.task_id END)"
                " FROM completions c"
                f" LEFT JOIN executions e ON {_SAME_PROGRAM} AND {self._are_intact('executions', 'e')}"
                f" WHERE c.stage = ? AND c.iteration = ? AND {self._are_intact('completions', 'c')}"
                " GROUP BY s ORDER BY s",
                (stage, iteration),
            )
            self._count("completions", sum(row[1] for row in rows), stage, iteration)
            if any(row[0] == "waiting" for row in rows):
                self._miss_of_search(stage, iteration)
        # Only executions that are "ok" are counted as solving, all of them in one row.
        return SearchTotals(
            {row[0]: row[1] for row in rows}, *(sum(row[column] for row in rows) for column in (2, 3, 4))
        )

    def requests(self) -> dict[str, int]:
        """Return the requests of all sessions: ``issued``, ``retried``, ``failed``."""
        names = ("issued", "retried", "failed")
        with self._reading():
            rows = self.query(f"SELECT {', '.join(names)} FROM requests WHERE {self._are_intact('requests')}")
            self._count("requests", len(rows))
        return {name: sum(row[place] for row in rows) for place, name in enumerate(names)}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Let all questions inside see one state of the archive, which a run may be changing; what cannot be read is
        `StoreError`."""
        self.query("BEGIN")
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise damaged(self._path, f"a row cannot be read ({type(error).__name__}: {error})") from error
        finally:
            self._connection.rollback()

    def _are_intact(self, table: str, alias: str | None = None) -> str:
        """Return the condition that rows of a table are as they were stored; `query` raises for one that is not."""
        name = alias or table
        return f"intact('{table}', {name}.checksum, {columns_sql(table, alias)})" if self._checked else "1"

    def _intact(self, table: str, stored: object, *values: object) -> bool:
        if checksum(*values) == stored:
            return True
        key = "/".join(str(value) for value in values[:7] if isinstance(value, str | int) and len(str(value)) <= 64)
        self._damage = self._damage or f"a row of {table} was changed ({key})"
        return False

    def _count(self, table: str, found: int, *part: object) -> None:
        """Compare how many rows were read with how many were stored, of the part that the leading columns name."""
        if not self._checked:
            return
        names = ("task_id",) if table == "executions" else ("stage", "iteration", "task_id", "phase")
        where = {name: value for name, value in zip(names, part, strict=False) if value is not None}
        try:
            stored = counted(self._connection, table, where)
        except sqlite3.Error as error:
            raise refusal(self._path, "read", error) from error
        if found != stored:
            of = "/".join(map(str, where.values()))
            raise damaged(
                self._path, f"{found} rows of {table} were found, {stored} were stored" + f" ({of})" * bool(of)
            )

    def _miss(self, task_id: str, hashes: set[str]) -> None:
        """Say that programs of a task have no execution: they wait for it, unless it is there and was not found."""
        if not hashes or not self._checked:
            return
        sql = f"SELECT e.code_hash FROM executions e WHERE e.task_id = ? AND {self._are_intact('executions', 'e')}"
        found = {row[0] for row in self.query(sql, (task_id,))}
        self._count("executions", len(found), task_id)
        if found & hashes:
            raise damaged(self._path, f"executions of task {task_id} are not found by the hash of their program")

    def _miss_of_search(self, stage: str, iteration: int) -> None:
        rows = self.query(
            f"SELECT c.task_id, c.code_hash FROM completions c LEFT JOIN executions e ON {_SAME_PROGRAM}"
            " WHERE c.stage = ? AND c.iteration = ? AND c.status = 'code' AND e.status IS NULL",
            (stage, iteration),
        )
        waiting: defaultdict[str, set[str]] = defaultdict(set)
        for task_id, name in rows:
            waiting[task_id].add(name)
        for task_id, hashes in waiting.items():
            self._miss(task_id, hashes)

    def _execution(self, task_id: str, row: Sequence) -> ExecutionRow:
        """Return the execution in the columns `_EXECUTION`."""
        code, status, accuracy, train, test, *rest = row
        return ExecutionRow(task_id, code, status, accuracy, self._outputs(train), self._outputs(test), *rest)

    def _outputs(self, hashes: str) -> tuple[Output, ...]:
        return tuple(self._output(name) for name in json.loads(hashes))

    def _read_output(self, name: str) -> Output:
        rows = self.query("SELECT value FROM outputs WHERE hash = ?", (name,))
        if not rows or output_hash(rows[0][0]) != name:
            raise damaged(self._path, f"output {name} is {'changed' if rows else 'missing'}")
        return decode_output(rows[0][0])


def _search_order(program: Program) -> tuple:
    o = program.origin
    return (o.iteration, o.phase != "sample", o.island, o.step, o.index)
