"""A run's report in the terminal: the table, some solved tasks in colour with their programs, where everything lies."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soar.report.drawing import highlighted, print_groups, print_whole
from soar.report.foreign import visible
from soar.report.metrics import report
from soar.report.view import RunView
from soar.scoring import solves
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


def report_table(found: dict[str, Any], title: str) -> Table:
    """Return the report's searches as a table."""
    table = Table(title=Text(visible(title)), box=box.SIMPLE, padding=0)
    for heading, name in COLUMNS:
        table.add_column(heading, justify="left" if name == "stage" else "right")
    for record in found["iterations"]:
        table.add_row(*(Text(_cell(record[name])) for _, name in COLUMNS))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "?"
    return f"{value:.0f}" if isinstance(value, float) else visible(str(value))


def show_run(view: RunView, console: Console, examples: int = 3) -> None:
    """Print a finished run: its table, up to `examples` solved tasks drawn with their programs, where things lie."""
    console.print(report_table(report(view), str(view.path)))
    for task, program in _solved(view, examples):
        print_whole(console, f"\ntask {task.id}, solved by {program.key}")
        example = task.test[0]
        print_groups(console, view.domain, [[("test input", example.input), ("answer", example.output)]])
        print_whole(console, highlighted(program.code))
    for name, what in (
        ("archive.sqlite", "every completion and what its program did"),
        ("answers/", "answers in the submission format, one file per search"),
        ("data/", "the examples each finetuning saw"),
        ("adapters/", "the finetuned weights"),
    ):
        if (view.path / name).exists():
            print_whole(console, f"{view.path / name}  {what}")


def _solved(view: RunView, limit: int) -> list[tuple[Task, Program]]:
    """Return solved tasks with a shortest right program, later searches and longer programs first."""
    found: dict[str, tuple[Task, Program]] = {}
    for step in reversed(view.plan):
        for task in view.tasks[step.stage.name]:
            if task.id not in found and task.answered:
                right = [program for program in view.reader.programs(task.id, *step.key) if solves(task, program)]
                if right:
                    found[task.id] = (task, min(right, key=lambda program: (len(program.code), program.key)))
    return sorted(found.values(), key=lambda pair: -len(pair[1].code))[:limit]
