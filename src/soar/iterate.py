"""The loop (§3.4, Alg. 3): learn θi from the searches before, always from θ0; search with it; answer.

Knows the order of things and little of how they are done: a `Method` says that. It may be interrupted anywhere: calling
it again goes on, because each part asks the archive or the disk what is already there.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from numpy.random import Generator

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.ensemble import Ballot
from soar.errors import Interrupted
from soar.files import is_published, write_atomically
from soar.learning.examples import Row, write_examples
from soar.protocols import Executor, LanguageModel, OnLog
from soar.run import RunDirectory, Step, base_of
from soar.scoring import solves
from soar.search import SearchContext, SearchMethod, search
from soar.seeds import rng, seed_of
from soar.types import Phase, Program, Task, Value


@dataclass(frozen=True)
class Method:
    """What a run does: values, and functions that were chosen by name once (`soar.method`).

    `theta0` is the folder of the configured model; `operators` are those that θi serves, the configured model goes on
    with the other. `examples` makes rows of finetuning data of a task's programs, `replay` draws some of the data that
    θ0 was made from, `finetune` publishes θi. `ballots` votes, `submission` writes answers as JSON values.
    """

    seed: int
    steps: tuple[Step, ...]
    search: SearchMethod
    few_shot: bool
    operators: Collection[Phase]
    open_lm: Callable[[Path | None], LanguageModel]
    ballots: Callable[[Task, Sequence[Program]], list[Ballot]]
    submission: Callable[[Sequence[Task], Mapping[str, Sequence[tuple[Value, ...]]]], object]
    theta0: Path | None
    learn_from_all: bool
    examples: Callable[[Task, Sequence[Program], int], list[Row]]
    replay: Callable[[Generator], list[Row]]
    finetune: Callable[[Path, Path, Path, int, OnLog], None]


@dataclass(frozen=True)
class Run:
    """An open run: its method and directory, the tasks of each stage (with answers), what is held open meanwhile.

    `notify` gets a line of progress now and then; `stop` is set when training should end soon.
    """

    method: Method
    directory: RunDirectory
    tasks: Mapping[str, Sequence[Task]]
    writer: ArchiveWriter
    reader: ArchiveReader
    executor: Executor
    notify: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)


async def iterate(run: Run) -> None:
    """Do all searches of a run that are not done yet."""
    finished = {(row.stage, row.iteration) for row in run.reader.iterations() if row.finished}
    for step in run.method.steps:
        if step.key not in finished:
            await iteration(run, step)


async def iteration(run: Run, step: Step) -> None:
    """One iteration: learn θi (from the second on), search with it, answer."""
    await run.writer.begin(*step.key)
    before = base_of(run.method.steps, step.stage)
    base = weights = run.directory.adapter(before.number) if before else None
    if step.iteration > 0:
        weights = run.directory.adapter(step.number)
        await timed(learn(run, step, base, weights), lambda spent: run.writer.spend(*step.key, finetune=spent))
    await timed(search_with(run, step, weights), lambda spent: run.writer.spend(*step.key, search=spent))
    text = json.dumps(answers(run, step))
    write_atomically(run.directory.answers(step.number), text)
    await run.writer.finish(*step.key)


async def learn(run: Run, step: Step, base: Path | None, out: Path) -> None:
    """Publish the weights of θi in `out`: θ0 finetuned on what the searches before found (§3.3), once and whole."""
    if is_published(out):
        return
    method, data = run.method, run.directory.data(step.number)
    rows = [row for task in run.tasks[step.stage.name] for row in lessons(run, step, task)]
    seed = seed_of(method.seed, "finetune", *step.key) & 0x7FFFFFFF
    replayed = method.replay(rng(seed, "replay"))
    write_examples(data, [*rows, *replayed])
    run.notify(f"finetuning on {len(rows)} examples of its own and {len(replayed)} replayed")
    theta0 = base or method.theta0
    assert theta0 is not None, "a method with iterations to learn for has a model to begin from"

    def on_log(entry: Mapping[str, float]) -> None:
        if run.stop.is_set():
            raise Interrupted("stopped during finetuning; the same command goes on from the last checkpoint")
        run.notify("  ".join(f"{name} {value:.4g}" for name, value in entry.items()))

    await asyncio.to_thread(method.finetune, data, theta0, out, seed, on_log)


def lessons(run: Run, step: Step, task: Task) -> list[Row]:
    """Return the examples of one task for the model of a step, from its stage's last search or from all of them.

    The one door through which tasks reach learning: where answers are hidden, they stay behind here.
    """
    since = None if run.method.learn_from_all else step.iteration - 1
    programs = run.reader.programs(task.id, step.stage.name, since)
    visible = task if step.stage.answers == "known" else task.without_answers()
    return run.method.examples(visible, programs, seed_of(run.method.seed, "learn", *step.key))


async def search_with(run: Run, step: Step, weights: Path | None) -> None:
    """Search all tasks of a step (§3.2); the programs are in the archive afterwards.

    The operators that are not learnt are served by the configured model.
    """
    method, phases = run.method, ("sample", "refine")
    serving = {phase: weights if phase in method.operators else None for phase in phases}
    models = {each: method.open_lm(each) for each in set(serving.values())}
    sampler, refiner = (models[serving[phase]] for phase in phases)
    few_shot = solved_examples(run, step) if method.few_shot else ()
    held = (sampler, refiner, run.executor, run.writer, run.reader, few_shot)
    try:
        await search(SearchContext(method.search, *step.key, *held), run.tasks[step.stage.name])
    finally:
        for lm in models.values():
            counts = lm.requests()
            await lm.close()
            await run.writer.add_requests(counts)


def solved_examples(run: Run, step: Step) -> tuple[tuple[Task, str], ...]:
    """Return tasks with known answers, each with the first program of earlier iterations that is right on all of it.

    Only stages before this one, or earlier iterations of it, with known answers count (App. D.5: ARC-train only).
    """
    found: dict[str, tuple[Task, str]] = {}
    for earlier in run.method.steps[: step.number]:
        if earlier.stage.answers == "hidden":
            continue
        for task in run.tasks[earlier.stage.name]:
            programs = run.reader.programs(task.id, *earlier.key)
            right = (program for program in programs if task.answered and solves(task, program))
            if task.id not in found and (program := next(right, None)):
                found[task.id] = (task.without_answers(), program.code)
    return tuple(found.values())


def answers(run: Run, step: Step) -> object:
    """Return a step's two answers to every task (§3.2), in the domain's format."""
    tasks = run.tasks[step.stage.name]
    votes = {task.id: run.method.ballots(task, run.reader.programs(task.id, *step.key)) for task in tasks}
    best = {name: [ballot.outputs for ballot in ballots[:2]] for name, ballots in votes.items()}
    return run.method.submission(tasks, best)


async def timed(work: Awaitable[None], note: Callable[[float], Awaitable[None]]) -> None:
    """Await `work` and note the seconds it took, also when it is interrupted."""
    begun = time.monotonic()
    try:
        await work
    finally:
        await note(time.monotonic() - begun)
