"""The loop (§3.4, Alg. 3): train θi on the earlier searches, always from θ0; search with it; answer.

Knows the order of the steps and little of how they work: that is the `Method`. It may be interrupted anywhere and
resumes when called again, because each part asks the archive or the disk what is already done.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import Meter
from soar.ensemble import Answering
from soar.errors import BudgetReached, Interrupted
from soar.learning.learn import ExampleSource, LearningMethod, Searched, learn, of_pool, of_stage
from soar.parallel import mapped
from soar.protocols import Executor
from soar.report.task_results import Answer, TaskResult, judged, keep
from soar.run import RunDirectory, Step, superseded, theta0_of, to_come
from soar.search import Held, SearchMethod, search
from soar.search.few_shot import solved_examples
from soar.types import Task, Value


@dataclass(frozen=True)
class Method:
    """What a run does: values, and functions chosen by name once (`soar.method`).

    `theta0` is the folder of the configured model, None if it cannot be finetuned; `submission` returns the answers as
    JSON values.
    """

    steps: tuple[Step, ...]
    search: SearchMethod
    few_shot: bool
    answering: Answering
    submission: Callable[[Sequence[Task], Mapping[str, Sequence[tuple[Value, ...]]]], object]
    learning: LearningMethod
    theta0: Path | None


@dataclass(frozen=True)
class Run:
    """An open run: its method and directory, the tasks of each stage (with answers), and everything it keeps open.

    `notify` receives the metrics of a finetuning now and then, and {} once it has ended; `say` receives messages for
    the user; `stop` is set to end a finetuning soon.
    """

    method: Method
    directory: RunDirectory
    tasks: Mapping[str, Sequence[Task]]
    writer: ArchiveWriter
    reader: ArchiveReader
    executor: Executor
    meter: Meter
    notify: Callable[[Mapping[str, float]], None]
    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def held(self) -> Held:
        """What its searches keep open."""
        return Held(self.executor, self.writer, self.reader, self.meter)


async def iterate(run: Run) -> None:
    """Do all unfinished searches of a run: train θi (if the step learns), search with it, answer."""
    method, writer, reader, directory = run.method, run.writer, run.reader, run.directory
    finished = {(row.stage, row.iteration) for row in reader.iterations() if row.finished}
    for step in method.steps:
        if step.key in finished:
            continue
        tasks = run.tasks[step.stage.name]
        await writer.begin(*step.key)
        before = theta0_of(method.steps, step)
        base = weights = directory.weights(before.number) if before else None
        if step.learns:
            weights = directory.weights(step.number)
            async with writer.timing(*step.key, "finetune_seconds"):
                await learn_model(run, step, base)
            run.notify({})
        past = [(done.key, run.tasks[done.stage.name]) for done in method.steps[: step.number] if done.stage.known]
        few_shot = solved_examples(reader, past) if method.few_shot else ()
        reached: BudgetReached | None = None
        try:
            async with writer.timing(*step.key, "seconds"):
                seconds = run.meter.for_search(*to_come(method.steps, step, run.tasks), reader.last_finetuning())
                if not await search(method.search, step.key, weights, tasks, run.held, few_shot, seconds):
                    run.say(
                        f"search {step.iteration} of stage {step.stage.name!r} ended after {seconds or 0:.0f} s, to"
                        " leave the rest of budget.max_seconds for the steps that follow"
                    )
        except BudgetReached as limit:
            reached = limit  # the programs found so far still give answers
        if reached:
            await answer(run, step)
            raise reached
        await conclude(run, step)
        if method.learning.keep is not None:
            unneeded = superseded(method.steps, step.number, method.learning.keep)
            directory.prune(unneeded)


async def learn_model(run: Run, step: Step, base: Path | None) -> None:
    """Train a step's model, each part of it, from the weights in `base`, or from the configured model (None)."""
    for part, kinds in run.method.learning.parts.items():
        theta0 = run.method.theta0 if base is None else base / part
        assert theta0 is not None, "a method that learns has a model to start from"
        data, out = run.directory.data(step.number, part), run.directory.weights(step.number) / part
        log = partial(_on_log, run)
        await learn(
            run.method.learning,
            step.key,
            theta0,
            example_source(run, step),
            data=data,
            out=out,
            on_log=log,
            kinds=kinds,
        )


def example_source(run: Run, step: Step) -> ExampleSource:
    """Return what a step's model learns from: its stage's earlier searches, or those of the stages in `learns_from`."""
    if step.iteration > 0:
        return of_stage(run.method.learning, step.key, step.stage.visible(run.tasks[step.stage.name]), run.reader)
    stages = {each.stage.name: each.stage.visible(run.tasks[each.stage.name]) for each in run.method.steps}
    taught = {name: stages[name] for name in step.stage.learns_from}
    return of_pool(run.method.learning, [Searched(taught, run.reader)])


async def conclude(run: Run, step: Step) -> None:
    """Conclude a step's search: answer, keep the results, and mark it as finished."""
    results = await answer(run, step)
    keep(run.directory, step, run.method.answering, run.tasks[step.stage.name], results)
    await run.writer.finish(*step.key)


async def answer(run: Run, step: Step) -> list[TaskResult]:
    """Write the answers of a step's search, two per task, from the programs found so far (§3.2); return the result on
    each task."""
    tasks, found = run.tasks[step.stage.name], list[tuple[TaskResult, list[Answer]]]()
    with closing(mapped(partial(judged, run.reader, step, run.method.answering), tasks)) as results:
        for each in results:
            found.append(each)
            await asyncio.sleep(0)  # millions of programs take minutes; let signals be handled
    answers = {result.task_id: answers for result, answers in found}
    run.directory.write_answers(step.number, run.method.submission(tasks, answers))
    return [result for result, _ in found]


def _on_log(run: Run, entry: Mapping[str, float]) -> None:
    """Pass on a trainer's log entry; end the finetuning if the run is out of time or asked to stop."""
    if run.meter.seconds_left() == 0:
        raise BudgetReached(f"{run.meter.out_of_time} during finetuning; raise it with --set to continue")
    if run.stop.is_set():
        raise Interrupted("stopped during finetuning; run the same command again to resume from the last checkpoint")
    run.notify(entry)
