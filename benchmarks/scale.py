"""What a run of many programs costs to store, to look at and to take up again.

``python -m benchmarks.scale --programs 100000`` fills a run directory through the archive's own writer as a search
does: 400 ARC tasks, a completion and an execution for each program, one row a call, many calls at once. Programs are
those of `programs.jsonl`, two in one text, with names and numbers drawn anew, so that nearly every one is another;
replies have words of no pattern around them; outputs are a task's own with cells changed. Then it asks, each in a
process of its own where a user would:

    rows/s        completions and executions stored per second, outputs encoded and judged on the way
    bytes         of the archive, per program
    status        seconds of `soar status`
    report        seconds of `soar report --json` while the search goes on, and its peak memory
    line          CPU milliseconds of a look for the progress line
    resume        seconds from `soar run` to its first new call, with 64 tasks in mid-search
    learning      seconds to choose examples from all programs, greedy-diverse, 50 a task
    answers       seconds from the last program to the search's answers, when it ends
    finished      seconds of `soar report --json` afterwards
    page          seconds of `soar report --html` then; what `soar run` says at its end is chosen in the same way

``--json FILE`` appends a line; what stands there already is shown above it. A small archive first: ``--programs 4000``.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.programs import FILE
from benchmarks.searches import search_config
from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, SearchedRow, code_hash, execution_row
from soar.archive.writer import ArchiveWriter
from soar.config import load_config
from soar.iterate import Run, conclude
from soar.report.snapshot import snapshot
from soar.run import steps
from soar.session import open_run
from soar.types import Completion, Execution, Failure, Origin, Output, Task

TASKS, IN_FLIGHT, AT_ONCE = 400, 64, 512
TOGETHER = 8
"""Tasks whose programs arrive side by side: a search has many in flight, so that one transaction stores many rows."""

CONFIG = """
islands = 4
completions_per_refinement = 4
enough = 0
tasks_in_flight = {in_flight}
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
source = "arc1-training"
count = {tasks}
iterations = 2
answers = "known"
"""
COLUMNS = (
    *("programs", "rows/s", "bytes", "status", "report", "report MB"),
    *("line ms", "resume", "learning", "answers", "finished", "page"),
)
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "rd", "lis", "tam", "ve", "nous")]


def first_call(prompt: object, seed: int) -> str:
    """The scripted model of a resumed run: its first call is what was waited for."""
    del prompt, seed
    os._exit(0)


def texts(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield programs, and replies that hold them, without end."""
    pieces = [json.loads(line)["code"] for line in FILE.read_text(encoding="utf-8").splitlines()]
    while True:
        first, second = chance.sample(pieces, 2)
        note = " ".join(chance.choices(WORDS, k=12))
        code = (
            f"# {note}\n{first.replace('transform', chance.choice(WORDS))}\n\nK = {chance.randrange(10**6)}\n\n{second}"
        )
        yield code, f"{' '.join(chance.choices(WORDS, k=60))}\n```python\n{code}\n```"


def execution(task: Task, chance: random.Random) -> Execution:
    """Return what a program may have done: a quarter fail; of the others most outputs are no other program's."""
    if chance.random() < 0.25:
        failure = Failure("IndexError", "list index out of range", stage="run")
        return Execution(tuple(failure for _ in task.inputs), 0.001)
    grids: list[Output] = [pair.output for pair in (*task.train, *task.test)]
    return Execution(tuple(_changed(grid, chance) if chance.random() < 0.7 else grid for grid in grids), 0.001)


def _changed(grid: Any, chance: random.Random) -> Output:
    rows = [list(row) for row in grid]
    for _ in range(3):
        row = chance.choice(rows)
        row[chance.randrange(len(row))] = chance.randrange(10)
    return tuple(map(tuple, rows))


def places(task_id: str, half: int, *, samples_only: bool) -> Iterator[Origin]:
    """Yield where a task's completions stand in a search."""
    for number in range(half):
        yield Origin("train", 0, task_id, "sample", 0, number // 50, number % 50)
    for number in range(0 if samples_only else half):
        yield Origin("train", 0, task_id, "refine", number // 4 % 4, number // 16, number % 4)


async def fill(writer: ArchiveWriter, tasks: Sequence[Task], half: int) -> tuple[int, float]:
    """Store a search of all tasks, of the last ones their samples; return the programs, and the seconds of storing."""
    chance, stored, seconds = random.Random(0), 0, 0.0
    drawn, unfinished = texts(chance), {task.id for task in tasks[-IN_FLIGHT:]}
    for begin in range(0, len(tasks), TOGETHER):
        together = tasks[begin : begin + TOGETHER]
        made = [
            (task, origin, *next(drawn), execution(task, chance))
            for task in together
            for origin in places(task.id, half, samples_only=task.id in unfinished)
        ]
        begun = time.monotonic()
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_store(writer, turns, *each) for each in made))
        await writer.add([SearchedRow("train", 0, task.id) for task in together if task.id not in unfinished])
        seconds += time.monotonic() - begun
        stored += len(made)
    return stored, seconds


async def _store(
    writer: ArchiveWriter, turns: asyncio.Semaphore, task: Task, origin: Origin, code: str, reply: str, done: Execution
) -> None:
    async with turns:
        parents = () if origin.phase == "sample" else (f"train/0/{task.id}/sample/0/0/0",)
        completion = Completion(reply, "stop", 3000, 600, 1.0)
        await writer.add([CompletionRow(origin, completion, "code", code_hash(code), parents, code=code)])
        await writer.add([execution_row(task, code, done)])


def timed(*arguments: str) -> tuple[float, float]:
    """Run a command; return its seconds and its peak memory in MB, with those of its children."""
    begun = time.monotonic()
    said = "import resource, sys, subprocess; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)"
    said += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", said, sys.executable, "-m", "soar", *arguments], capture_output=True)
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"soar {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    return seconds, float(done.stdout)


def choose(run: Run) -> float:
    """Return the seconds that choosing examples takes, all tasks together."""
    begun = time.monotonic()
    for task in run.tasks["train"]:
        run.method.learning.examples(task, run.reader.programs(task.id, "train"), 0, frozenset())
    return time.monotonic() - begun


def look(path: Path, per_task: int) -> float:
    """Return the CPU milliseconds of one look at a run for the line that says how far it is."""
    config = load_config(path / "config.toml")
    with closing(ArchiveReader(path / "archive.sqlite")) as reader:
        begun = time.process_time()
        snapshot(reader, steps(config.plan()), {"train": TASKS}, per_task, config.budget)
        return (time.process_time() - begun) * 1e3


async def finish(run: Run) -> float:
    """End the search as `soar run` does; return the seconds of its answers."""
    begun = time.monotonic()
    await conclude(run, run.method.steps[0])
    return time.monotonic() - begun


async def measure(folder: Path, programs: int) -> dict[str, float]:
    """Fill a run directory and ask it everything."""
    half = max(4, round(programs / (2 * TASKS - IN_FLIGHT)))
    path, given = folder / "run", folder / "scale.toml"
    given.write_text(
        search_config("benchmarks.scale:first_call", half) + CONFIG.format(tasks=TASKS, in_flight=IN_FLIGHT),
        encoding="utf-8",
    )
    config = load_config(given)
    async with open_run(config, path, lambda _: None, print) as run:
        await run.writer.begin("train", 0)
        stored, seconds = await fill(run.writer, run.tasks["train"], half)
        learning = choose(run)
    size = sum(each.stat().st_size for each in path.glob("archive.sqlite*"))
    status, _ = timed("status", str(path))
    report, memory = timed("report", str(path), "--json")
    line = look(path, 2 * half)
    resumed, _ = timed("run", str(given), str(path))
    async with open_run(config, path, lambda _: None, print) as run:
        answers = await finish(run)
    finished, _ = timed("report", str(path), "--json")
    page, _ = timed("report", str(path), "--html", str(folder / "report.html"))
    stages = stored, 2 * stored / seconds, size / stored, status, report, memory
    return dict(zip(COLUMNS, (*stages, line, resumed, learning, answers, finished, page), strict=True))


def table(rows: Sequence[dict[str, float]]) -> Table:
    """Return lines of figures as a table."""
    shown = Table(*COLUMNS, box=SIMPLE_HEAD)
    for row in rows:
        shown.add_row(*(_figure(row.get(name)) for name in COLUMNS))
    return shown


def _figure(value: float | None) -> str:
    """Return a figure as text; None is one that an older line lacks."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the run is made and left (default: a passing folder)")
    parser.add_argument("--json", type=Path, help="a file to which the figures are appended")
    options = parser.parse_args()
    lines = options.json.read_text().splitlines() if options.json and options.json.exists() else []
    with tempfile.TemporaryDirectory() as passing:
        folder = options.folder or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(measure(folder, options.programs))
    if options.json:
        with options.json.open("a") as file:
            file.write(json.dumps({name: round(value, 4) for name, value in found.items()}) + "\n")
    Console(width=120).print(table([*map(json.loads, lines), found]))


if __name__ == "__main__":
    main()
