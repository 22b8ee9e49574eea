"""Read-only questions to a run's archive, safe while the run goes on.

Knows the tables and gives back `soar.types`; decides nothing. Answers of tasks are not in the archive.
"""

import json
import sqlite3
from functools import lru_cache
from pathlib import Path

from soar.archive.rows import CompletionRow, ExecutionRow, IterationRow, code_hash, decode_output
from soar.errors import StoreError
from soar.types import Completion, Origin, Output, Phase, Program

_PLACE = "stage = ? AND iteration = ? AND task_id = ? AND phase = ? AND island = ?"
_SAME_PROGRAM = "e.task_id = c.task_id AND e.code_hash = c.code_hash"
_EXECUTION = "e.code, e.status, e.accuracy, e.train, e.test, e.ballot, e.behaviour, e.cpu_seconds"
_ORIGIN = "c.stage, c.iteration, c.task_id, c.phase, c.island, c.step, c.place"


class ArchiveReader:
    """A read-only connection to an archive. Use from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the archive at `path`; `StoreError` if there is none."""
        if not path.exists():
            raise StoreError(f"no archive at {path}: is this a run directory?")
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._output = lru_cache(maxsize=65536)(self._read_output)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple]:
        """Return the rows of any read-only statement."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"the archive cannot be read: {error}") from error

    def completions(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> list[CompletionRow]:
        """Return the stored completions of one task, phase and island, in order of step and place."""
        rows = self.query(
            f"SELECT {_ORIGIN}, text, finish_reason, prompt_tokens, completion_tokens, seconds,"
            f" status, code_hash, parents, prompt_detail FROM completions c WHERE {_PLACE} ORDER BY step, place",
            (stage, iteration, task_id, phase, island),
        )
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
        rows = self.query(f"SELECT step FROM unsent WHERE {_PLACE}", (stage, iteration, task_id, phase, island))
        return {row[0] for row in rows}

    def execution(self, task_id: str, code: str) -> ExecutionRow | None:
        """Return what a program did on a task, None if it has not run."""
        rows = self.query(
            f"SELECT {_EXECUTION} FROM executions e WHERE task_id = ? AND code_hash = ?", (task_id, code_hash(code))
        )
        return self._execution(task_id, rows[0]) if rows else None

    def programs(self, task_id: str, stage: str, iteration: int | None = None) -> list[Program]:
        """Return a task's executed programs of a stage, one per completion, samples first; one iteration or all."""
        rows = self.query(
            f"SELECT {_ORIGIN}, c.parents, {_EXECUTION} FROM completions c"
            f" JOIN executions e ON {_SAME_PROGRAM}"
            " WHERE c.stage = ? AND c.task_id = ? AND (? IS NULL OR c.iteration = ?)",
            (stage, task_id, iteration, iteration),
        )
        programs = [
            self._execution(task_id, row[8:]).program(Origin(*row[:7]), tuple(json.loads(row[7]))) for row in rows
        ]
        return sorted(programs, key=_search_order)

    def iterations(self) -> list[IterationRow]:
        """Return the iterations in the order in which they were begun."""
        columns = "stage, iteration, seconds, finetune_seconds, finished"
        rows = self.query(f"SELECT {columns} FROM iterations ORDER BY rowid")
        return [IterationRow(stage, i, search, tuning, bool(done)) for stage, i, search, tuning, done in rows]

    def completion_counts(self, stage: str, iteration: int, task_id: str) -> tuple[int, int]:
        """Return how many completions one task has in one iteration, and how many of them are samples."""
        rows = self.query(
            "SELECT COUNT(*), COALESCE(SUM(phase = 'sample'), 0) FROM completions"
            " WHERE stage = ? AND iteration = ? AND task_id = ?",
            (stage, iteration, task_id),
        )
        return rows[0]

    def tokens(self, stage: str, iteration: int) -> dict[str, int]:
        """Return the tokens of one iteration: of its ``prompt`` and ``completion`` sides."""
        rows = self.query(
            "SELECT COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0) FROM completions"
            " WHERE stage = ? AND iteration = ?",
            (stage, iteration),
        )
        return dict(zip(("prompt", "completion"), rows[0], strict=True))

    def tokens_by_task(self) -> dict[str, tuple[int, int]]:
        """Return the tokens of the prompt and of the completion side that each task of the run took."""
        rows = self.query(
            "SELECT task_id, SUM(prompt_tokens), SUM(completion_tokens) FROM completions GROUP BY task_id"
        )
        return {task_id: (prompt, completion) for task_id, prompt, completion in rows}

    def statuses(self, stage: str, iteration: int) -> dict[str, int]:
        """Return how many completions of one iteration ended how: executed ones by their execution, others by why they
        hold no code."""
        rows = self.query(
            "SELECT CASE WHEN c.status = 'code' THEN COALESCE(e.status, 'waiting') ELSE c.status END AS s, COUNT(*)"
            f" FROM completions c LEFT JOIN executions e ON {_SAME_PROGRAM}"
            " WHERE c.stage = ? AND c.iteration = ? GROUP BY s ORDER BY s",
            (stage, iteration),
        )
        return dict(rows)

    def tasks_solved_in_training(self, stage: str, iteration: int) -> int:
        """Return how many tasks of one iteration have a program that is right on all training pairs."""
        rows = self.query(
            f"SELECT COUNT(DISTINCT c.task_id) FROM completions c JOIN executions e ON {_SAME_PROGRAM}"
            " WHERE c.stage = ? AND c.iteration = ? AND e.accuracy = 1.0 AND e.status = 'ok'",
            (stage, iteration),
        )
        return rows[0][0]

    def requests(self) -> dict[str, int]:
        """Return the requests of all sessions: ``issued``, ``retried``, ``failed``."""
        names = ("issued", "retried", "failed")
        rows = self.query(f"SELECT {', '.join(f'COALESCE(SUM({name}), 0)' for name in names)} FROM requests")
        return dict(zip(names, rows[0], strict=True))

    def _execution(self, task_id: str, row: tuple) -> ExecutionRow:
        """Return the execution in the columns `_EXECUTION`."""
        code, status, accuracy, train, test, *rest = row
        return ExecutionRow(task_id, code, status, accuracy, self._outputs(train), self._outputs(test), *rest)

    def _outputs(self, hashes: str) -> tuple[Output, ...]:
        return tuple(self._output(name) for name in json.loads(hashes))

    def _read_output(self, name: str) -> Output:
        rows = self.query("SELECT value FROM outputs WHERE hash = ?", (name,))
        if not rows:
            raise StoreError(f"the archive is damaged: output {name} is missing; restore the file from a copy")
        return decode_output(rows[0][0])


def _search_order(program: Program) -> tuple:
    o = program.origin
    return (o.iteration, o.phase != "sample", o.island, o.step, o.index)
