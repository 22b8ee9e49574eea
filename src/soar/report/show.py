"""A run's report in the terminal: the table, some telling programs in colour, what was reached, where everything is and
what to type next."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soar.report.drawing import highlighted, print_groups, print_whole
from soar.report.foreign import visible
from soar.report.overview import Telling, overview
from soar.report.view import RunView, leak_lines
from soar.search.replies import useless_line
from soar.types import Leaks

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
"""Headings and fields; ``train pairs`` counts tasks with a program that is right on all of these. The table fits 80
columns."""

SHOWN = 3
"""How many programs are shown at the end of a run."""


def print_report(records: Sequence[Mapping[str, Any]], leaks: Leaks, title: str, console: Console) -> None:
    """Print a report's searches as a table, and below it the notes needed to read it."""
    console.print(report_table(records, title))
    if not all(record["finished"] for record in records):
        print_whole(console, "* not finished: the row shows the state so far")
    for record in records:
        if useless := useless_line(record["status"]):
            print_whole(console, f"{record['stage']} {record['iteration']}: {useless}")
    for line in leak_lines(leaks):
        console.print(Text(visible(line), style="bold red"), soft_wrap=True, highlight=False)


def report_table(records: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return the report's searches as a table; unfinished ones are marked."""
    table = Table(title=Text(visible(title)), box=box.SIMPLE, padding=0)
    for heading, name in COLUMNS:
        table.add_column(heading, justify="left" if name == "stage" else "right")
    for record in records:
        mark = "" if record["finished"] else "*"
        table.add_row(*(Text(_cell(record[name]) + mark * (name == "iteration")) for _, name in COLUMNS))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "?"
    return f"{value:.0f}" if isinstance(value, float) else visible(str(value))


def show_run(view: RunView, console: Console) -> None:
    """Print a finished run: its table, most telling programs, what was reached, where it is, and what comes next."""
    found = overview(view)
    print_report(found.records, view.leaks, view.title, console)
    for each in found.telling[:SHOWN]:
        show_telling(each, view, console)
    console.print()
    for line in _reached(found.records):
        print_whole(console, line)
    for name, what in (
        ("archive.sqlite", "every completion and what its program did"),
        ("answers/", "answers in the submission format, one file per search"),
        ("data/", "the training examples of each finetuning"),
        ("adapters/", "the finetuned weights"),
    ):
        if (view.path / name).exists():
            print_whole(console, f"{view.path / name}  {what}")
    where = shlex.quote(str(view.path))
    print_whole(console, f"next: soar report {where} --html report.html    the whole report as a page")
    if found.telling:
        print_whole(
            console, f"      soar show {where} {shlex.quote(found.telling[0].task.id)}    everything about a task"
        )


def show_telling(each: Telling, view: RunView, console: Console) -> None:
    """Print a program with a test input and its output there, and the expected output if that differs."""
    task, program = each.task, each.program
    are = "is" if each.right_programs == 1 else "are"
    said = {
        "right": f"{each.right_programs} of its {each.programs} programs {are} right on all known pairs, such as",
        "deceived": f"{each.right_programs} of its {each.programs} programs {are} right on the training pairs;"
        " one that is wrong on a test pair is",
        "near": f"none of its {each.programs} programs is right on all training pairs; the nearest is",
    }[each.kind]
    print_whole(console, f"\ntask {task.id}: {said}\n{program.key}")
    expected, given = task.test[0].output, program.test[0]
    shown = [("test input", task.test[0].input), ("output", given)]
    if expected is not None and expected != given:
        shown.append(("expected", expected))
    print_groups(console, view.domain, [shown])
    print_whole(console, highlighted(program.code))


def _reached(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line per stage: what its searches reached together."""
    lines = []
    for stage in dict.fromkeys(record["stage"] for record in records):
        own = [record for record in records if record["stage"] == stage]
        known = [record["newly_solved"] for record in own if record["newly_solved"] is not None]
        tasks, answered = own[-1]["tasks"], own[-1]["answered"]
        unknown = f" (the answers of {tasks - answered} more are not known)" if answered < tasks else ""
        solved = f"{sum(known)} of {answered} tasks solved{unknown}"
        solved = solved if known else f"{tasks} tasks, whose answers are not known,"
        tokens = sum(sum(record["tokens"].values()) for record in own)
        seconds = sum(record["seconds"] + record["finetune_seconds"] for record in own)
        searches = f"{len(own)} search{'es' * (len(own) > 1)}"
        lines.append(f"stage {stage}: {solved} in {searches}, {tokens:,} tokens, {seconds / 60:.1f} min")
    return lines
