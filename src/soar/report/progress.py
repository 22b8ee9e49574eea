"""Shows the progress of a run: a live display in a terminal, else a plain line every 30 seconds. Finished searches and
finetunings stay on the screen, one line each.

Reads the archive like any other reader; the run itself only passes on the numbers of its finetunings.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from soar.archive.reader import ArchiveReader
from soar.archive.rows import IterationRow
from soar.budget import Tokens
from soar.report.drawing import print_whole
from soar.report.foreign import visible
from soar.report.so_far import SoFar
from soar.report.time_left import CurrentStep, Left, time_left
from soar.report.tracking import Track
from soar.report.view import RunView
from soar.run import RunDirectory, Step

POLL_EVERY, PRINT_EVERY = 1.0, 30.0
"""Seconds between looks, and between plain lines."""

WINDOW = 60.0
"""Seconds, if looks are not rarer, over which the displayed rates are taken."""


@dataclass(frozen=True, slots=True)
class Training:
    """A finetuning in progress: when it began, its first and last reported step with times, and its latest numbers."""

    begun: float
    first: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def heard(self, now: float, numbers: Mapping[str, float]) -> "Training":
        """Return it with an entry of its log added."""
        if "step" not in numbers:
            return replace(self, numbers=numbers)
        last = now, numbers["step"]
        return replace(self, numbers=numbers, first=self.first or last, last=last)

    def seconds_left(self, now: float) -> float | None:
        """Return how long its steps still take, None before two are reported."""
        if not (self.first and self.last and self.last[1] > self.first[1] and "of" in self.numbers):
            return None
        each = (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])
        return max(0.0, (self.numbers["of"] - self.last[1]) * each - (now - self.last[0]))


class Progress:
    """The current finetuning of a run, None between finetunings, and the last numbers of a finished one not shown yet.
    The run may report from any thread."""

    def __init__(self) -> None:
        self.training: Training | None = None
        self.trained: Mapping[str, float] = {}

    def note(self, numbers: Mapping[str, float]) -> None:
        """Take in numbers of a finetuning; none at all mean that it has ended."""
        now = time.monotonic()
        if numbers:
            self.training = (self.training or Training(now)).heard(now, numbers)
        elif self.training:
            self.trained, self.training = self.training.numbers, None


async def show_progress(view: RunView, progress: Progress, console: Console, track: Track) -> None:
    """Show where a run stands until cancelled; `track` gets the numbers of every finished search."""
    # Unchecked, which costs less: a line on the screen is not a result.
    reader = ArchiveReader(RunDirectory(view.path).archive, checked=False)
    watch = _Watch(replace(view, reader=reader), progress, track)
    try:
        if console.is_terminal:
            with Live(Text("starting"), console=console, transient=True, refresh_per_second=4) as live:
                await _look(watch, console, live)
        else:
            await _look(watch, console, None)
    finally:
        reader.close()


async def _look(watch: "_Watch", console: Console, live: Live | None) -> None:
    said = time.monotonic()
    try:
        while True:
            _print(console, watch.finished())
            begun = time.monotonic()
            now = watch.now()
            if now and live:
                live.update(Group(*(Text(visible(line), no_wrap=True, overflow="ellipsis") for line in now)))
            elif now and begun - said >= PRINT_EVERY:
                said = begun
                _print(console, ["; ".join(now)])
            # The run waits while this reads: for about 2 % of the time.
            await asyncio.sleep(max(POLL_EVERY, min(PRINT_EVERY, 50 * (time.monotonic() - begun))))
    finally:
        _print(console, watch.finished())


def _print(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        print_whole(console, line)


class _Watch:
    """Looks at a run again and again, and remembers what it has reported."""

    def __init__(self, view: RunView, progress: Progress, track: Track) -> None:
        self._view, self._progress, self._track = view, progress, track
        self._tasks = {name: len(tasks) for name, tasks in view.tasks.items()}
        rows = view.reader.iterations()
        self._reported = {(row.stage, row.iteration) for row in rows if row.finished}
        self._tuned = {(row.stage, row.iteration): row.finetune_seconds for row in rows}
        self._spent = {key: self._tokens(key) for key in self._reported}
        self._so_far: SoFar | None = None
        self._step: Step | None = None
        self._recent: deque[tuple[float, int, int]] = deque()
        self._first: tuple[float, int] | None = None

    def finished(self) -> list[str]:
        """Return a line for each finetuning and search that ended since the last look."""
        lines = []
        for row in self._view.reader.iterations():
            key = row.stage, row.iteration
            before = self._tuned.get(key, 0.0)
            if row.finetune_seconds > before and self._progress.trained:
                self._tuned[key] = row.finetune_seconds
                loss, self._progress.trained = self._progress.trained.get("loss"), {}
                told = f"; loss {loss:.3g}" if loss is not None else ""
                lines.append(f"{row.stage} {row.iteration}: finetuned in {span(row.finetune_seconds)}{told}")
            if row.finished and key not in self._reported:
                self._reported.add(key)
                self._spent[key] = self._tokens(key)
                lines.append(self._searched(row))
        return lines

    def _searched(self, row: IterationRow) -> str:
        step = next(step for step in self._view.plan if step.key == (row.stage, row.iteration))
        found = self._so_far if self._so_far and self._step == step else SoFar(self._view, step)
        found.look(all_of_it=True)
        tokens = self._spent[step.key].total
        numbers = {
            "solved": found.solved,
            "train_pairs": found.fitting,
            "programs": found.programs,
            "tokens": tokens,
            "seconds": row.seconds,
            "number": step.number,
        }
        self._track({f"search/{name}": value for name, value in numbers.items() if value is not None})
        return (
            f"{row.stage} {row.iteration}: {self._score(found, step)}; {found.programs:,} programs;"
            f" {short(tokens)} tokens; {span(row.seconds)}"
        )

    def _score(self, found: SoFar, step: Step) -> str:
        solved = "" if found.solved is None else f"solved {found.solved}, "
        return f"{solved}train pairs {found.fitting} of {self._tasks[step.stage.name]}"

    def _tokens(self, key: tuple[str, int]) -> Tokens:
        totals = self._view.reader.totals(*key)
        return Tokens(totals.prompt_tokens, totals.completion_tokens)

    def now(self) -> list[str]:
        """Return lines about the step in progress: what it is, what it has reached, how long it still takes; none
        before the first search and after the last."""
        rows = self._view.reader.iterations()
        going = [row for row in rows if not row.finished]
        if not going:
            return []
        row, now = going[-1], time.monotonic()
        step = next(step for step in self._view.plan if step.key == (row.stage, row.iteration))
        if self._step != step:
            self._step, self._so_far, self._first = step, SoFar(self._view, step), None
            self._recent.clear()
        totals = self._view.reader.totals(*step.key)
        completions = sum(totals.statuses.values())
        spent = Tokens(totals.prompt_tokens, totals.completion_tokens)
        training = self._progress.training
        if not training:
            self._recent.append((now, completions, spent.total))
            while len(self._recent) > 2 and now - self._recent[1][0] > WINDOW:
                self._recent.popleft()
            self._first = self._first or (now, completions)
        rate = _rate(self._first, (now, completions))
        left = self._left(rows, step, completions, rate, training, now)
        heading = f"{row.stage} {row.iteration} (search {step.number + 1} of {len(self._view.plan)})"
        what = _training_line(training) if training else self._searches(step, completions)
        return [f"{heading}: {what}", *self._reached(step, spent), _time_left_line(left, training, totals.statuses)]

    def _searches(self, step: Step, completions: int) -> str:
        most = self._tasks[step.stage.name] * (self._view.samples + self._view.refinements)
        said = f"{completions:,} of {most:,} completions"
        (then, before, tokens), (now, count, more) = self._recent[0], self._recent[-1]
        if now - then > 0 and count > before:
            said += f", {(count - before) / (now - then):,.0f}/s, {(more - tokens) / (now - then):,.0f} tokens/s"
        return said

    def _reached(self, step: Step, spent: Tokens) -> list[str]:
        assert self._so_far is not None, "`now` sets it for the step in progress"
        self._so_far.look()
        score = f"so far {self._score(self._so_far, step)}; " if spent.total else ""
        total = sum((tokens for key, tokens in self._spent.items() if key != step.key), spent)
        cost = self._view.budget.cost(total)
        money = "" if cost is None else f", {cost:.2f} in money"
        return [f"{score}{short(total.total)} tokens{money} in all"]

    def _left(
        self,
        rows: Sequence[IterationRow],
        step: Step,
        completions: int,
        rate: float | None,
        training: Training | None,
        now: float,
    ) -> Left:
        tuning = training.seconds_left(now) if training else None
        current = CurrentStep(
            step=step,
            completions=completions,
            rate=rate,
            finetuning=now - training.begun if training else None,
            finetune_left=tuning,
        )
        limit, spent = self._view.budget.max_seconds, sum(row.seconds + row.finetune_seconds for row in rows)
        per_task = self._view.samples + self._view.refinements
        measured = [row for row in rows if (row.stage, row.iteration) != self._view.imported]
        return time_left(self._view.plan, self._tasks, per_task, measured, current, limit and limit - spent)


def _rate(first: tuple[float, int] | None, last: tuple[float, int]) -> float | None:
    """Return completions per second since a search was first seen."""
    if first is None or last[1] <= first[1] or last[0] <= first[0]:
        return None
    return (last[1] - first[1]) / (last[0] - first[0])


def _training_line(training: Training) -> str:
    numbers = dict(training.numbers)
    if "step" not in numbers:
        return "finetuning, " + (", ".join(f"{name} {value:,.6g}" for name, value in numbers.items()) or "starting")
    step, of = numbers.pop("step"), numbers.pop("of", None)
    said = f"finetuning, step {step:.0f}" + ("" if of is None else f" of {of:.0f}")
    return "; ".join([said, *(f"{name} {value:.3g}" for name, value in numbers.items())])


def _time_left_line(left: Left, training: Training | None, statuses: Mapping[str, int]) -> str:
    phase = "finetuning" if training else "search"
    at_most = "" if training else "at most "
    said = []
    if left.run is not None:
        besides = "" if left.whole else ", without the finetunings, none of which has been timed yet"
        said.append(f"about {span(left.run)} left of the run{besides}")
    if left.phase is not None:
        said.append(f"{at_most}{span(left.phase)} of this {phase}")
    mix = ", ".join(f"{name} {count:,}" for name, count in sorted(statuses.items(), key=lambda item: -item[1]))
    return "; ".join([*(said or ["time left not yet known"]), *([mix] if mix else [])])


def short(count: int) -> str:
    """Return a large number in few digits: 950, 33.2k, 1.30M."""
    if count < 1000:
        return str(count)
    return f"{count / 1e3:.1f}k" if count < 1e6 else f"{count / 1e6:.2f}M"


def span(seconds: float) -> str:
    """Return a duration in a readable unit: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
