"""Shows a search of tasks in hand while it runs: what it has tried, how near it is, the best program so far.

A live display in a terminal, else a plain line whenever it comes nearer, or after a while. Reads the archive like any
other reader; the search does not know of it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from soar.archive.reader import ArchiveReader
from soar.report.drawing import highlighted
from soar.report.foreign import visible
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.types import Program, Task

POLL_EVERY, PRINT_EVERY = 0.25, 5.0
"""Seconds between looks, and between plain lines if nothing new is found."""

LINES, TASKS = 16, 8
"""How many lines of a program, and how many tasks, the live display shows."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried for one task so far: completions and their maximum, the number of programs, and the best one."""

    task: Task
    completions: int
    budget: int
    programs: int
    best: Program | None

    @property
    def right(self) -> int:
        """How many training pairs the best program is right on."""
        return round(self.best.accuracy * len(self.task.train)) if self.best else 0


def tried(reader: ArchiveReader, view: RunView, task: Task) -> Tried:
    """Read what was tried for one task so far."""
    step = view.plan[0]
    programs = reader.programs(task.id, *step.key)
    completions, _ = reader.completion_counts(*step.key, task.id)
    best = max(programs, key=lambda each: (each.accuracy, each.ran, -len(each.code)), default=None)
    return Tried(task, completions, view.samples + view.refinements, len(programs), best)


async def watch(view: RunView, tasks: Sequence[Task], console: Console) -> None:
    """Show what is being tried until cancelled."""
    # Unchecked, which costs less: a line on the screen is not a result.
    reader = ArchiveReader(RunDirectory(view.path).archive, checked=False)
    try:
        if console.is_terminal:
            with Live(Text("…"), console=console, transient=True, refresh_per_second=4) as live:
                await _look(reader, view, tasks, lambda now: live.update(_screen(now)))
        else:
            lines = _Lines(console)
            try:
                await _look(reader, view, tasks, lines.show)
            finally:
                # Once more at the end: a quick search ends between two looks, and what it found is printed too.
                lines.show([tried(reader, view, task) for task in tasks])
    finally:
        reader.close()


async def _look(
    reader: ArchiveReader, view: RunView, tasks: Sequence[Task], show: Callable[[Sequence[Tried]], None]
) -> None:
    while True:
        begun = time.monotonic()
        show([tried(reader, view, task) for task in tasks])
        # The search waits while this reads: for at most 5 % of the time.
        await asyncio.sleep(max(POLL_EVERY, 20 * (time.monotonic() - begun)))


def said(now: Tried) -> str:
    """Return one line: what was tried for a task."""
    pairs = len(now.task.train)
    best = f"the best is right on {now.right} of {pairs} training pairs" if now.best else "none to judge yet"
    return visible(f"{now.task.id}: {now.completions} of {now.budget} completions, {now.programs} programs; {best}")


def _screen(now: Sequence[Tried]) -> RenderableType:
    """Return the live display: a line per task, and the best program of one, of an unsolved one if there is any."""
    lines: list[RenderableType] = [Text(said(each), no_wrap=True, overflow="ellipsis") for each in now[:TASKS]]
    if len(now) > TASKS:
        lines.append(Text(f"and {len(now) - TASKS} more"))
    newest = next((each.best for each in now if each.best and each.right < len(each.task.train)), None)
    newest = newest or next((each.best for each in now if each.best), None)
    if newest:
        code = "\n".join(newest.code.split("\n")[:LINES])
        lines += [Text(f"\n{visible(newest.key)}", style="dim"), highlighted(code)]
    return Group(*lines)


class _Lines:
    """Prints a line when a search has come nearer to solving a task, or after a while."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._right: Mapping[str, int] = {}
        self._when = time.monotonic()

    def show(self, now: Sequence[Tried]) -> None:
        """Print what is new."""
        late = time.monotonic() - self._when >= PRINT_EVERY
        for each in now:
            if each.best and (late or self._right.get(each.task.id, -1) < each.right):
                self._console.print(said(each), markup=False, highlight=False, soft_wrap=True)
                self._when = time.monotonic()
        self._right = {each.task.id: each.right for each in now if each.best}
