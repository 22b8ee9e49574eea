"""Sample and refine (§3.2): one iteration's search over a set of tasks, several in flight at once."""

import asyncio
from collections.abc import Sequence

from soar.search.context import SearchContext, SearchMethod
from soar.search.evaluate import evaluator
from soar.search.refine import refine
from soar.search.sample import sample
from soar.types import Task

__all__ = ["SearchContext", "SearchMethod", "search"]


async def search(context: SearchContext, tasks: Sequence[Task]) -> None:
    """Search every task (without answers); the programs are in the archive afterwards.

    The first error stops all tasks, after what they were paid for is stored. `EndpointError` at the end if no reply was
    of any use.
    """
    turns = asyncio.Semaphore(context.method.budget.tasks_in_flight)

    async def search_task(task: Task) -> None:
        async with turns:
            evaluate = evaluator(context, task)
            samples = await sample(context, task, evaluate)
            await refine(context, task, samples, evaluate)

    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(search_task(task.without_answers()))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    context.replies.conclude()
