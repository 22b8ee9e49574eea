"""Sampling: programs from scratch, request by request, until the budget is spent or enough solve the training pairs
(§3.2, App. D.5).
"""

from soar.protocols import Detail
from soar.scoring import solves
from soar.search.agreement import agreed
from soar.search.call import Call, complete
from soar.search.context import SearchContext
from soar.search.evaluate import Evaluator
from soar.search.stored import StoredCalls
from soar.seeds import rng
from soar.types import Origin, Phase, Program, Prompt, Task


async def sample(context: SearchContext, task: Task, stored: StoredCalls, evaluate: Evaluator) -> list[Program]:
    """Spend a task's sampling budget, one request at a time, and return the programs in order."""
    budget = context.method.budget
    programs, solved = list[Program](), 0
    for step, first in enumerate(range(0, budget.samples, budget.samples_per_request)):
        if budget.enough and solved >= budget.enough:
            break
        if agreed(task, programs, budget.agreeing):
            break
        place = ("sample", 0, step)
        if context.meter.exhausted(task.id) and place not in stored.calls:
            break
        if place in stored.unsent:
            continue
        count = min(budget.samples_per_request, budget.samples - first)
        call = sampling_call(context, task, *place, count)
        new = await complete(context, call, stored.of(place), evaluate)
        solved += sum(solves(task, program) for program in new)
        programs += new
    return programs


def sampling_call(context: SearchContext, task: Task, phase: Phase, island: int, step: int, count: int) -> Call:
    """Return the call for `count` programs from scratch, with a solved task as an example if the context holds one."""
    origin = Origin(context.stage, context.iteration, task.id, phase, island, step, 0)
    examples = [example for example in context.few_shot if example[0].id != task.id]
    chance = rng(context.method.seed, "few-shot", context.stage, context.iteration, task.id, phase, island, step)
    shown = examples[chance.integers(len(examples))] if examples else None

    def prompt_of(detail: Detail) -> Prompt:
        return context.method.rendering.sampling(task, shown if detail.example else None, detail)

    return Call(task, origin, count, prompt_of, context.method.when_sampling, example=shown is not None)
