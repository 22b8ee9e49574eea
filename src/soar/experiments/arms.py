"""Runs what is missing of an experiment: a seed's shared first search, its arms search by search, and what was never
learnt from. Stopped or killed anywhere, it resumes; several processes on one folder share the arms.

Knows runs and cells; what they say is `report`'s. Each search's CPU time is that of this process and all it began, so
other work on the machine counts little.
"""

import asyncio
import fcntl
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from soar import session
from soar.config import Config
from soar.domains.task_set import load, select
from soar.errors import BudgetReached, Interrupted, SoarError, StoreError
from soar.experiments.cells import Cell, append_cell, read_cells, search_result
from soar.experiments.cpu import cpu_seconds
from soar.experiments.searchless import by_function, votes
from soar.experiments.settings import BASE, Experiment
from soar.files import MANIFEST, is_published
from soar.iterate import Run
from soar.method import open_answering, open_domain
from soar.protocols import OnLog
from soar.run import RunDirectory, models_in, steps
from soar.search import search
from soar.task_sets import source_of
from soar.types import Task


@dataclass(frozen=True)
class Study:
    """An experiment and where it lies: a folder for its runs, a file for its cells; `until` is when to stop, in seconds
    of the monotonic clock. `say` gets a line now and then."""

    experiment: Experiment
    runs: Path
    out: Path
    until: float
    say: Callable[[str], None]

    def run(self, arm: str, seed: int) -> RunDirectory:
        """Return the run directory of an arm."""
        return RunDirectory(self.runs / self.experiment.digest_of(arm) / f"seed-{seed}" / arm)

    def missing(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells without a line."""
        done = read_cells(self.out, self.experiment.digest_of)
        return [cell for cell in cells if cell not in done]

    def append(self, cell: Cell, result: dict[str, Any]) -> None:
        """Store a cell, and say so."""
        append_cell(self.out, self.experiment.digest_of(cell.arm), cell, result)
        cost = "".join(f", {result[name]:.0f} s of {name}" for name in ("finetune_cpu", "search_cpu") if name in result)
        what = "" if cell.tasks == "searched" else " of tasks never learnt from"
        self.say(
            f"seed {cell.seed}, {cell.arm}, search {cell.search}{what}: {len(result['solved'])} of"
            f" {result['count']} solved{cost}"
        )

    def check_time(self) -> None:
        """Raise `Interrupted` when the time is up."""
        if time.monotonic() > self.until:
            raise Interrupted("the time is up; run the same command again to resume")


def cells_of(experiment: Experiment, arm: str, seed: int) -> list[Cell]:
    """Return the cells that an arm does itself; the first search is the base's."""
    if arm != BASE and not experiment.settings.arms[arm].searching:
        return [Cell(arm, seed, 0)]
    first = 1 if experiment.shares_first(arm) else 0
    return [Cell(arm, seed, number) for number in range(first, experiment.searches(arm))]


def never_of(experiment: Experiment, arm: str, seed: int) -> list[Cell]:
    """Return the cell of the tasks never learnt from, searched by an arm's last model; none where there is no other."""
    settings = experiment.settings
    learns = arm == BASE or (settings.arms[arm].learns and settings.arms[arm].searching)
    own = cells_of(experiment, arm, seed)
    return [replace(own[-1], tasks="never")] if settings.never_searched and learns and own else []


def do(study: Study, seeds: Sequence[int], arms: Sequence[str]) -> list[SoarError]:
    """Do the missing cells, seed by seed, except those that another process is working on; `Interrupted` on a signal or
    when the time is up. Return why arms were left undone: one that fails does not end the others."""
    left: list[SoarError] = []
    for seed in seeds:
        for arm in (BASE, *arms):
            try:
                _do_unless_taken(study, arm, seed)
            except Interrupted:
                raise
            except SoarError as error:
                study.say(f"seed {seed}, {arm}: {error}")
                left.append(error)
                if arm == BASE:
                    break  # the arms begin with this search
    return left


def _do_unless_taken(study: Study, arm: str, seed: int) -> None:
    """Do what is missing of an arm; `Taken` if another process is working on it."""
    cells, never = cells_of(study.experiment, arm, seed), never_of(study.experiment, arm, seed)
    if not study.missing([*cells, *never]):
        return
    with _claimed(study.run(arm, seed)):
        if study.missing(cells):
            _do_arm(study, arm, seed)
        for cell in study.missing(never):
            study.check_time()
            study.append(cell, asyncio.run(_never(study, cell)))


class Taken(SoarError):
    """Another process is working on the arm."""

    exit_code = Interrupted.exit_code


@contextmanager
def _claimed(run: RunDirectory) -> Iterator[None]:
    """Hold an arm as long as its cells are done. A process that is killed lets go of it."""
    run.path.parent.mkdir(parents=True, exist_ok=True)
    with run.path.with_name(run.path.name + ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken("another process is working on it") from None
        yield


def _do_arm(study: Study, arm: str, seed: int) -> None:
    study.check_time()
    settings, config = study.experiment.settings, study.experiment.config(arm, seed)
    if arm != BASE and not settings.arms[arm].searching:
        study.append(Cell(arm, seed, 0), _without_search(study, arm, seed, config))
        return
    run = study.run(arm, seed)
    if study.experiment.shares_first(arm) and not run.path.exists():
        if not study.run(BASE, seed).archive.exists():
            raise StoreError(
                f"the first search has its line in {study.out}, but its run is not in {study.runs}: name the folder of"
                " its runs by --runs, or begin with another --out"
            )
        asyncio.run(begin_with(study.run(BASE, seed), run, config))
    asyncio.run(_searches(study, arm, seed, config))


async def _searches(study: Study, arm: str, seed: int, config: Config) -> None:
    """Do the searches of an arm that have no cell, one after the other, each with what it cost."""
    async with session.open_run(config, study.run(arm, seed).path, _quietly, study.say) as run:
        for cell in cells_of(study.experiment, arm, seed):
            study.check_time()
            step = run.method.steps[cell.search]
            begun = {(row.stage, row.iteration): row.finished for row in run.reader.iterations()}
            cost = await _timed(run, cell.search)
            whole = step.key not in begun  # what an earlier session spent on it is not known
            if study.missing([cell]):
                plan, tasks = run.method.steps[: cell.search + 1], run.tasks[step.stage.name]
                result = search_result(run.reader, plan, tasks, run.method.answering, config.search.per_task)
                study.append(cell, {**result, **_learnt(run, cell.search), **(cost if whole else {})})


async def _timed(run: Run, number: int) -> dict[str, float]:
    """Do the searches up to a number that are not done, and return what the last cost: finetuning with the choice of
    examples, and the search with its answers."""
    marks: list[tuple[float, float]] = []

    def finetune(rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        run.method.learning.finetune(rows, base, out, seed, on_log)
        marks.append((cpu_seconds(), time.monotonic()))

    learning = replace(run.method.learning, finetune=finetune)
    method = replace(run.method, steps=run.method.steps[: number + 1], learning=learning)
    marks.append((cpu_seconds(), time.monotonic()))
    try:
        await session.until_stopped(replace(run, method=method))
    except BudgetReached:
        raise
    except Interrupted:
        raise Interrupted("stopped; run the same command again to resume") from None
    begun, learnt = marks[0], marks[-1]
    ended = (cpu_seconds(), time.monotonic())
    return {
        "finetune_cpu": round(learnt[0] - begun[0], 2),
        "search_cpu": round(ended[0] - learnt[0], 2),
        "finetune_seconds": round(learnt[1] - begun[1], 2),
        "search_seconds": round(ended[1] - learnt[1], 2),
    }


def _learnt(run: Run, number: int) -> dict[str, int]:
    """Return how many examples a search's model was finetuned on, and how many tokens that was, all epochs together;
    nothing if the search has another's model."""
    files, models = run.directory.examples(number), models_in(run.directory.weights(number))
    manifests = [json.loads((model / MANIFEST).read_text(encoding="utf-8")) for model in models]
    found = {"examples": sum(len(each.read_bytes().splitlines()) for each in files)} if files else {}
    counted = manifests and all("tokens" in each for each in manifests)
    return {**found, **({"finetune_tokens": sum(each["tokens"] for each in manifests)} if counted else {})}


async def _never(study: Study, cell: Cell) -> dict[str, Any]:
    """Return what the last model of an arm solves of the tasks that are never learnt from."""
    experiment = study.experiment
    config = experiment.config(cell.arm, cell.seed)
    run = study.run(cell.arm, cell.seed)
    learnt = experiment.finetunings(cell.arm)
    weights = run.weights(learnt) if learnt else None
    models = models_in(weights) if weights else []
    assert weights is None or (models and all(map(is_published, models))), (
        "an arm's last model stays until it was tried"
    )
    tasks = _tasks(config, experiment.ids(experiment.settings.never_searched or "", cell.seed))
    with TemporaryDirectory() as folder:
        named = {stage.name: tasks for stage in config.stages}
        async with session.open_run(config, Path(folder, "run"), _quietly, study.say, named) as opened:
            step, budget = opened.method.steps[0], config.search.per_task
            await opened.writer.begin(*step.key)
            await search(opened.method.search, step.key, weights, tasks, opened.held)
            return search_result(opened.reader, [step], tasks, opened.method.answering, budget)


def _without_search(study: Study, arm: str, seed: int, config: Config) -> dict[str, Any]:
    """Return the result of an arm that has no search; `StoreError` while what it needs is missing."""
    experiment = study.experiment
    own = experiment.settings.arms[arm]
    tasks = _tasks(config, experiment.ids(experiment.settings.tasks, seed))
    if own.function:
        programs = len(tasks) * config.search.per_task * experiment.settings.searches
        return by_function(own.function, tasks, programs)
    if missing := study.missing([cells_of(experiment, name, seed)[-1] for name in own.votes_of]):
        raise StoreError(f"the last search of {missing[0].arm} is missing: do that arm first")
    answering = open_answering(config, open_domain(config.tasks.domain))
    last = {name: (study.run(name, seed), steps(experiment.config(name, seed).plan())[-1]) for name in own.votes_of}
    return votes(tasks, last, answering)


def _tasks(config: Config, ids: Sequence[str]) -> list[Task]:
    """Return tasks of a configuration's first stage, with their answers."""
    domain = open_domain(config.tasks.domain)
    return select(load(domain, source_of(config.tasks_of(config.stages[0].name), domain), ids=ids), ids=ids)


async def begin_with(base: RunDirectory, run: RunDirectory, config: Config) -> None:
    """Make a run directory that starts after the first search of another; it appears whole or not at all."""
    aside = run.path.with_name(run.path.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    async with session.open_run(config, aside, _quietly, _quietly):
        pass  # its settings are written down, and an archive without rows
    shutil.copytree(base.path / "answers", aside / "answers", dirs_exist_ok=True)
    copy = RunDirectory(aside).archive
    with closing(sqlite3.connect(base.archive)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    aside.replace(run.path)


def _quietly(line: object) -> None:
    del line
