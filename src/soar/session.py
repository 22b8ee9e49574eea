"""Opens everything that a run needs, in order, and closes it again, also when the run is stopped.

Shared by commands, experiments and notebooks. Knows which kinds of parts there are; `soar.method` chooses them.
"""

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from soar import __version__
from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import Meter, Tokens
from soar.config import PARTS, Config, apply_override, free_settings, locations, remembered, validated
from soar.domains.task_set import described, is_described
from soar.errors import ConfigError, DataError, StoreError
from soar.frozen import compare, freeze, move, with_places
from soar.import_note import imported_search, refuse_unfinished_import, unfinished_import
from soar.iterate import Method, Run, iterate
from soar.method import (
    contract,
    identity,
    means_place,
    open_answering,
    open_backend,
    open_domain,
    open_executors,
    open_method,
    refuse_doomed,
    resolved,
)
from soar.places import placed, places_of, standing
from soar.protocols import Backend, Domain, Executors
from soar.report.drawing import print_whole
from soar.report.progress import Progress, show_progress
from soar.report.snapshot import Snapshot, snapshot
from soar.report.tracking import Track
from soar.report.view import RunView
from soar.run import RunDirectory, in_use, locked, refuse_other, steps
from soar.signals import until_signal
from soar.task_sets import leaks, load_task_sets, source_of, tasks_with_ids
from soar.types import Leaks, Task


@dataclass(frozen=True)
class Parts:
    """The parts that a configuration names, opened as far as that is free, and the tasks of each stage."""

    domain: Domain
    backend: Backend
    executors: Executors
    method: Method
    tasks: Mapping[str, Sequence[Task]]


async def run(config: Config, path: Path, console: Console, track: Track = lambda _: None) -> bool:
    """Start or resume a configuration in a run directory; return whether there was anything left to do. `track`
    receives the metrics of finetunings, step by step, and of finished searches.

    Raises `Interrupted` on a signal, once everything paid for is stored; `ConfigError` while an import into the
    directory is not finished.
    """
    progress = Progress()

    def say(line: str) -> None:
        print_whole(console, line)

    def note(numbers: Mapping[str, float]) -> None:
        progress.note(numbers)
        if "step" in numbers:
            track({f"finetuning/{name}": value for name, value in numbers.items()})

    async with open_run(config, path, note, say) as opened:
        refuse_unfinished_import(opened.directory, opened.reader)
        finished = [row.finished for row in opened.reader.iterations()]
        if len(finished) == len(opened.method.steps) and all(finished):
            return False
        shown = asyncio.create_task(show_progress(view_of(config, opened), progress, console, track))
        try:
            await until_stopped(opened)
        finally:
            shown.cancel()
            await asyncio.gather(shown, return_exceptions=True)
    return True


@asynccontextmanager
async def open_run(
    config: Config,
    path: Path,
    notify: Callable[[Mapping[str, float]], None],
    say: Callable[[str], None],
    tasks: Mapping[str, Sequence[Task]] | None = None,
) -> AsyncIterator[Run]:
    """Open a run in its directory; check everything before the first file is written.

    `notify` receives the metrics of finetunings, `say` messages for the user, such as a changed setting. `tasks` by
    stage replace those that the configuration names.
    """
    parts = open_parts(config, tasks, say)
    async with parts.executors.open(contract(config, parts.domain)) as executor:
        with locked(path) as directory:
            if keep := getattr(parts.backend, "keep_in", None):
                keep(directory.engines)
            for changed in _check_against_start(config, parts, directory, write=True):
                say(f"resumed with a changed setting: {changed}")
            writer = ArchiveWriter(directory.archive)
            reader = ArchiveReader(directory.archive)
            try:
                meter = open_meter(config, reader)
                yield Run(parts.method, directory, parts.tasks, writer, reader, executor, meter, notify, say)
            finally:
                reader.close()
                writer.close()


def open_parts(
    config: Config, tasks: Mapping[str, Sequence[Task]] | None = None, say: Callable[[str], None] = lambda _: None
) -> Parts:
    """Resolve and check everything that a configuration names; write nothing but the conversion of a .gguf file, to the
    user's cache. `tasks` by stage replace those that the configuration names; `say` receives what was left out."""
    domain, backend, executors = open_domain(config.tasks.domain), open_backend(config), open_executors(config)
    method = open_method(config, domain, backend)
    refuse_doomed(config, backend)
    tasks = load_task_sets(config, domain, say) if tasks is None else tasks
    return Parts(domain, backend, executors, method, tasks)


def _check_against_start(config: Config, parts: Parts, directory: RunDirectory, *, write: bool) -> list[str]:
    """Check a run against what it was started with, and return the settings that changed; if `write`, write that for a
    new run, and for another what it remembers: the places of what has moved, and prices."""
    domain, backend = parts.domain, parts.backend
    about = manifest(identity(config, backend), parts.tasks, leaks(config, domain, parts.tasks))
    now, places = _with_places(config, domain, backend)
    if not directory.begun:
        compare(directory, now, about, then=None)
        directory.refuse_lost_archive()
        if write:
            freeze(directory, now, with_places(about, places))
        return []
    about["tasks"] |= _hidden_as_described(config, parts.tasks, directory.manifest()["tasks"])
    then, before = _with_places(_frozen_config(directory, parts=True), domain, backend)
    free = free_settings(config)
    changed = compare(directory, placed(now, places), about, then=placed(then, before), free=free)
    directory.refuse_lost_archive()
    other, known = remembered(config) & {line.split(" ")[0] for line in changed}, _places(directory)
    after = {name: place for name, place in {**known, **before}.items() if name not in other}
    after |= {name: place for name, place in places.items() if name in other}
    if write and (other or after != known):
        move(directory, now, other, after)
    return changed


def _with_places(config: Config, domain: Domain, backend: Backend) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of a configuration as they are given, and the places of those that give relative paths."""
    found = resolved(config, domain, backend)
    return found, places_of(found, locations(config), lambda name, value: means_place(name, value, domain, backend))


def _hidden_as_described(
    config: Config, tasks: Mapping[str, Sequence[Task]], then: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the descriptions of tasks then, for the stages with hidden answers where no others than answers published
    since are new: no search depends on these."""
    hidden = [stage.name for stage in config.stages if stage.answers == "hidden"]
    return {name: then[name] for name in hidden if name in then and is_described(tasks[name], then[name])}


async def try_parts(config: Config, path: Path | None) -> Parts:
    """Check everything that `open_run` checks before it writes, in the same order, and return the parts."""
    parts = open_parts(config)
    async with parts.executors.open(contract(config, parts.domain)):
        if path is None:
            identity(config, parts.backend)
        else:
            refuse_other(path)
            directory = RunDirectory(path)
            _check_against_start(config, parts, directory, write=False)
            if directory.archive.exists():
                with contextlib.closing(ArchiveReader(directory.archive)) as reader:
                    refuse_unfinished_import(directory, reader)
    return parts


def open_meter(config: Config, reader: ArchiveReader) -> Meter:
    """Return the run's meter, starting from what earlier sessions spent."""
    limited = any(value is not None for name, value in config.budget if name.startswith("max_"))
    spent = {task_id: Tokens(*tokens) for task_id, tokens in reader.tokens_by_task().items()} if limited else {}
    seconds = sum(row.seconds + row.finetune_seconds for row in reader.iterations())
    return Meter(config.budget, spent, seconds)


def view_of(config: Config, run: Run) -> RunView:
    """Return the view of an open run."""
    return RunView(
        path=run.directory.path,
        plan=run.method.steps,
        domain=open_domain(config.tasks.domain),
        tasks=run.tasks,
        sources={},
        samples=config.search.samples,
        refinements=config.search.refinements,
        distinct=config.sampling.distinct,
        answering=run.method.answering,
        budget=config.budget,
        reader=run.reader,
        imported=imported_search(run.directory, run.method.steps),
    )


@contextlib.contextmanager
def view_run(path: Path, overrides: Sequence[str] = ()) -> Iterator[RunView]:
    """Open a run for reading, even while it is running. `overrides` are settings of ``[answer]``, as
    ``answer.key=value``: the run is read as if its programs voted that way."""
    directory = RunDirectory(path)
    config = _frozen_config(directory, overrides=overrides)
    domain, plan = open_domain(config.tasks.domain), steps(config.plan())
    ids = _ids(directory, config)
    reader = ArchiveReader(directory.archive)
    try:
        yield RunView(
            path=path,
            plan=plan,
            domain=domain,
            tasks=_tasks_of(config, domain, directory, ids),
            sources=_sources(_frozen_config(directory, given=True), domain),
            places=_sources(config, domain),
            samples=config.search.samples,
            refinements=config.search.refinements,
            distinct=config.sampling.distinct,
            answering=open_answering(config, domain),
            budget=config.budget,
            reader=reader,
            leaks=directory.manifest().get("leaks", {}),
            overrides=tuple(overrides),
            imported=imported_search(directory, plan),
        )
    finally:
        reader.close()


def free_of(path: Path) -> set[str]:
    """Return the settings of a run, as ``section.key``, that no result depends on; not those that say where tasks or
    weights are, which may be others elsewhere. Parts that cannot be imported here have none of their own."""
    directory = RunDirectory(path)
    try:
        config = _frozen_config(directory, parts=True)
    except ConfigError:
        config = _frozen_config(directory)
    return free_settings(config) - locations(config)


def _sources(config: Config, domain: Domain) -> dict[str, str]:
    """Return where each stage's tasks come from."""
    return {stage.name: source_of(config.tasks_of(stage.name), domain) for stage in config.stages}


def _tasks_of(
    config: Config, domain: Domain, directory: RunDirectory, ids: Mapping[str, list[str]]
) -> dict[str, list[Task]]:
    """Return the tasks of a run by stage; `DataError` if they are not where they were, or are others: what was found
    would be judged by pairs that it was not searched for. Answers that were published since are no difference."""
    try:
        found = tasks_with_ids(config, domain, ids)
    except DataError as error:
        raise DataError(
            f"{error}. If the run's tasks have moved, call `soar run CONFIG RUN_DIR` once with their new place"
            " (tasks.source, or the stage's): the run remembers it, even if there is nothing left to search"
        ) from None
    started = directory.manifest()["tasks"]
    for name, tasks in found.items():
        if not is_described(tasks, started[name]):
            raise DataError(
                f"the tasks of stage {name!r} of {directory.path} are not those that it searched, though their ids are:"
                f" {source_of(config.tasks_of(name), domain)} has changed. Put it back as it was, or start a new run"
            )
    return found


def read_status(path: Path) -> Snapshot | None:
    """Return where a run stands, None if it has not started to search."""
    directory = RunDirectory(path)
    config = _frozen_config(directory)
    counts = {name: len(ids) for name, ids in _ids(directory, config).items()}
    reader = ArchiveReader(directory.archive)
    try:
        per_task, leaking = config.search.samples + config.search.refinements, directory.manifest().get("leaks", {})
        return snapshot(
            reader,
            steps(config.plan()),
            counts,
            per_task,
            config.budget,
            running=in_use(path),
            leaks=leaking,
            importing=unfinished_import(directory, reader),
        )
    finally:
        reader.close()


def _frozen_config(
    directory: RunDirectory, *, parts: bool = False, overrides: Sequence[str] = (), given: bool = False
) -> Config:
    """Return the configuration that a run was started with, but for settings of ``[answer]`` in `overrides`. Without
    `parts`, leave out model, executor and trainer: readers of a run need none of them, and may not have them. Paths are
    absolute where something still is there, unless they are wanted as they were `given`."""
    raw = {name: section for name, section in directory.config().items() if parts or name not in PARTS}
    raw = raw if given else placed(raw, standing(_places(directory)))
    for override in overrides:
        if not override.startswith("answer."):
            raise ConfigError(
                f"--set {override!r}: of a run that has been searched only the vote can be another; expected"
                " answer.voter=… or answer.filters=…"
            )
        apply_override(raw, override)
    return validated(raw, str(directory.path / "config.toml"))


def _places(directory: RunDirectory) -> dict[str, str]:
    """Return where the settings with relative paths of a run pointed, by name; none of a run of an earlier version."""
    return directory.manifest().get("places", {})


def _ids(directory: RunDirectory, config: Config) -> dict[str, list[str]]:
    """Return the ids of every stage's tasks that the run was started with."""
    tasks = directory.manifest()["tasks"]
    if missing := [stage.name for stage in config.stages if stage.name not in tasks]:
        raise StoreError(
            f"{directory.path / 'manifest.json'} is damaged: no tasks of stage {missing[0]!r}; restore it from a copy"
        )
    return {name: entry["ids"] for name, entry in tasks.items()}


async def until_stopped(opened: Run) -> None:
    """Iterate; a signal cancels the search or ends the training, and becomes `Interrupted`."""
    said = f"stopped; `soar run` on {opened.directory.path} resumes it"
    await until_signal(iterate(opened), said, opened.stop.set)


def manifest(model: Mapping[str, Any], tasks: Mapping[str, Sequence[Task]], leaking: Leaks) -> dict[str, Any]:
    """Return what identifies a run: model, task set of each stage and leaks; and the software versions."""
    return {
        **({"leaks": leaking} if leaking else {}),
        "model": dict(model),
        "tasks": {name: described(found) for name, found in tasks.items()},
        "versions": {"soar": __version__, "python": platform.python_version(), "platform": platform.platform()},
    }
