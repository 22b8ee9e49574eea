"""Opens all that a run needs, shows its progress, and closes it again, also when it is told to stop.

Knows which parts a configuration names; what they do is theirs.
"""

import asyncio
import contextlib
import platform
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.config import Config, resolve
from soar.domains.protocol import Domain
from soar.domains.task_set import task_set_hash
from soar.ensemble import FILTERS, VOTERS
from soar.errors import Interrupted
from soar.heuristics import HEURISTICS
from soar.iterate import Run, iterate
from soar.learning.curate import CURATORS, PAIRINGS
from soar.learning.dedup import DEDUPLICATIONS
from soar.learning.finetune import TRAINERS
from soar.lm.open import fingerprint
from soar.prompts.chat import Chat
from soar.prompts.compact import Compact
from soar.prompts.protocol import Rendering
from soar.report.progress import Progress, show_progress
from soar.run import RunDirectory, freeze, locked, steps
from soar.sandbox import open_sandbox
from soar.search.selectors import SELECTORS
from soar.task_sets import load_task_sets, open_domain
from soar.types import Task

RENDERINGS = {"chat": Chat, "compact": Compact}


async def run(config: Config, path: Path, console: Console) -> bool:
    """Run or go on with a configuration in a run directory; return whether there was anything left to do.

    `Interrupted` on SIGTERM or SIGINT, after what was paid for is stored.
    """
    check_names(config)
    domain = open_domain(config)
    tasks = load_task_sets(config, domain)
    with locked(path) as directory:
        async with _opened(config, directory, domain, tasks) as (opened, progress):
            finished = [finished for *_, finished in opened.reader.iterations()]
            if len(finished) == len(steps(config)) and all(finished):
                return False
            per_task = config.search.samples + config.search.refinements
            counts = {name: len(stage_tasks) for name, stage_tasks in tasks.items()}
            shown = asyncio.create_task(
                show_progress(directory.archive, steps(config), counts, per_task, progress, console)
            )
            try:
                await _until_stopped(opened)
            finally:
                shown.cancel()
                await asyncio.gather(shown, return_exceptions=True)
    return True


@asynccontextmanager
async def _opened(
    config: Config, directory: RunDirectory, domain: Domain, tasks: Mapping[str, list[Task]]
) -> AsyncIterator[tuple[Run, Progress]]:
    rendering = open_rendering(config, domain)
    limits = config.sandbox
    async with open_sandbox(
        workers=limits.workers, cpu_seconds=limits.cpu_seconds, memory_mb=limits.memory_mb, level=limits.level
    ) as sandbox:
        freeze(directory, config, manifest(config, tasks))
        writer = ArchiveWriter(directory.archive)
        reader = ArchiveReader(directory.archive)
        progress = Progress()
        try:
            yield (
                Run(config, directory, domain, rendering, tasks, writer, reader, sandbox, progress.note),
                progress,
            )
        finally:
            reader.close()
            writer.close()


async def _until_stopped(opened: Run) -> None:
    """Iterate; a signal cancels the search or ends the training, and becomes `Interrupted`."""
    work = asyncio.create_task(iterate(opened))
    with _on_signals(lambda: (opened.stop.set(), work.cancel())):
        try:
            await work
        except asyncio.CancelledError:
            if not opened.stop.is_set():
                raise
            raise Interrupted(f"stopped; `soar run` on {opened.directory.path} goes on") from None


@contextlib.contextmanager
def _on_signals(action: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, action)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def check_names(config: Config) -> None:
    """Find every part that a configuration names, so that a wrong name is told before anything is paid for."""
    named: list[tuple[str, Mapping[str, Any], str]] = [
        (config.search.selector, SELECTORS, "selector"),
        (config.search.heuristic, HEURISTICS, "heuristic"),
        (config.answer.voter, VOTERS, "voter"),
        *((name, FILTERS, "filter") for name in config.answer.filters),
        (config.learning.deduplicate, DEDUPLICATIONS, "deduplication"),
        (config.learning.curator, CURATORS, "curator"),
        (config.learning.pairing, PAIRINGS, "pairing"),
        (config.finetune.trainer, TRAINERS, "trainer"),
    ]
    for name, choices, what in named:
        resolve(name, choices, what)


def open_rendering(config: Config, domain: Domain) -> Rendering:
    """Return the configured rendering of prompts."""
    return resolve(config.prompt.rendering, RENDERINGS, "rendering")(domain)


def manifest(config: Config, tasks: Mapping[str, list[Task]]) -> dict[str, Any]:
    """Return what identifies a run: the model, each stage's task set; and the versions of the software."""
    return {
        "model": fingerprint(config.lm),
        "tasks": {
            name: {"hash": task_set_hash(found), "ids": [task.id for task in found]} for name, found in tasks.items()
        },
        "versions": {"soar": version("soar"), "python": platform.python_version(), "platform": platform.platform()},
    }
