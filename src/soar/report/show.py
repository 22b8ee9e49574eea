"""A run's report in the terminal: the table, some solved tasks in colour with their programs, where everything lies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rich import box
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from soar.archive.reader import ArchiveReader
from soar.config import Config, resolve
from soar.domains.arc import Grid
from soar.domains.draw import side_by_side
from soar.ensemble import VOTERS
from soar.report.metrics import is_right, report
from soar.report.snapshot import Snapshot, snapshot
from soar.run import RunDirectory, steps
from soar.task_sets import open_domain, tasks_with_ids
from soar.types import Program, Task

COLUMNS = (
    ("stage", "stage"),
    ("it.", "iteration"),
    ("tasks", "tasks"),
    ("programs", "programs"),
    ("train\npairs", "solved_train_pairs"),
    ("solved", "solved"),
    ("newly\nsolved", "newly_solved"),
    ("oracle", "oracle"),
    ("search\ns", "seconds"),
    ("tuning\ns", "finetune_seconds"),
)
"""Headings and fields; ``train pairs`` counts tasks with a program that is right on all of these. All of it fits into
80 characters."""


def read_report(path: Path) -> dict[str, Any]:
    """Return the object of ``soar report --json`` for a run directory."""
    directory = RunDirectory(path)
    config = directory.config()
    reader = ArchiveReader(directory.archive)
    try:
        return report(
            reader,
            steps(config),
            _tasks(directory, config),
            {stage.name: config.tasks_of(stage).source for stage in config.stages},
            samples=config.search.samples,
            voter=resolve(config.answer.voter, VOTERS, "voter"),
            filters=config.answer.filters,
        )
    finally:
        reader.close()


def read_status(path: Path) -> Snapshot | None:
    """Return where a run stands, None if it has not begun to search."""
    directory = RunDirectory(path)
    config = directory.config()
    counts = {name: len(entry["ids"]) for name, entry in directory.manifest()["tasks"].items()}
    reader = ArchiveReader(directory.archive)
    try:
        return snapshot(reader, steps(config), counts, config.search.samples + config.search.refinements)
    finally:
        reader.close()


def _tasks(directory: RunDirectory, config: Config) -> dict[str, list[Task]]:
    ids = {name: entry["ids"] for name, entry in directory.manifest()["tasks"].items()}
    return tasks_with_ids(config, open_domain(config), ids)


def report_table(found: dict[str, Any], title: str) -> Table:
    """Return the report's searches as a table."""
    table = Table(title=title, box=box.SIMPLE, padding=0)
    for heading, name in COLUMNS:
        table.add_column(heading, justify="left" if name == "stage" else "right")
    for record in found["iterations"]:
        table.add_row(*(_cell(record[name]) for _, name in COLUMNS))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "?"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def show_run(path: Path, console: Console, examples: int = 3) -> None:
    """Print a finished run: its table, up to `examples` solved tasks drawn with their programs, where things lie."""
    directory = RunDirectory(path)
    console.print(report_table(read_report(path), str(path)))
    for task, program in _solved(directory, examples):
        console.print(f"\ntask {task.id}, solved by {program.key}", highlight=False)
        example = task.test[0]
        console.print(side_by_side([("test input", cast(Grid, example.input)), ("answer", cast(Grid, example.output))]))
        console.print(Syntax(program.code, "python", background_color="default", word_wrap=True))
    for name, what in (
        ("archive.sqlite", "every completion and what its program did"),
        ("answers/", "answers in the ARC Prize format, one file per search"),
        ("data/", "the examples each finetuning saw"),
        ("adapters/", "the finetuned weights"),
    ):
        console.print(f"{path / name}  {what}", highlight=False, soft_wrap=True)


def _solved(directory: RunDirectory, limit: int) -> Iterator[tuple[Task, Program]]:
    """Yield solved tasks with a shortest right program, later searches and longer programs first."""
    config = directory.config()
    tasks = _tasks(directory, config)
    reader = ArchiveReader(directory.archive)
    try:
        found: dict[str, tuple[Task, Program]] = {}
        for step in reversed(steps(config)):
            for task in tasks[step.stage.name]:
                programs = reader.programs(task.id, step.stage.name, step.iteration)
                right = [program for program in programs if is_right(task, program)]
                if right and task.id not in found:
                    found[task.id] = (task, min(right, key=lambda program: (len(program.code), program.key)))
        yield from sorted(found.values(), key=lambda pair: -len(pair[1].code))[:limit]
    finally:
        reader.close()
