"""Read-only queries of a run's archive, safe while the run is active.

Knows the tables and returns `soar.types`; decides nothing. The archive does not hold tasks' answers. Results are
checked against checksums and counts (`held`): a damaged archive gives the result it always gave, or `StoreError`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from soar.archive.checks import COLUMNS, KEYS
from soar.archive.held import CheckedRows, Columns
from soar.archive.refusal import damaged
from soar.archive.rows import CompletionRow, ExecutionRow, IterationRow, SearchTotals, code_hash, decode_output
from soar.archive.schema import SINCE
from soar.archive.tallies import TALLIED, WITH_CODE
from soar.types import Completion, Origin, Phase, Program, Written

PAIRS = ("train", "test")
_PLACE = "stage = ? AND iteration = ? AND task_id = ? AND phase = ? AND island = ?"
_AT_ITS_PLACE = "c.iteration = ? AND c.task_id = ? AND c.phase = ? AND c.island = ? AND c.step = ? AND c.place = ?"
_NOT_RUN = "code_hash NOT IN (SELECT code_hash FROM executions WHERE task_id = ?)"
"""The task is a parameter: a subquery that names the outer row would be asked anew for each."""
_WITH_EXECUTIONS = (
    "FROM completions c LEFT JOIN executions e ON e.task_id = c.task_id AND e.code_hash = c.code_hash WHERE c.stage = ?"
)


class ArchiveReader:
    """A read-only connection to an archive. Use from the thread that opened it; `another` is for any."""

    def __init__(self, path: Path, *, checked: bool = True) -> None:
        """Open the archive at `path`; `StoreError` if there is none. Unchecked results cost less and may be wrong."""
        self._tables = CheckedRows(path, checked=checked)
        self._readable: CheckedRows | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the archive is: another process opens a connection of its own."""
        return partial(ArchiveReader, checked=self._tables.checked), (self._tables.path,)

    def another(self) -> "ArchiveReader":
        """Return a connection of its own to the same archive, for the thread that calls this."""
        return ArchiveReader(self._tables.path, checked=self._tables.checked)

    def close(self) -> None:
        """Close the connection."""
        self._tables.close()
        if self._readable:
            self._readable.close()

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple]:
        """Return the rows of any read-only statement. In every layout it sees texts, programs and outputs as text and
        hashes as hex digits (`soar.archive.readable`); nothing is checked."""
        if not self._readable:
            self._readable = CheckedRows(self._tables.path, readable=True)
        with self._readable.reading():
            return self._readable.query(sql, parameters)

    def completions(self, stage: str, iteration: int, task_id: str, phase: Phase, island: int) -> list[CompletionRow]:
        """Return the stored completions of one task, phase and island, in order of step and place."""
        place = (stage, iteration, task_id, phase, island)
        with self._tables.reading():
            rows = self._tables.rows("completions", f"FROM completions WHERE {_PLACE} ORDER BY step, place", place)
            self._tables.count("completions", rows, *place)
            return [_completion(row) for row in rows]

    def unsent(self, stage: str, iteration: int, task_id: str) -> set[tuple[Phase, int, int]]:
        """Return the calls of one task's search that were never made (no prompt fits): phase, island and step."""
        place = (stage, iteration, task_id)
        with self._tables.reading():
            rows = self._tables.rows("unsent", "FROM unsent WHERE stage = ? AND iteration = ? AND task_id = ?", place)
            self._tables.count("unsent", rows, *place)
            return {(row["phase"], row["island"], row["step"]) for row in rows}

    def unsent_steps(self, stage: str, iteration: int) -> int:
        """Return how many calls of one search were never made, since no form of their prompt fits."""
        ((found,),) = self._tables.query(
            "SELECT COUNT(*) FROM unsent WHERE stage = ? AND iteration = ?", (stage, iteration)
        )
        return found

    def searched(self, stage: str, iteration: int) -> set[str]:
        """Return the tasks whose search is over in one iteration."""
        if self._tables.layout < SINCE["searched"]:
            return set()
        with self._tables.reading():
            rows = self._tables.rows("searched", "FROM searched WHERE stage = ? AND iteration = ?", (stage, iteration))
            self._tables.count("searched", rows, stage, iteration)
            return {row["task_id"] for row in rows}

    def ended(self, stage: str, iteration: int, task_ids: Collection[str]) -> Counter[str]:
        """Return how the completions of some tasks ended: with "code", or why they hold none."""
        ended = Counter[str]()
        for row in self._tallies(stage, iteration):
            if row["task_id"] in task_ids:
                ended["code" if row["status"] in WITH_CODE else row["status"]] += row["completions"]
        return +ended

    def without_code(self, stage: str, iteration: int, task_id: str) -> list[CompletionRow]:
        """Return a task's completions that hold no program, in the order in which they came; whether any is missing is
        not checked."""
        where = "FROM completions WHERE stage = ? AND iteration = ? AND task_id = ? AND status <> 'code' ORDER BY rowid"
        with self._tables.reading():
            return [_completion(row) for row in self._tables.rows("completions", where, (stage, iteration, task_id))]

    def waiting(self, stage: str, iteration: int, task_id: str) -> list[CompletionRow]:
        """Return a task's completions whose program has not run, in the order in which they came; whether any is
        missing is not checked."""
        with self._tables.reading():
            return self._without_execution(f"status = 'code' AND {_NOT_RUN}", stage, iteration, task_id)

    def arrived(self, stage: str, iteration: int, task_id: str) -> list[Program | CompletionRow]:
        """Return what all completions of a task's search brought: the program if it was executed, else the
        completion."""
        with self._tables.reading():
            programs = self._programs(task_id, stage, iteration)
            others = self._without_execution(f"(status <> 'code' OR {_NOT_RUN})", stage, iteration, task_id)
            self._tables.compare("completions", len(programs) + len(others), stage, iteration, task_id)
            return [*programs, *others]

    def _without_execution(self, which: str, stage: str, iteration: int, task_id: str) -> list[CompletionRow]:
        where = f"FROM completions WHERE stage = ? AND iteration = ? AND task_id = ? AND {which} ORDER BY rowid"
        place = (stage, iteration, task_id)
        return [_completion(row) for row in self._tables.rows("completions", where, (*place, task_id))]

    def executed(self, task_id: str) -> set[str]:
        """Return the hashes of the programs that have run on a task."""
        sql = "SELECT code_hash FROM executions WHERE task_id = ?"
        with self._tables.reading():
            return {self._tables.form.name(name) for (name,) in self._tables.query(sql, (task_id,))}

    def execution(self, task_id: str, code: str) -> ExecutionRow | None:
        """Return what a program did on a task, None if it has not run."""
        key = (task_id, self._tables.form.key(code_hash(code)))
        with self._tables.reading():
            rows = self._tables.rows("executions", "FROM executions WHERE task_id = ? AND code_hash = ?", key)
            return self._execution(rows[0]) if rows else None

    def programs(self, task_id: str, stage: str, iteration: int | None = None) -> list[Program]:
        """Return a task's executed programs of a stage, one per completion, samples first; one iteration or all."""
        with self._tables.reading():
            return sorted(self._programs(task_id, stage, iteration), key=_search_order)

    def _programs(self, task_id: str, stage: str, iteration: int | None) -> list[Program]:
        known = "counts WHERE kind = 'completions' AND" if self._tables.checked else "iterations WHERE"
        which = "= ?" if iteration is not None else f"IN (SELECT iteration FROM {known} stage = ?)"
        # Where all iterations are read, the second parameter is the subquery's stage.
        rows = list(
            self._tables.with_executions(
                f"{_WITH_EXECUTIONS} AND c.iteration {which} AND c.task_id = ?",
                (stage, stage if iteration is None else iteration, task_id),
            )
        )
        self._tables.count("completions", [row for row, _ in rows], stage, iteration, task_id)
        self._tables.check_missing(
            {task_id: {row["code_hash"] for row, done in rows if row["status"] == "code" and not done}}
        )
        done = [(row, done) for row, done in rows if done]
        stored = self._tables.outputs(chain.from_iterable(each["train"] + each["test"] for _, each in done))
        return [_program(row, each, stored, self._tables.form.output) for row, each in done]

    def program(self, origin: Origin) -> Program:
        """Return the executed program at one place of a search; `StoreError` if the archive has none there."""
        place = (origin.stage, origin.iteration, origin.task_id, origin.phase, origin.island, origin.step, origin.index)
        with self._tables.reading():
            found = list(self._tables.with_executions(f"{_WITH_EXECUTIONS} AND {_AT_ITS_PLACE}", place))
            row, done = found[0] if len(found) == 1 else ({}, None)
            if done is None:
                raise damaged(self._tables.path, f"the program {origin.key} is missing")
            stored = self._tables.outputs(done["train"] + done["test"])
            return _program(row, done, stored, self._tables.form.output)

    def last_finetuning(self) -> float | None:
        """Return the seconds of the latest finetuning, None before the first."""
        timed = [row.finetune_seconds for row in self.iterations() if row.finetune_seconds]
        return timed[-1] if timed else None

    def iterations(self) -> list[IterationRow]:
        """Return the iterations in the order they started."""
        with self._tables.reading():
            rows = self._tables.rows("iterations", "FROM iterations ORDER BY rowid")
            self._tables.count("iterations", rows)
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
        with self._tables.reading():
            rows = self._tables.query(
                "SELECT phase, COUNT(*) FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?"
                " GROUP BY phase",
                (stage, iteration, task_id),
            )
            for phase, count in rows:
                self._tables.compare("completions", count, stage, iteration, task_id, phase)
            self._tables.compare("completions", sum(count for _, count in rows), stage, iteration, task_id)
        found = dict(rows)
        return sum(found.values()), found.get("sample", 0)

    def samples_before(self, origin: Origin) -> int:
        """Return how many samples of its search and task stand before a sample, in the order of sampling."""
        ((found,),) = self._tables.query(
            "SELECT COUNT(*) FROM completions WHERE stage = ? AND iteration = ? AND task_id = ? AND phase = 'sample'"
            " AND (island, step, place) < (?, ?, ?)",
            (origin.stage, origin.iteration, origin.task_id, origin.island, origin.step, origin.index),
        )
        return found

    def completions_by_task(self, stage: str, iteration: int) -> dict[str, int]:
        """Return how many completions each task has in one iteration, unchecked, to watch a run."""
        rows = self._tables.query(
            "SELECT task_id, SUM(rows) FROM counts WHERE kind = 'completions' AND stage = ? AND iteration = ?"
            " GROUP BY task_id",
            (stage, iteration),
        )
        return dict(rows)

    def tokens(self, task_id: str, stage: str, iteration: int) -> dict[Origin, int]:
        """Return the tokens, prompt and completion together, of each completion of a task in one iteration."""
        place = (stage, iteration, task_id)
        with self._tables.reading():
            rows = self._tables.rows(
                "completions", "FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?", place
            )
            self._tables.count("completions", rows, *place)
        return {Origin(*_place(row)): row["prompt_tokens"] + row["completion_tokens"] for row in rows}

    def tokens_by_task(self, *search: tuple[str, int]) -> dict[str, tuple[int, int]]:
        """Return the prompt tokens and the completion tokens of each task, in some searches (stage and iteration) or in
        the whole run."""
        spent: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for place in search or [(done.stage, done.iteration) for done in self.iterations()]:
            for row in self._tallies(*place):
                prompt, completion = spent[row["task_id"]]
                spent[row["task_id"]] = prompt + row["prompt_tokens"], completion + row["completion_tokens"]
        return dict(spent)

    def totals(self, stage: str, iteration: int) -> SearchTotals:
        """Return one search's totals over all tasks."""
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
        with self._tables.reading():
            if self._tables.layout < SINCE["tallies"]:
                rows = self._compute_tallies(stage, iteration)
            else:
                rows = self._tables.rows("tallies", where, (stage, iteration))
            self._tables.compare("completions", sum(row["completions"] for row in rows), stage, iteration)
        return rows

    def _compute_tallies(self, stage: str, iteration: int) -> list[Columns]:
        """Compute the tallies for an archive without any: reads every row of the search."""
        sql = TALLIED.replace(" GROUP BY", " WHERE c.stage = ? AND c.iteration = ? GROUP BY")
        return [dict(zip(COLUMNS["tallies"], row, strict=True)) for row in self._tables.stream(sql, (stage, iteration))]

    def right_in_training(self) -> set[str]:
        """Return the tasks with a program that is right on all training pairs, in any search of the run."""
        rows = self._tables.query("SELECT DISTINCT task_id FROM executions WHERE status = 'ok' AND accuracy = 1")
        return {row[0] for row in rows}

    def behaviours(self, stage: str, iteration: int) -> set[str]:
        """Return the distinct behaviours of one search's programs that ran, as hashes of all their outputs."""
        rows = self._tables.query(
            "SELECT DISTINCT e.behaviour FROM completions c JOIN executions e ON e.task_id = c.task_id"
            " AND e.code_hash = c.code_hash WHERE c.stage = ? AND c.iteration = ? AND e.behaviour IS NOT NULL",
            (stage, iteration),
        )
        return {self._tables.form.name(row[0]) for row in rows}

    def requests(self) -> dict[str, int]:
        """Return the requests of all sessions: ``issued``, ``retried``, ``failed``."""
        with self._tables.reading():
            rows = self._tables.rows("requests", "FROM requests")
            self._tables.count("requests", rows)
        return {name: sum(row[name] for row in rows) for name in ("issued", "retried", "failed")}

    def _execution(self, row: Columns) -> ExecutionRow:
        stored, read = self._tables.outputs(row["train"] + row["test"]), self._tables.form.output
        train, test = (tuple(decode_output(read(stored[name], name)) for name in row[pairs]) for pairs in PAIRS)
        return ExecutionRow(
            task_id=row["task_id"],
            code=row["code"],
            status=row["status"],
            accuracy=row["accuracy"],
            train=train,
            test=test,
            ballot=row["ballot"],
            behaviour=row["behaviour"],
            cpu_seconds=row["cpu_seconds"],
        )


_place = itemgetter(*KEYS["completions"])


def _program(row: Columns, done: Columns, outputs: Mapping[str, Any], text: Callable[[Any, str], str]) -> Program:
    names = done["train"] + done["test"]
    return Program.from_written(
        Written(names, tuple([outputs[name] for name in names]), len(done["train"]), text, decode_output),
        origin=Origin(*_place(row)),
        code=done["code"],
        accuracy=done["accuracy"],
        parents=row["parents"],
        nondeterministic=done["status"] == "nondeterministic",
        ballot=done["ballot"],
        behaviour=done["behaviour"],
    )


def _completion(row: Columns) -> CompletionRow:
    names = ("text", "finish_reason", "prompt_tokens", "completion_tokens", "seconds")
    return CompletionRow(
        origin=Origin(*_place(row)),
        completion=Completion(*(row[name] for name in names)),
        status=row["status"],
        code_hash=row["code_hash"],
        parents=row["parents"],
        prompt_detail=json.loads(row["prompt_detail"]),
    )


def _search_order(program: Program) -> tuple:
    o = program.origin
    return (o.iteration, o.phase != "sample", o.island, o.step, o.index)
