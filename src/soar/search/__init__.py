"""Sample and refine (§3.2): one iteration's search over a set of tasks, several in flight at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.rows import SearchedRow
from soar.errors import BudgetReached
from soar.search.context import Held, SearchContext, SearchMethod
from soar.search.evaluate import evaluator
from soar.search.refine import refine
from soar.search.replies import Replies
from soar.search.sample import sample
from soar.types import Task

__all__ = ["Held", "SearchContext", "SearchMethod", "search", "search_tasks"]


async def search(
    method: SearchMethod,
    place: tuple[str, int],
    weights: Path | None,
    tasks: Sequence[Task],
    held: Held,
    few_shot: Sequence[tuple[Task, str]] = (),
    seconds: float | None = None,
) -> bool:
    """Search every task by θi, whose `weights` are a folder (None: the configured model), at a `place`, stage and
    iteration; the programs are in the archive afterwards. What arrived before an error is stored.

    Return whether it took all that it may: with `seconds`, it ends when these are over. `BudgetReached` at the run's
    own limits.
    """
    sampling, refining = method.weights_of("sample", weights), method.weights_of("refine", weights)
    models = {each: method.open_lm(each) for each in {sampling, refining}}
    sampler, refiner = models[sampling], models[refining]
    parts = held.executor, held.writer, held.reader, held.meter
    replies = Replies(learnt=weights is not None)
    context = SearchContext(method, *place, sampler, refiner, *parts, tuple(few_shot), replies)
    deadline = asyncio.timeout(held.meter.seconds_left() if seconds is None else seconds)
    try:
        async with deadline:
            await search_tasks(context, tasks)
        return True
    except TimeoutError:
        if not deadline.expired():
            raise
        if seconds is not None:
            _refuse_nothing_found(held.reader, place)
            return False
        raise BudgetReached(f"{held.meter.out_of_time}; raise it with --set to continue") from None
    finally:
        for lm in models.values():
            counts = lm.requests()
            await lm.close()
            await held.writer.add_requests(counts)


def _refuse_nothing_found(reader: ArchiveReader, place: tuple[str, int]) -> None:
    """Raise `BudgetReached` where a search that ended early has found nothing: nothing could be learnt from it."""
    if not reader.totals(*place).statuses:
        raise BudgetReached(
            f"search {place[1]} of stage {place[0]!r} ended for the steps that follow without any completion; raise"
            " budget.max_seconds with --set to continue"
        )


async def search_tasks(context: SearchContext, tasks: Sequence[Task]) -> None:
    """Search every task whose search is not over, without answers. The first error stops all tasks, after what they
    were paid for is stored; `EndpointError` at the end if no reply was of any use."""
    turns = asyncio.Semaphore(context.method.budget.tasks_in_flight)
    place = context.stage, context.iteration
    over = context.reader.searched(*place)
    if over and context.reader.holds_code(*place):
        context.replies.note("code")

    async def search_task(task: Task) -> None:
        async with turns:
            evaluate = evaluator(context, task)
            samples = await sample(context, task, evaluate)
            await refine(context, task, samples, evaluate)
            # With a higher limit a resumed run goes on with a task that has spent its own.
            if not context.meter.exhausted(task.id):
                await context.writer.add([SearchedRow(*place, task.id)])

    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                if task.id in over:
                    continue
                group.create_task(search_task(task.without_answers()))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    context.replies.conclude()
