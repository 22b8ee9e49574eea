"""From given tasks to their answers: one search, in a temporary folder that is removed afterwards.

`soar solve`, `soar.solve` and `soar.asolve` share it. Knows which configuration such a search has, and when it is over;
`soar.report.solution` says what it found.
"""

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from soar import session
from soar.budget import Tokens
from soar.config import Config, load_config, validated
from soar.domains.task_set import task_set_hash
from soar.errors import BudgetReached, ConfigError, DataError, Interrupted, SoarError
from soar.iterate import Run, iterate
from soar.method import open_domain
from soar.report.solution import Ended, Solution, solution
from soar.report.task_view import task_view
from soar.report.view import RunView
from soar.search.agreement import agreed
from soar.shipped import FOLDER
from soar.signals import until_signal
from soar.tasks_in_hand import distinct, tasks_in_text, tasks_named
from soar.types import Task

_FOR_ARC = FOLDER / "solve.toml"
SHIPPED: dict[str | None, Path] = {None: _FOR_ARC, "arc": _FOR_ARC, "sequences": FOLDER / "sequences.toml"}
"""The default configuration of each domain whose model ships with the package."""

STAGE = "solve"

Found = TypeVar("Found")
Watch: TypeAlias = Callable[[RunView, Sequence[Task]], Awaitable[None]]
"""Shows a search while it runs; cancelled when it is over."""


async def asolve(
    task: "str | Path | Task",
    *,
    config: "str | Path | Config | None" = None,
    domain: str | None = None,
    seconds: float | None = None,
) -> Solution:
    """Search for programs that solve one task, in a coroutine; see `soar.solve`."""
    found = settings(config, domain, seconds)
    tasks = tasks_named(open_domain(found.tasks.domain), task)
    if len(tasks) != 1:
        raise DataError(f"{task} holds {len(tasks)} tasks, expected one: pass one of them as a soar.Task")
    return (await solutions(found, tasks))[0]


def solve(
    task: "str | Path | Task",
    *,
    config: "str | Path | Config | None" = None,
    domain: str | None = None,
    seconds: float | None = None,
) -> Solution:
    """Search for programs that solve one task: an id, a file of one task, or a `soar.Task`. Works in a notebook too,
    where an event loop is already running.

    The `solutions` of an error that ends the search hold what was found before."""
    return waited_for(lambda: asolve(task, config=config, domain=domain, seconds=seconds))


def settings(
    config: "str | Path | Config | None" = None,
    domain: str | None = None,
    seconds: float | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Return the configuration of one search of given tasks: `config`, or the shipped model's, with one stage of one
    iteration. `ConfigError` if there is no `config` and no shipped model knows the domain."""
    if config is None and domain not in SHIPPED:
        raise ConfigError(
            f"no shipped model knows the domain {domain!r}, only {', '.join(filter(None, SHIPPED))}: name a"
            " configuration with another model, such as endpoint"
        )
    found = config if isinstance(config, Config) else load_config(Path(config or SHIPPED[domain]), overrides)
    raw = found.as_dict()
    raw["tasks"] = {"domain": domain or found.tasks.domain}
    raw["stages"] = [{"name": STAGE, "iterations": 1, "answers": "known"}]
    if seconds is not None:
        raw["budget"]["max_seconds"] = seconds
    return validated(raw, "configuration" if config is None or isinstance(config, Config) else str(config))


def tasks_meant(config: Config, named: Sequence[str]) -> list[Task]:
    """Return the tasks that a command line names, each once; ``-`` stands for standard input."""
    domain = open_domain(config.tasks.domain)
    found = [tasks_in_text(domain, _read_stdin()) if name == "-" else tasks_named(domain, name) for name in named]
    return distinct([task for tasks in found for task in tasks])


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 text: {error}") from None


async def solutions(
    config: Config, tasks: Sequence[Task], watch: Watch | None = None, *, heeding_signals: bool = False
) -> list[Solution]:
    """Search all tasks side by side and return what was found for each, even if a limit ended the search, or a signal
    (with `heeding_signals`, in the main thread). An error that ends it has what was found before as its `solutions`."""
    tasks, begun, failed, found = distinct(tasks), time.monotonic(), None, list[Solution]()
    try:
        with tempfile.TemporaryDirectory(prefix="soar-") as folder:
            opening = session.open_run(config, Path(folder, "run"), _silent, _silent, {STAGE: tasks})
            async with opening as run:
                view = replace(session.view_of(config, run), sources={STAGE: task_set_hash(run.tasks[STAGE])})
                shown = asyncio.create_task(_watched(watch, view, tasks))
                try:
                    how, failed = await _searched(run, heeding_signals=heeding_signals)
                finally:
                    shown.cancel()
                    await asyncio.gather(shown, return_exceptions=True)
                seconds = time.monotonic() - begun
                if failed is None or view.reader.completions_by_task(STAGE, 0):
                    found = [_solution(view, task, how, config.search.agreeing, seconds) for task in tasks]
    except SoarError:
        if failed is None:
            raise  # else an archive that failed fails again when it is read or closed, which says less
    if failed:
        failed.solutions = tuple(found)
        raise failed
    return found


def _silent(_: object) -> None:
    """Say nothing: the solutions hold what a run would report."""


async def _watched(watch: Watch | None, view: RunView, tasks: Sequence[Task]) -> None:
    if watch:
        await watch(view, tasks)


async def _searched(run: Run, *, heeding_signals: bool) -> tuple[Ended, SoarError | None]:
    """Search; return how it ended, and the error that ended it, if it was one."""
    try:
        await (until_signal(iterate(run), "stopped", run.stop.set) if heeding_signals else iterate(run))
    except BudgetReached:
        return "limit", None
    except Interrupted:
        return "stopped", None
    except SoarError as error:
        return "failed", error
    return "spent", None


def _solution(view: RunView, task: Task, how: Ended, agreeing: int, seconds: float) -> Solution:
    seen = task_view(view, task.id)
    programs = [each.program for each in seen.found]
    completions = sum(search.completions for search in seen.searches)
    if agreed(task.without_answers(), programs, agreeing):
        how = "agreed"
    elif completions == view.samples + view.refinements:
        how = "spent"  # this task had its whole budget, whatever ended the search of the others
    tokens = Tokens(*view.reader.tokens_by_task().get(task.id, (0, 0)))
    return solution(seen, view.answering.ballots(task, programs), how, seconds, tokens)


def waited_for(make: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
    """Run a coroutine from synchronous code and return its result; in a separate thread if an event loop is already
    running, as in a notebook. If interrupted there, cancel the work and return once it has cleaned up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    loop = asyncio.new_event_loop()
    work, done = loop.create_task(make()), threading.Event()

    def body() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(asyncio.wait([work]))
        finally:
            done.set()

    threading.Thread(target=body, name="solve").start()
    try:
        done.wait()  # no `Thread.join`: until Python 3.13 a thread whose `join` was interrupted counts as ended
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the work is done
            loop.call_soon_threadsafe(work.cancel)
        done.wait()
    return work.result()
