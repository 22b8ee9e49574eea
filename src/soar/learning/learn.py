"""Learning θi, always from θ0, on what earlier searches found (§3.3): examples of every task, then finetuning.

Knows the archive and the order of steps. Sees a task's answers only if given them.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from numpy.random import Generator

from soar.archive.reader import ArchiveReader
from soar.errors import DataError, Interrupted
from soar.files import is_published
from soar.learning.examples import Row, write_examples
from soar.learning.select import Pairs, shown_pairs
from soar.parallel import mapped
from soar.protocols import OnLog
from soar.seeds import rng, seed_of
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class LearningMethod:
    """How every model of a run is trained.

    `from_all`: learn from all searches of the stage, not just the last. `examples` turns a task's programs and a seed
    into training examples, given the training pairs of all tasks; `pooled_examples` does so for programs of several
    stages or runs. `kept` filters the examples of all tasks, `replay` draws some of the data that θ0 was trained on,
    `finetune` publishes θi. `parts` maps the name of each model of θi ("" for a single one) to the kinds of examples
    that it is taught. `keep`: how many models keep their whole weights on disk, None for all.
    """

    seed: int
    from_all: bool
    examples: "Examples"
    pooled_examples: "Examples"
    kept: Callable[[list[Row]], list[Row]]
    replay: Callable[[Generator], list[Row]]
    finetune: Callable[[Path, Path, Path, int, OnLog], None]
    parts: Mapping[str, Set[str]]
    keep: int | None = None


Examples: TypeAlias = Callable[[Task, Sequence[Program], int, Set[Pairs]], list[Row]]


@dataclass(frozen=True, slots=True)
class Searched:
    """What a run searched: the tasks of some of its stages, as learning may see them, and its archive. `name` tells
    the programs of several runs apart; a run that learns from itself needs none."""

    stages: Mapping[str, Sequence[Task]]
    reader: ArchiveReader
    name: str = ""


@dataclass(frozen=True, slots=True)
class ExampleSource:
    """Where training examples come from: tasks, their programs, and the function that turns these into rows."""

    tasks: Sequence[Task]
    programs_of: Callable[[Task], Sequence[Program]]
    examples: Examples


def of_stage(
    method: LearningMethod, place: tuple[str, int], tasks: Sequence[Task], reader: ArchiveReader
) -> ExampleSource:
    """Return the source of an iteration's examples: the stage's own earlier searches, the last of them or all."""
    stage, iteration = place
    since = None if method.from_all else iteration - 1
    return ExampleSource(tasks, partial(_programs, reader, stage, since), method.examples)


def _programs(reader: ArchiveReader, stage: str, iteration: int | None, task: Task) -> Sequence[Program]:
    return reader.programs(task.id, stage, iteration)


def of_pool(method: LearningMethod, searched: Sequence[Searched]) -> ExampleSource:
    """Return the source of examples from all searches of some stages and runs together ("all train", §3.4);
    `DataError` if an id stands for two different tasks."""
    return ExampleSource(pooled_tasks(searched), partial(pooled_programs, searched), method.pooled_examples)


def pooled_tasks(searched: Sequence[Searched]) -> list[Task]:
    """Return each task once, with its answers if one of the runs may learn from them."""
    found: dict[str, Task] = {}
    for run in searched:
        for task in (task for tasks in run.stages.values() for task in tasks):
            known = found.setdefault(task.id, task)
            if known.without_answers() != task.without_answers():
                raise DataError(
                    f"task {task.id!r} differs between the pooled searches ({run.name or 'in two stages'}): leave out"
                    " the runs on other tasks"
                )
            if task.answered:
                found[task.id] = task
    return list(found.values())


def pooled_programs(searched: Sequence[Searched], task: Task) -> list[Program]:
    """Return a task's programs from all searches, with keys that are unique across runs."""
    return [
        program.of_run(run.name) if run.name else program
        for run in searched
        for stage, tasks in run.stages.items()
        if any(each.id == task.id for each in tasks)
        for program in run.reader.programs(task.id, stage)
    ]


async def learn(
    method: LearningMethod,
    place: tuple[str, int],
    theta0: Path,
    source: ExampleSource,
    *,
    data: Path,
    out: Path,
    on_log: OnLog,
    kinds: Set[str],
) -> None:
    """Publish in the folder `out` the weights for the search at `place` (stage and iteration); once, all or nothing.

    Its training examples, those of the given kinds, are written to `data`. Called again after an interruption, it
    resumes.
    """
    if is_published(out):
        for left in (".work", ".tmp"):  # left by a kill before the cleanup; checkpoints take gigabytes
            shutil.rmtree(out.with_name(out.name + left), ignore_errors=True)
        return
    seed = seed_of(method.seed, "learn", *place)
    asked = {shown_pairs(task) for task in source.tasks}
    found: list[Row] = []
    work = partial(_examples, source.examples, source.programs_of, seed, asked)
    with closing(mapped(work, source.tasks)) as examples:
        for rows in examples:
            found += rows
            await asyncio.sleep(0)  # with thousands of tasks this loop takes minutes; let signals be handled
    # 31 bits: trainers also seed NumPy, which takes at most 32.
    training = seed_of(method.seed, "finetune", *place) & 0x7FFFFFFF
    replayed, own = method.replay(rng(training, "replay")), method.kept([row for row in found if row["kind"] in kinds])
    write_examples(data, [*own, *replayed])
    on_log({"examples from the search": len(own), "replayed": len(replayed)})
    await _in_thread(method.finetune, data, theta0, out, training, on_log)


def _examples(
    examples: Examples, programs_of: Callable[[Task], Sequence[Program]], seed: int, asked: Set[Pairs], task: Task
) -> list[Row]:
    return examples(task, programs_of(task), seed, asked)


async def _in_thread(finetune: Callable[..., None], *arguments: object) -> None:
    """Call a function in a thread. If cancelled, wait for it nevertheless: while it writes its checkpoint, nobody else
    may have the run."""
    working = asyncio.ensure_future(asyncio.to_thread(finetune, *arguments))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        if (failed := working.exception()) and not isinstance(failed, Interrupted):
            raise failed from None
        raise
