"""Sampling and refinement (§3.2): one iteration's search over a set of tasks, several in flight at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.rows import SearchedRow
from soar.budget import Tokens
from soar.errors import BudgetReached, EndpointError
from soar.search.context import Held, SearchContext, SearchMethod
from soar.search.evaluate import Evaluator, finish_evaluating
from soar.search.refine import refine
from soar.search.replies import Replies
from soar.search.sample import sample
from soar.search.stored import StoredCalls, reading_thread
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
    """Search every task with the model in the folder `weights` (None: the configured model) at a `place` (stage and
    iteration); the programs go to the archive. Whatever arrived before an error is stored.

    Return False if the search ended early because its `seconds` were over. Raises `BudgetReached` at the run's own
    limits.
    """
    sampling, refining = method.weights_of("sample", weights), method.weights_of("refine", weights)
    models = {each: method.open_lm(each) for each in {sampling, refining}}
    sampler, refiner = models[sampling], models[refining]
    parts = held.executor, held.writer, held.reader, held.meter
    replies = Replies(learnt=weights is not None)
    held.meter.begin_search({task: Tokens(*spent) for task, spent in held.reader.tokens_by_task(place).items()})
    context = SearchContext(method, *place, sampler, refiner, *parts, tuple(few_shot), replies)
    deadline = asyncio.timeout(held.meter.seconds_left() if seconds is None else seconds)
    try:
        async with deadline:
            await search_tasks(context, tasks)
        _refuse_nothing_sent(context, tasks)
        return True
    except BudgetReached:
        await finish_evaluating(context, tasks)
        raise
    except TimeoutError:
        if not deadline.expired():
            raise
        await finish_evaluating(context, tasks)
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
    """Raise `BudgetReached` if a search that ended early has no completion: nothing could be learnt from it."""
    if not reader.totals(*place).statuses:
        raise BudgetReached(
            f"search {place[1]} of stage {place[0]!r} got no completion in its share of budget.max_seconds; raise it"
            " with --set to continue"
        )


def _refuse_nothing_sent(context: SearchContext, tasks: Sequence[Task]) -> None:
    """Raise `EndpointError` if the search is over and no prompt of it fitted the model."""
    place = context.stage, context.iteration
    if context.reader.totals(*place).statuses or not context.reader.unsent_steps(*place):
        return
    raise EndpointError(
        f"no prompt of {len(tasks)} tasks fits the model's context, in its shortest form and with the new tokens of"
        " sampling.sample_tokens: use a larger context (lm.context, or the server's) or fewer new tokens, and start a"
        " new run"
    )


async def search_tasks(context: SearchContext, tasks: Sequence[Task]) -> None:
    """Search every unfinished task, without answers. The first error stops all tasks, once the completions paid for
    are stored; `EndpointError` at the end if no completion was usable."""
    turns, place = asyncio.Semaphore(context.method.budget.tasks_in_flight), (context.stage, context.iteration)
    over = context.reader.searched(*place)
    # The completions of finished tasks are not read again.
    context.replies.note_earlier(context.reader.ended(*place, over))

    async def search_task(task: Task, stored_calls: Callable[[str], Awaitable[StoredCalls]]) -> None:
        async with turns:
            stored, evaluate = await stored_calls(task.id), Evaluator(context, task)
            samples = await sample(context, task, stored, evaluate)
            await refine(context, task, samples, stored, evaluate)
            # Not finished at its token limit: if the run is resumed before the search is over, a higher one counts.
            if not context.meter.exhausted(task.id):
                await context.writer.add([SearchedRow(*place, task.id)])

    try:
        with reading_thread(context.reader, *place) as stored_calls:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    if task.id not in over:
                        group.create_task(search_task(task.without_answers(), stored_calls))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    context.replies.conclude()
