"""Read-only questions to a run's archive, safe while the run goes on.

Knows the tables and gives back `soar.types`; decides nothing. Answers of tasks are not in the archive. Every row that
is read is held against its checksum and the rows of an answer against their count, so that an archive that was damaged
gives the answer that it always gave, or `StoreError`. Archives of the first layout have neither; they are read as they
are.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from soar.archive.checks import COLUMNS, COUNTED_BY, KEYS, checksum, counted
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
from soar.archive.schema import CHECKED, SINCE, layout
from soar.archive.tallies import TALLIED
from soar.errors import StoreError
from soar.types import Completion, Origin, Output, Phase, Program

_PLACE = "stage = ? AND iteration = ? AND task_id = ? AND phase = ? AND island = ?"
_WITH_EXECUTIONS = (
    "FROM completions c LEFT JOIN executions e ON e.task_id = c.task_id AND e.code_hash = c.code_hash WHERE c.stage = ?"
)

Columns: TypeAlias = Mapping[str, Any]
"""One row by the names of its columns."""


class ArchiveReader:
    """A read-only connection to an archive. Use from one thread."""

    def __init__(self, path: Path, *, checked: bool = True) -> None:
        """Open the archive at `path`; `StoreError` if there is none. Unchecked answers cost less and may be wrong."""
        if not path.exists():
            raise StoreError(f"no archive at {path}: the run has stored nothing yet, or this is no run directory")
        self._path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=WAIT_SECONDS
        )
        self._output = lru_cache(maxsize=65536)(self._read_output)
        try:
            self._layout = layout(self._connection)
            if not self._layout:
                raise StoreError(
                    f"the archive {path} is empty: the run has stored nothing yet, or was ended as it began"
                )
            self._checked = checked and self._layout >= CHECKED
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
        return rows

    def completions(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> list[CompletionRow]:
        """Return the stored completions of one task, phase and island, in order of step and place."""
        place = (stage, iteration, task_id, phase, island)
        with self._reading():
            rows = self._rows("completions", f"FROM completions WHERE {_PLACE} ORDER BY step, place", place)
            self._count("completions", rows, *place)
            return [_completion(row) for row in rows]

    def unsent(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> set[int]:
        """Return the steps of one task, phase and island whose call was never made (no prompt fits)."""
        place = (stage, iteration, task_id, phase, island)
        with self._reading():
            rows = self._rows("unsent", f"FROM unsent WHERE {_PLACE}", place)
            self._count("unsent", rows, *place)
            return {row["step"] for row in rows}

    def searched(self, stage: str, iteration: int) -> set[str]:
        """Return the tasks whose search, of one iteration, is over."""
        if self._layout < SINCE["searched"]:
            return set()
        with self._reading():
            rows = self._rows("searched", "FROM searched WHERE stage = ? AND iteration = ?", (stage, iteration))
            self._count("searched", rows, stage, iteration)
            return {row["task_id"] for row in rows}

    def holds_code(self, stage: str, iteration: int) -> bool:
        """Return whether any completion of a search holds code."""
        sql = "SELECT 1 FROM completions WHERE stage = ? AND iteration = ? AND status = 'code' LIMIT 1"
        with self._reading():
            return bool(self.query(sql, (stage, iteration)))

    def executed(self, task_id: str) -> set[str]:
        """Return the hashes of the programs that have run on a task."""
        with self._reading():
            return {name for (name,) in self.query("SELECT code_hash FROM executions WHERE task_id = ?", (task_id,))}

    def execution(self, task_id: str, code: str) -> ExecutionRow | None:
        """Return what a program did on a task, None if it has not run."""
        return self.execution_named(task_id, code_hash(code))

    def execution_named(self, task_id: str, name: str) -> ExecutionRow | None:
        """Return what the program with this hash did on a task, None if it has not run."""
        key = (task_id, name)
        with self._reading():
            rows = self._rows("executions", "FROM executions WHERE task_id = ? AND code_hash = ?", key)
            return self._execution(rows[0]) if rows else None

    def programs(self, task_id: str, stage: str, iteration: int | None = None) -> list[Program]:
        """Return a task's executed programs of a stage, one per completion, samples first; one iteration or all."""
        known = "counts WHERE kind = 'completions' AND" if self._checked else "iterations WHERE"
        which = "= ?" if iteration is not None else f"IN (SELECT iteration FROM {known} stage = ?)"
        with self._reading():
            rows = list(
                self._executed(
                    f"{_WITH_EXECUTIONS} AND c.iteration {which} AND c.task_id = ?",
                    (stage, stage if iteration is None else iteration, task_id),
                )
            )
            self._count("completions", [row for row, _ in rows], stage, iteration, task_id)
            self._miss({task_id: {row["code_hash"] for row, done in rows if row["status"] == "code" and not done}})
            programs = [
                self._execution(done).program(_origin(row), tuple(json.loads(row["parents"])))
                for row, done in rows
                if done
            ]
        return sorted(programs, key=_search_order)

    def last_finetuning(self) -> float | None:
        """Return the seconds that the newest finetuning took, None before the first."""
        timed = [row.finetune_seconds for row in self.iterations() if row.finetune_seconds]
        return timed[-1] if timed else None

    def iterations(self) -> list[IterationRow]:
        """Return the iterations in the order in which they were begun."""
        with self._reading():
            rows = self._rows("iterations", "FROM iterations ORDER BY rowid")
            self._count("iterations", rows)
        return [
            IterationRow(
                stage=row["stage"],
                iteration=row["iteration"],
                seconds=row["seconds"],
                finetune_seconds=row["finetune_seconds"],
                finished=bool(row["finished"]),
            )
            for row in rows
        ]

    def completion_counts(self, stage: str, iteration: int, task_id: str) -> tuple[int, int]:
        """Return how many completions one task has in one iteration, and how many of them are samples."""
        with self._reading():
            rows = self.query(
                "SELECT phase, COUNT(*) FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?"
                " GROUP BY phase",
                (stage, iteration, task_id),
            )
            for phase, count in rows:
                self._compare("completions", count, stage, iteration, task_id, phase)
            self._compare("completions", sum(count for _, count in rows), stage, iteration, task_id)
        found = dict(rows)
        return sum(found.values()), found.get("sample", 0)

    def completions_by_task(self, stage: str, iteration: int) -> dict[str, int]:
        """Return how many completions each task has in one iteration, for a look at a run that is being written."""
        rows = self.query(
            "SELECT task_id, SUM(rows) FROM counts WHERE kind = 'completions' AND stage = ? AND iteration = ?"
            " GROUP BY task_id",
            (stage, iteration),
        )
        return dict(rows)

    def tokens(self, task_id: str, stage: str, iteration: int) -> dict[Origin, int]:
        """Return the tokens, of prompt and completion, that each completion of a task in one iteration took."""
        place = (stage, iteration, task_id)
        with self._reading():
            rows = self._rows(
                "completions", "FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?", place
            )
            self._count("completions", rows, *place)
        return {_origin(row): row["prompt_tokens"] + row["completion_tokens"] for row in rows}

    def tokens_by_task(self) -> dict[str, tuple[int, int]]:
        """Return the tokens of the prompt and of the completion side that each task of the run took."""
        spent: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for done in self.iterations():
            for row in self._tallies(done.stage, done.iteration):
                prompt, completion = spent[row["task_id"]]
                spent[row["task_id"]] = prompt + row["prompt_tokens"], completion + row["completion_tokens"]
        return dict(spent)

    def totals(self, stage: str, iteration: int) -> SearchTotals:
        """Return what one search came to, all tasks together."""
        rows = self._tallies(stage, iteration)
        statuses = Counter[str]()
        for row in rows:
            statuses[row["status"]] += row["completions"]
        return SearchTotals(
            statuses=dict(sorted((+statuses).items())),
            prompt_tokens=sum(row["prompt_tokens"] for row in rows),
            completion_tokens=sum(row["completion_tokens"] for row in rows),
            solved_in_training=len({row["task_id"] for row in rows if row["right"]}),
        )

    def _tallies(self, stage: str, iteration: int) -> list[Columns]:
        """Return how the completions of one search ended, task by task."""
        where = "FROM tallies WHERE stage = ? AND iteration = ?"
        with self._reading():
            if self._layout < SINCE["tallies"]:
                rows = self._counted_now(stage, iteration)
            else:
                rows = self._rows("tallies", where, (stage, iteration))
            self._compare("completions", sum(row["completions"] for row in rows), stage, iteration)
        return rows

    def _counted_now(self, stage: str, iteration: int) -> list[Columns]:
        """Return the tallies of an archive that has none: every row of the search is read."""
        sql = TALLIED.replace(" GROUP BY", " WHERE c.stage = ? AND c.iteration = ? GROUP BY")
        return [dict(zip(COLUMNS["tallies"], row, strict=True)) for row in self._stream(sql, (stage, iteration))]

    def right_in_training(self) -> set[str]:
        """Return the tasks with a program that is right on all training pairs, in any search of the run."""
        rows = self.query("SELECT DISTINCT task_id FROM executions WHERE status = 'ok' AND accuracy = 1")
        return {row[0] for row in rows}

    def behaviours(self, stage: str, iteration: int) -> set[str]:
        """Return what the programs of one search do, as the hashes of all their outputs; of those that ran."""
        rows = self.query(
            "SELECT DISTINCT e.behaviour FROM completions c JOIN executions e ON e.task_id = c.task_id"
            " AND e.code_hash = c.code_hash WHERE c.stage = ? AND c.iteration = ? AND e.behaviour IS NOT NULL",
            (stage, iteration),
        )
        return {row[0] for row in rows}

    def requests(self) -> dict[str, int]:
        """Return the requests of all sessions: ``issued``, ``retried``, ``failed``."""
        with self._reading():
            rows = self._rows("requests", "FROM requests")
            self._count("requests", rows)
        return {name: sum(row[name] for row in rows) for name in ("issued", "retried", "failed")}

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

    def _executed(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple[Columns, Columns | None]]:
        """Yield completions, each with its execution if there is one, as they are read: a search has many."""
        ours, theirs = COLUMNS["completions"], COLUMNS["executions"]
        columns = f"{self._columns('completions', 'c', ours)}, {self._columns('executions', 'e', theirs)}"
        middle = len(ours) + 1
        for values in self._stream(f"SELECT {columns} {sql}", parameters):
            row = self._row("completions", ours, values[:middle])
            done = None if values[middle] is None else self._row("executions", theirs, values[middle:])
            if done and (done["task_id"], done["code_hash"]) != (row["task_id"], row["code_hash"]):
                raise damaged(self._path, f"an execution of task {row['task_id']} is found under another's name")
            yield row, done

    def _rows(self, table: str, sql: str, parameters: tuple[object, ...] = ()) -> list[Columns]:
        """Return rows of one table that are as they were stored."""
        names = COLUMNS[table]
        rows = self._stream(f"SELECT {self._columns(table, table, names)} {sql}", parameters)
        return [self._row(table, names, values) for values in rows]

    def _columns(self, table: str, alias: str, names: Sequence[str]) -> str:
        """Return columns as SQL, with the checksum behind them where rows are held against it."""
        with_checksum = f"{alias}.checksum" if self._checked and names == COLUMNS[table] else "NULL"
        return ", ".join([*(f"{alias}.{name}" for name in names), with_checksum])

    def _row(self, table: str, names: Sequence[str], values: Sequence[Any]) -> Columns:
        """Return a row by its columns; `StoreError` unless it is as it was stored.

        What is held against the checksum is what is used: SQLite takes some columns from the index, some from the row.
        """
        row = dict(zip(names, values, strict=False))
        if self._checked and checksum(*values[:-1]) != values[-1]:
            key = "/".join(str(row[name]) for name in KEYS[table])
            raise damaged(self._path, f"a row of {table} was changed ({key[:200]})")
        return row

    def _stream(self, sql: str, parameters: tuple[object, ...]) -> Iterator[tuple]:
        try:
            for row in self._connection.execute(sql, parameters):  # noqa: UP028 — it would close a cursor whose
                yield row  # connection may be closed, when a reader stops half-way
        except sqlite3.Error as error:
            raise refusal(self._path, "read", error) from error

    def _count(self, table: str, rows: Sequence[Columns], *part: object) -> None:
        """Refuse rows unless they are those that were stored: each once, all of the part that the columns name."""
        where = _part(table, part)
        if len({tuple(row[name] for name in KEYS[table]) for row in rows}) < len(rows) or any(
            row[name] != value for row in rows for name, value in where.items()
        ):
            raise damaged(self._path, f"rows of {table} stand where others belong")
        self._compare(table, len(rows), *part)

    def _compare(self, table: str, found: int, *part: object) -> None:
        """Compare how many rows were read with how many were stored, of the part that the leading columns name."""
        if not self._checked:
            return
        where = _part(table, part)
        try:
            stored = counted(self._connection, table, where)
        except sqlite3.Error as error:
            raise refusal(self._path, "read", error) from error
        if found != stored:
            of = f" of {'/'.join(map(str, where.values()))}" if where else ""
            raise damaged(self._path, f"{found} rows of {table}{of} were found, {stored} were stored")

    def _miss(self, programs: Mapping[str, Set[str]]) -> None:
        """Say that programs of tasks, named by their hashes, have no execution: they wait for it, unless it is there
        and was not found."""
        for task_id, hashes in programs.items() if self._checked else ():
            if not hashes:
                continue
            rows = self._rows("executions", "FROM executions WHERE task_id = ?", (task_id,))
            self._count("executions", rows, task_id)
            if hashes & {row["code_hash"] for row in rows}:
                raise damaged(self._path, f"executions of task {task_id} are not found by the hash of their program")

    def _execution(self, row: Columns) -> ExecutionRow:
        return ExecutionRow(
            task_id=row["task_id"],
            code=row["code"],
            status=row["status"],
            accuracy=row["accuracy"],
            train=self._outputs(row["train"]),
            test=self._outputs(row["test"]),
            ballot=row["ballot"],
            behaviour=row["behaviour"],
            cpu_seconds=row["cpu_seconds"],
        )

    def _outputs(self, hashes: str) -> tuple[Output, ...]:
        return tuple(self._output(name) for name in json.loads(hashes))

    def _read_output(self, name: str) -> Output:
        rows = self.query("SELECT value FROM outputs WHERE hash = ?", (name,))
        if not rows or output_hash(rows[0][0]) != name:
            raise damaged(self._path, f"output {name} is {'changed' if rows else 'missing'}")
        return decode_output(rows[0][0])


def _part(table: str, values: Sequence[object]) -> dict[str, object]:
    """Return the columns that say which part of a table is meant, by name; None means all."""
    return {name: value for name, value in zip(COUNTED_BY[table], values, strict=False) if value is not None}


def _origin(row: Columns) -> Origin:
    return Origin(*(row[name] for name in KEYS["completions"]))


def _completion(row: Columns) -> CompletionRow:
    names = ("text", "finish_reason", "prompt_tokens", "completion_tokens", "seconds")
    return CompletionRow(
        origin=_origin(row),
        completion=Completion(*(row[name] for name in names)),
        status=row["status"],
        code_hash=row["code_hash"],
        parents=tuple(json.loads(row["parents"])),
        prompt_detail=json.loads(row["prompt_detail"]),
    )


def _search_order(program: Program) -> tuple:
    o = program.origin
    return (o.iteration, o.phase != "sample", o.island, o.step, o.index)
