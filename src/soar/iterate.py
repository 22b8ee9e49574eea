"""The loop (§3.4, Alg. 3): learn θi from the searches before, always from θ0; search with it; answer.

Knows the order of things and little of how they are done: a `Method` says that. It may be interrupted anywhere: calling
it again goes on, because each part asks the archive or the disk what is already there.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import Meter
from soar.ensemble import Answering
from soar.errors import BudgetReached, Interrupted
from soar.learning.learn import LearningMethod, Lessons, Searched, learn, of_pool, of_stage
from soar.protocols import Executor
from soar.report.task_results import TaskResult, judge, keep
from soar.run import RunDirectory, Step, superseded, theta0_of, to_come
from soar.search import Held, SearchMethod, search
from soar.search.few_shot import solved_examples
from soar.types import Task, Value

REST = "the rest of budget.max_seconds is for the steps that follow"


@dataclass(frozen=True)
class Method:
    """What a run does: values, and functions that were chosen by name once (`soar.method`).

    `theta0` is the folder of the configured model, None where no stage learns; `submission` writes answers as JSON
    values.
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
    """An open run: its method and directory, the tasks of each stage (with answers), what is held open meanwhile.

    `notify` gets the numbers of a training now and then, and nothing ({}) once it has ended; `say` gets what the user
    should know; `stop` is set when training should end soon.
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
        """What its searches need open."""
        return Held(self.executor, self.writer, self.reader, self.meter)


async def iterate(run: Run) -> None:
    """Do all searches of a run that are not done yet: learn θi (from a stage's second on), search with it, answer."""
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
                        f"search {step.iteration} of stage {step.stage.name!r} ended after {seconds or 0:.0f} s: {REST}"
                    )
        except BudgetReached as limit:
            reached = limit  # what was found until then has answers
        if reached:
            answer(run, step)
            raise reached
        await conclude(run, step)
        if method.learning.keep is not None:
            unneeded = superseded(method.steps, step.number, method.learning.keep)
            directory.prune(unneeded)


async def learn_model(run: Run, step: Step, base: Path | None) -> None:
    """Learn a step's model, or each part of it, from the weights in `base`, or from the configured model (None)."""
    for part, kinds in run.method.learning.parts.items():
        theta0 = run.method.theta0 if base is None else base / part
        assert theta0 is not None, "a method with something to learn has a model to begin from"
        data, out = run.directory.data(step.number, part), run.directory.weights(step.number) / part
        log = partial(_on_log, run)
        await learn(
            run.method.learning, step.key, theta0, lessons(run, step), data=data, out=out, on_log=log, kinds=kinds
        )


def lessons(run: Run, step: Step) -> Lessons:
    """Return what a step's model is taught: its stage's searches before, or those of the stages that it learns from."""
    if step.iteration > 0:
        return of_stage(run.method.learning, step.key, step.stage.visible(run.tasks[step.stage.name]), run.reader)
    stages = {each.stage.name: each.stage.visible(run.tasks[each.stage.name]) for each in run.method.steps}
    taught = {name: stages[name] for name in step.stage.learns_from}
    return of_pool(run.method.learning, [Searched(taught, run.reader)])


async def conclude(run: Run, step: Step) -> None:
    """End a step's search: answer, keep what it came to, and note that it is finished."""
    results = answer(run, step)
    keep(run.directory, step, run.method.answering, run.tasks[step.stage.name], results)
    await run.writer.finish(*step.key)


def answer(run: Run, step: Step) -> list[TaskResult]:
    """Write the answers of a step's search, two to each task, by what it has found until now (§3.2); return what that
    comes to on each task."""
    results: list[TaskResult] = []
    answers: dict[str, list[tuple[Value, ...]]] = {}
    tasks = run.tasks[step.stage.name]
    for task in tasks:
        programs = run.reader.programs(task.id, *step.key)
        result, ballots = judge(run.reader, step, task, run.method.answering, programs)
        results.append(result)
        answers[task.id] = [ballot.outputs for ballot in ballots[:2]]
    run.directory.write_answers(step.number, run.method.submission(tasks, answers))
    return results


def _on_log(run: Run, entry: Mapping[str, float]) -> None:
    """Pass on a trainer's log entry; end the training when the run is asked to stop."""
    if run.meter.seconds_left() == 0:
        raise BudgetReached(f"{run.meter.out_of_time} during finetuning; raise it with --set to continue")
    if run.stop.is_set():
        raise Interrupted("stopped during finetuning; the same command continues from the last checkpoint")
    run.notify(entry)
