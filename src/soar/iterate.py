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
from soar.budget import Meter, search_seconds
from soar.ensemble import Answering
from soar.errors import BudgetReached, Interrupted
from soar.learning.learn import LearningMethod, learn
from soar.protocols import Executor
from soar.run import RunDirectory, Step, base_of, superseded
from soar.search import SearchMethod, search
from soar.search.few_shot import solved_examples
from soar.types import Task, Value


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


async def iterate(run: Run) -> None:
    """Do all searches of a run that are not done yet: learn θi (from a stage's second on), search with it, answer."""
    method, writer, reader, directory = run.method, run.writer, run.reader, run.directory
    finished = {(row.stage, row.iteration) for row in reader.iterations() if row.finished}
    for step in method.steps:
        if step.key in finished:
            continue
        tasks = run.tasks[step.stage.name]
        await writer.begin(*step.key)
        before = base_of(method.steps, step.stage)
        base = weights = directory.weights(before.number) if before else None
        if step.iteration > 0:
            weights, data = directory.weights(step.number), directory.data(step.number)
            theta0 = base or method.theta0
            assert theta0 is not None, "a method with something to learn has a model to begin from"
            shown = step.stage.visible(tasks)
            async with writer.timing(*step.key, "finetune_seconds"):
                log = partial(_on_log, run)
                await learn(method.learning, step.key, theta0, shown, reader, data=data, out=weights, on_log=log)
            run.notify({})
        past = [(done.key, run.tasks[done.stage.name]) for done in method.steps[: step.number] if done.stage.known]
        few_shot = solved_examples(reader, past) if method.few_shot else ()
        reached: BudgetReached | None = None
        try:
            async with writer.timing(*step.key, "seconds"):
                held = run.executor, writer, reader, run.meter
                seconds = _seconds_of(run, step)
                if not await search(method.search, step.key, weights, tasks, *held, few_shot, seconds):
                    _note_cut(run, step, seconds)
        except BudgetReached as limit:
            reached = limit  # what was found until then has answers
        write_answers(run, step)
        if reached:
            raise reached
        await writer.finish(*step.key)
        if method.learning.keep is not None:
            directory.prune(superseded(method.steps, step.number, method.learning.keep))


def write_answers(run: Run, step: Step) -> None:
    """Vote on what a search found, and write its answers."""
    tasks = run.tasks[step.stage.name]
    answers = run.method.answering.answers(tasks, lambda id_: run.reader.programs(id_, *step.key))
    run.directory.write_answers(step.number, run.method.submission(tasks, answers))


def _seconds_of(run: Run, step: Step) -> float | None:
    """Return the seconds after which a search ends, so that there is time for the steps that follow."""
    following = [each for each in run.method.steps if each.number >= step.number]
    timed = [row.finetune_seconds for row in run.reader.iterations() if row.finetune_seconds]
    return search_seconds(
        run.meter.seconds_left(),
        [run.method.search.budget.per_task * len(run.tasks[each.stage.name]) for each in following],
        sum(each.iteration > 0 for each in following[1:]),
        timed[-1] if timed else None,
        run.meter.limits.finetune_share,
    )


def _note_cut(run: Run, step: Step, seconds: float | None) -> None:
    """Say that a search ended early for the steps that follow; `BudgetReached` where it found nothing by then: nothing
    could be learnt from it."""
    stage, iteration = step.key
    said = f"search {iteration} of stage {stage!r} ended after {seconds:.0f} s"
    if not run.reader.totals(stage, iteration).statuses:
        raise BudgetReached(f"{said} without any completion; raise budget.max_seconds with --set to continue")
    run.say(f"{said}: the rest of budget.max_seconds is for the steps that follow")


def _on_log(run: Run, entry: Mapping[str, float]) -> None:
    """Pass on a trainer's log entry; end the training when the run is asked to stop."""
    if run.meter.seconds_left() == 0:
        raise BudgetReached("budget.max_seconds is reached during finetuning; raise it with --set to continue")
    if run.stop.is_set():
        raise Interrupted("stopped during finetuning; the same command continues from the last checkpoint")
    run.notify(entry)
