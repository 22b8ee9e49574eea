"""Imports programs from elsewhere as the first search of a run: to look at them, or to learn from them.

Knows files of programs (JSON lines, Parquet, folders of these) and how a run begins. What such a file claims a program
did is not trusted: every program runs again in the sandbox, so that the archive says what happened here.
"""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soar import session
from soar.archive.rows import CompletionRow, code_hash, execution_row
from soar.config import Config
from soar.errors import ConfigError, DataError
from soar.import_note import IMPORTED, note_import
from soar.iterate import Run, conclude
from soar.report.dataset import pyarrow_or_error
from soar.run import Step
from soar.search.evaluate import execute
from soar.signals import until_signal
from soar.types import Completion, Origin, Task

IN_FLIGHT = 256
"""How many rows a file is read ahead of what is stored: it may hold millions of programs."""

PASSED_AT_ONCE = 1000
"""How many rows of other tasks are passed over before signals are handled."""

SAY_SECONDS = 30
Row = tuple[str, str]
"""A task's id and a program."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's rows: programs of how many tasks, and how many rows of tasks that the search lacks."""

    step: Step
    programs: int
    tasks: int
    elsewhere: int


async def import_programs(programs: Path, config: Config, path: Path, say: Callable[[str], None]) -> Imported:
    """Begin a configuration's run with programs in place of its first search; call it again to resume.

    `DataError` if no row belongs to one of its tasks, `ConfigError` if its first search began in another way.
    """
    rows = rows_of(programs)
    async with session.open_run(config, path, lambda _: None, say) as opened:
        stopped = f"stopped; run the same import into {path} again to resume"
        return await until_signal(_store_all(opened, rows, programs, say), stopped)


async def _store_all(run: Run, rows: Iterator[Row], named: Path, say: Callable[[str], None]) -> Imported:
    step = run.method.steps[0]
    stored = _stored(run, step)
    tasks = {task.id: task.without_answers() for task in run.tasks[step.stage.name]}
    places, elsewhere, said = Counter[str](), 0, time.monotonic()
    note_import(run.directory, named)
    await run.writer.begin(*step.key)
    async with run.writer.timing(*step.key, "seconds"):
        under_way: deque[asyncio.Task[None]] = deque()
        try:
            for task_id, code in rows:
                if time.monotonic() - said > SAY_SECONDS:
                    said = time.monotonic()
                    say(f"imported {places.total()} programs so far{_passed(elsewhere)}")
                if task_id not in tasks:
                    elsewhere += 1
                    if elsewhere % PASSED_AT_ONCE == 0:
                        await asyncio.sleep(0)  # a file may hold millions of these; let signals be handled
                    continue
                place, hashed = places[task_id], code_hash(code)
                if stored[task_id].get(place, hashed) != hashed:
                    raise ConfigError(
                        f"program {place + 1} of task {task_id} in {named} is not the one that an earlier import put"
                        f" into {run.directory.path}: name the same file, longer if you like, or a new run directory"
                    )
                origin = Origin(*step.key, task_id, "sample", 0, place, 0)
                places[task_id] += 1
                under_way.append(asyncio.create_task(_store(run, tasks[task_id], origin, code)))
                if len(under_way) >= IN_FLIGHT:
                    await under_way.popleft()
            while under_way:
                await under_way.popleft()
        finally:
            for each in under_way:
                each.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
    if not places:
        raise DataError(f"no program in {named} belongs to one of the {len(tasks)} tasks of stage {step.stage.name!r}")
    await conclude(run, step)
    return Imported(step, places.total(), len(places), elsewhere)


def _stored(run: Run, step: Step) -> dict[str, dict[int, str | None]]:
    """Return the hash of each program that an earlier import stored, by task and place; `ConfigError` if the first
    search is finished, or holds completions that were not imported."""
    if any(row.finished for row in run.reader.iterations()):
        raise ConfigError(f"the first search of {run.directory.path} is finished: import into a new run directory")
    found: dict[str, dict[int, str | None]] = {}
    for task in run.tasks[step.stage.name]:
        rows = run.reader.completions(*step.key, task.id, "sample", 0)
        if any(row.completion.finish_reason != IMPORTED for row in rows):
            raise ConfigError(f"{run.directory.path} was started by `soar run`: import into a new run directory")
        found[task.id] = {row.origin.step: row.code_hash for row in rows}
    return found


async def _store(run: Run, task: Task, origin: Origin, code: str) -> None:
    """Store a program and what it does; one already executed on this task is not run again."""
    known = run.reader.execution(task.id, code)
    done = known or execution_row(task, code, await execute(run.executor, run.method.search.parse, task, code))
    completion = Completion(code, IMPORTED)
    stored = [] if known else [done]
    await run.writer.add([*stored, CompletionRow(origin, completion, "code", code_hash(code), code=code)])


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the task and program of every row of a file, or of the files in a folder; `DataError` names a row that
    lacks them."""
    if path.is_dir():
        named = (file for file in path.rglob("*") if file.suffix in (".parquet", ".jsonl"))
        # Hidden files are not the user's: macOS and Jupyter leave some beside or below those that they copy or show.
        files = sorted(file for file in named if not any(p.startswith(".") for p in file.relative_to(path).parts))
        if not files:
            raise DataError(f"{path} holds no .parquet or .jsonl file: name a file or folder of programs")
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"no file or folder of programs at {path}")
    if any(file.suffix == ".parquet" for file in files):
        pyarrow_or_error()
    return (row for file in files for row in (_of_table if file.suffix == ".parquet" else _of_lines)(file))


def _of_lines(file: Path) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(json.loads(line), f"{file}, line {number}")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read as JSON lines: {error}") from None


def _of_table(file: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            if missing := {"task_id", "code"} - set(table.schema_arrow.names):
                raise DataError(f"{file} has no column {', '.join(sorted(missing))}: expected task_id and code")
            for batch in table.iter_batches(columns=["task_id", "code"]):
                for row in batch.to_pylist():
                    yield _row(row, str(file))
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}") from None


def _row(found: Any, where: str) -> Row:
    if not isinstance(found, dict) or not isinstance(task := found.get("task_id"), str):
        raise DataError(f"{where}: expected an object with task_id and code, found {str(found)[:80]!r}")
    if not isinstance(code := found.get("code"), str):
        raise DataError(f"{where}: expected a program's text as code, found {str(code)[:80]!r}")
    if not code.isascii() and code != code.encode(errors="replace").decode():
        raise DataError(f"{where}: expected a program's text as code, found half of a character: {code[:80]!r}")
    return task, code


def _passed(elsewhere: int) -> str:
    return f"; skipped {elsewhere} rows of other tasks" if elsewhere else ""


def told(found: Imported, path: Path, config: Path) -> str:
    """Return one line: what was imported, and what to type next."""
    stage, iteration = found.step.key
    return (
        f"imported {found.programs} programs of {found.tasks} tasks as search {iteration} of stage {stage!r} in {path}"
        f"{_passed(found.elsewhere)}; next: soar report {path}, or soar run {config} {path} to continue from them"
    )
