"""Read-only questions to a run's archive, safe while the run goes on.

Knows the tables and gives back `soar.types`; decides nothing. Answers of tasks are not in the archive.
"""

import json
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from soar.archive.rows import CompletionRow, code_hash, decode_output
from soar.errors import StoreError
from soar.types import Completion, Origin, Output, Phase, Program

_PLACE = "stage = ? AND iteration = ? AND task_id = ? AND phase = ? AND island = ?"
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

    def execution(self, task_id: str, code: str) -> tuple[tuple[Output, ...], tuple[Output, ...], float, str] | None:
        """Return ``(train outputs, test outputs, accuracy, status)`` of a program on a task, None if it has not run."""
        rows = self.query(
            "SELECT train, test, accuracy, status FROM executions WHERE task_id = ? AND code_hash = ?",
            (task_id, code_hash(code)),
        )
        return (self._outputs(rows[0][0]), self._outputs(rows[0][1]), rows[0][2], rows[0][3]) if rows else None

    def programs(self, task_id: str, stage: str, iteration: int | None = None) -> list[Program]:
        """Return a task's executed programs of a stage, one per completion, samples first; one iteration or all."""
        rows = self.query(
            f"SELECT {_ORIGIN}, c.parents, e.code, e.train, e.test, e.accuracy, e.status FROM completions c"
            " JOIN executions e ON e.task_id = c.task_id AND e.code_hash = c.code_hash"
            " WHERE c.stage = ? AND c.task_id = ? AND (? IS NULL OR c.iteration = ?)",
            (stage, task_id, iteration, iteration),
        )
        programs = [
            Program(
                origin=Origin(*row[:7]),
                parents=tuple(json.loads(row[7])),
                code=row[8],
                train=self._outputs(row[9]),
                test=self._outputs(row[10]),
                accuracy=row[11],
                nondeterministic=row[12] == "nondeterministic",
            )
            for row in rows
        ]
        return sorted(programs, key=_search_order)

    def iterations(self) -> Iterator[tuple[str, int, float, float, bool]]:
        """Yield ``(stage, iteration, search seconds, finetuning seconds, finished)`` in the order they were begun."""
        for row in self.query(
            "SELECT stage, iteration, seconds, finetune_seconds, finished FROM iterations ORDER BY rowid"
        ):
            yield row[0], row[1], row[2], row[3], bool(row[4])

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
