"""Refinement: islands of a bandit over programs, each pull a call that shows a program and asks for a better one
(§3.2, App. D.3).
"""

import asyncio
from collections.abc import Sequence
from itertools import chain

from soar.protocols import Detail
from soar.scoring import solves
from soar.search.agreement import agreed
from soar.search.call import Call, complete
from soar.search.context import SearchContext
from soar.search.evaluate import Evaluator
from soar.search.pool import Pool
from soar.search.sample import sampling_call
from soar.search.stored import StoredCalls
from soar.seeds import rng
from soar.types import Origin, Program, Prompt, Task


async def refine(
    context: SearchContext, task: Task, samples: Sequence[Program], stored: StoredCalls, evaluate: Evaluator
) -> list[Program]:
    """Spend a task's refinement budget on islands that share the samples and nothing else; return all children."""
    if not context.method.budget.refinements:
        return []
    arms = [(program, context.method.heuristic(task, program)) for program in samples]
    islands = range(context.method.budget.islands)
    found = await asyncio.gather(*(refine_island(context, task, arms, island, stored, evaluate) for island in islands))
    return [program for island in found for program in island]


async def refine_island(
    context: SearchContext,
    task: Task,
    arms: Sequence[tuple[Program, float]],
    island: int,
    stored: StoredCalls,
    evaluate: Evaluator,
) -> list[Program]:
    """Spend one island's budget, pull by pull, and return its children in order; `arms` are the bandit's initial ones.

    Without arms (every program failed on some input) a pull samples from scratch, until a program becomes an arm; that
    spends the same budget.
    """
    budget = context.method.budget
    owed = share(budget.refinements, budget.islands, island)
    enough = -(-budget.enough // budget.islands)
    pool, children, solved, step = Pool(arms), [], 0, 0
    samples = [program for program, _ in arms]
    while owed > 0 and not (enough and solved >= enough):
        if agreed(task, chain(samples, children), budget.agreeing):  # no list of them all at every step
            break
        place = ("refine", island, step)
        if context.meter.exhausted(task.id) and place not in stored.calls:
            break
        count = min(budget.completions_per_refinement, owed)
        pulled = context.method.selector(pool, _rng(context, task, island, step)) if len(pool) else ()
        parents = tuple(pool.programs[arm] for arm in pulled)
        if place not in stored.unsent:
            call = refinement_call(context, task, parents, island, step, count)
            born = await complete(context, call, stored.of(place), evaluate)
            solved += sum(is_new_solution(task, child, parents) for child in born)
            children += born
            for child in born:
                pool.add(child, context.method.heuristic(task, child))
        # An unsent prompt is charged to its parent too, so that the bandit moves on.
        pool.spend(pulled, count)
        owed -= count
        step += 1
    return children


def refinement_call(
    context: SearchContext, task: Task, parents: tuple[Program, ...], island: int, step: int, count: int
) -> Call:
    """Return the call for `count` programs better than `parents`; without parents, for programs from scratch."""
    if not parents:
        return sampling_call(context, task, "refine", island, step, count)

    def prompt_of(detail: Detail) -> Prompt:
        return context.method.rendering.refinement(task, parents, detail)

    origin = Origin(context.stage, context.iteration, task.id, "refine", island, step, 0)
    return Call(task, origin, count, prompt_of, context.method.when_refining, parents)


def share(total: int, islands: int, island: int) -> int:
    """Return an island's share of a budget of completions; the first islands take the remainder."""
    return total // islands + (island < total % islands)


def is_new_solution(task: Task, child: Program, parents: Sequence[Program]) -> bool:
    """Return whether a child solves the training pairs and differs from its parents in code and in outputs."""
    copies = any(child.code == parent.code or child.behaviour == parent.behaviour for parent in parents)
    return solves(task, child) and not copies


def _rng(context: SearchContext, task: Task, island: int, step: int):
    return rng(context.method.seed, "select", context.stage, context.iteration, task.id, island, step)
