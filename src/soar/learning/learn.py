"""Learning θi, always from θ0, on what the searches before found (§3.3): examples of every task, then finetuning.

Knows the archive and the order of things. Sees a task's answers only if it is given them.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from numpy.random import Generator

from soar.archive.reader import ArchiveReader
from soar.errors import DataError
from soar.files import is_published
from soar.learning.examples import Row, write_examples
from soar.learning.select import Pairs, shown_pairs
from soar.protocols import OnLog
from soar.seeds import rng, seed_of
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class LearningMethod:
    """How every model of a run is learnt.

    `from_all` searches of the stage, or from the last one. `examples` makes rows of finetuning data of a task's
    programs and a seed, given the shown pairs of all tasks, and `pooled_examples` of programs of several stages or
    runs; `kept` says which of all tasks' rows stay, `replay` draws some of the data that θ0 was made from, `finetune`
    publishes θi. `parts` are the models that θi consists of: a name, "" for one alone, and the kinds of examples that
    it is taught. `keep`: of how many models the whole weights stay on the disk, None for all.
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
    """What was searched in a run: the tasks of some of its stages, as learning may see them, and its archive. `name`
    tells the programs of several runs apart; a run that learns from itself needs none."""

    stages: Mapping[str, Sequence[Task]]
    reader: ArchiveReader
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt from: tasks, their programs, and how these become rows."""

    tasks: Sequence[Task]
    programs_of: Callable[[Task], Sequence[Program]]
    examples: Examples


def of_stage(method: LearningMethod, place: tuple[str, int], tasks: Sequence[Task], reader: ArchiveReader) -> Lessons:
    """Return what a stage's own searches before an iteration teach, the last of them or all."""
    stage, iteration = place
    since = None if method.from_all else iteration - 1
    return Lessons(tasks, lambda task: reader.programs(task.id, stage, since), method.examples)


def of_pool(method: LearningMethod, searched: Sequence[Searched]) -> Lessons:
    """Return what all searches of some stages and runs teach together ("all train", §3.4); `DataError` where one task
    is two different ones."""
    return Lessons(pooled_tasks(searched), lambda task: pooled_programs(searched, task), method.pooled_examples)


def pooled_tasks(searched: Sequence[Searched]) -> list[Task]:
    """Return each task once, with its answers where one of the runs may learn from these."""
    found: dict[str, Task] = {}
    for run in searched:
        for task in (task for tasks in run.stages.values() for task in tasks):
            known = found.setdefault(task.id, task)
            if known.without_answers() != task.without_answers():
                raise DataError(
                    f"task {task.id!r} is not the same in all that is pooled ({run.name or 'in two stages'}): leave out"
                    " the runs on other tasks"
                )
            if task.answered:
                found[task.id] = task
    return list(found.values())


def pooled_programs(searched: Sequence[Searched], task: Task) -> list[Program]:
    """Return a task's programs of all searches, each with a key of its own."""
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
    lessons: Lessons,
    *,
    data: Path,
    out: Path,
    on_log: OnLog,
    kinds: Set[str],
) -> None:
    """Publish in the folder `out` the weights that a search at `place`, stage and iteration, uses; once and whole.

    The rows that they are made from, those of some kinds, are written to `data`. Called again after an interruption it
    goes on.
    """
    if is_published(out):
        for left in (".work", ".tmp"):  # of a kill between publishing and clearing up: checkpoints of gigabytes
            shutil.rmtree(out.with_name(out.name + left), ignore_errors=True)
        return
    seed = seed_of(method.seed, "learn", *place)
    asked = {shown_pairs(task) for task in lessons.tasks}
    found: list[Row] = []
    for task in lessons.tasks:
        found += lessons.examples(task, lessons.programs_of(task), seed, asked)
        await asyncio.sleep(0)  # of thousands of tasks this takes minutes: a signal is heard meanwhile
    training = seed_of(method.seed, "finetune", *place) & 0x7FFFFFFF
    replayed, rows = method.replay(rng(training, "replay")), method.kept([row for row in found if row["kind"] in kinds])
    write_examples(data, [*rows, *replayed])
    on_log({"examples of its own": len(rows), "replayed": len(replayed)})
    await asyncio.to_thread(method.finetune, data, theta0, out, training, on_log)
