"""One call to the language model, completed: stored completions are kept, missing ones are generated, stored as they
arrive, and executed. Resuming is therefore calling again.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from soar.archive.rows import CompletionRow, UnsentRow, code_hash
from soar.budget import Tokens
from soar.errors import PromptTooLong
from soar.protocols import Detail, LanguageModel, Rendering
from soar.search.context import SearchContext
from soar.search.evaluate import Evaluator
from soar.seeds import sample_seeds
from soar.types import Completion, Origin, Program, Prompt, Sampling, Task


@dataclass(frozen=True, slots=True)
class Call:
    """A request for `count` completions at `origin` (its index is ignored) of the prompt that `prompt_of` renders;
    `example`: the prompt shows a solved task."""

    task: Task
    origin: Origin
    count: int
    prompt_of: Callable[[Detail], Prompt]
    sampling: Sampling
    parents: tuple[Program, ...] = ()
    example: bool = False


async def complete(
    context: SearchContext, call: Call, stored: Mapping[int, Program | CompletionRow], evaluate: Evaluator
) -> list[Program]:
    """Return the executed programs of a call in order of their place; completions without code yield none.

    `stored` maps places to what an earlier session got for them (`StoredCalls`). A prompt that fits in no form is
    recorded as unsent. The model's errors are raised once everything that arrived is stored.
    """
    found, waiting = list[Program](), list[asyncio.Task[Program | None]]()
    for _, each in sorted(stored.items()):
        if isinstance(each, Program):
            found.append(each)
        elif each.status == "code":
            waiting.append(asyncio.create_task(_stored(context, each, evaluate)))
        context.replies.note("code" if isinstance(each, Program) else each.status)
    missing = [place for place in range(call.count) if place not in stored]
    if missing:
        waiting += await _generate(context, call, missing, evaluate)
    if not waiting:
        await asyncio.sleep(0)  # a resumed search has thousands of such calls in a row; let signals be handled
    found += [program for program in await asyncio.gather(*waiting) if program is not None]
    return sorted(found, key=lambda program: program.origin.index)


async def _generate(
    context: SearchContext, call: Call, missing: Sequence[int], evaluate: Evaluator
) -> list[asyncio.Task[Program | None]]:
    """Generate the missing places with the fullest prompt that fits; return the tasks that store and execute them.

    A distinct completion depends on all those before it, so all are requested again and only the missing ones kept.
    Places that got their completion before the server found a prompt too long after all are not asked for again.
    """
    o, lm = call.origin, context.refiner if call.parents else context.sampler
    left, kept = list(missing), list[asyncio.Task[Program | None]]()
    for detail in _forms(context.method.rendering, call):
        asked = range(call.count) if call.sampling.distinct else tuple(left)
        seeds = sample_seeds(context.method.seed, asked, o.stage, o.iteration, o.task_id, o.phase, o.island, o.step)
        prompt = call.prompt_of(detail)
        if not lm.fits(prompt, call.sampling.max_new_tokens):
            continue
        most = most_tokens(lm, prompt, len(seeds), call.sampling)
        await context.meter.admit(most)
        try:
            async for index, completion in lm.generate(prompt, seeds, call.sampling):
                spent = Tokens(completion.prompt_tokens, completion.completion_tokens)
                context.meter.count(call.task.id, spent, completion.text)
                if asked[index] in left:
                    left.remove(asked[index])
                    row, code = judged(context.method.rendering, call, asked[index], completion, detail)
                    stored = context.writer.submit([row])  # now: a task that is cancelled before it begins does nothing
                    kept.append(asyncio.create_task(_keep(context, row, code, stored, evaluate)))
            context.meter.refuse_uncounted()
            return kept
        except PromptTooLong:
            if not left:
                return kept
        except BaseException:
            await asyncio.gather(*kept)
            raise
        finally:
            context.meter.settle(most)
    if len(left) == call.count:  # else the call has completions, which a resumed run must find
        await context.writer.add([UnsentRow(replace(o, index=0), call.count)])
    return kept


def _forms(rendering: Rendering, call: Call) -> Iterator[Detail]:
    """Yield the forms of a call's prompt, the fullest first. A solved task is given up before the task's own pairs."""
    details = rendering.details(call.task)
    if call.example:
        yield from details[:1]
        details = [replace(detail, example=False) for detail in details]
    yield from details


def most_tokens(lm: LanguageModel, prompt: Prompt, completions: int, sampling: Sampling) -> Tokens:
    """Return the most tokens that a call may take, counting a prompt's characters as tokens: hardly ever too few. The
    prompt counts as often as the model reads it, once if it does not say."""
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    prompts = getattr(lm, "prompts", None)
    times = 1 if prompts is None else prompts(completions)
    return Tokens(times * sum(map(len, texts)), completions * sampling.max_new_tokens)


def judged(
    rendering: Rendering, call: Call, place: int, completion: Completion, detail: Detail
) -> tuple[CompletionRow, str | None]:
    """Return the row of a completion, and the code it holds, if any. A truncated completion never counts as code."""
    # Lone surrogates, which UTF-8 cannot encode, become question marks.
    text = completion.text.encode("utf-8", "replace").decode()
    extraction = rendering.extract(text)
    if completion.finish_reason == "length":
        status, name = "truncated", None
    elif extraction.code is None:
        status, name = extraction.reason or "no-code", None
    else:
        status, name = "code", code_hash(extraction.code)
    shown = {} if detail == Detail() else {"pairs": detail.pairs, "feedback": detail.feedback}
    shown = shown if detail.example else {**shown, "example": False}
    parents = tuple(parent.key for parent in call.parents)
    o = call.origin
    origin = Origin(o.stage, o.iteration, o.task_id, o.phase, o.island, o.step, place)
    completion = completion if text == completion.text else replace(completion, text=text)
    code = extraction.code if status == "code" else None
    return CompletionRow(origin, completion, status, name, parents, shown, code), code


async def _keep(
    context: SearchContext, row: CompletionRow, code: str | None, stored: asyncio.Future[None], evaluate: Evaluator
) -> Program | None:
    """Execute the code of a completion once that is stored."""
    await asyncio.shield(stored)
    context.replies.note(row.status)
    return None if code is None else (await evaluate(code)).program(row.origin, row.parents)


async def _stored(context: SearchContext, row: CompletionRow, evaluate: Evaluator) -> Program | None:
    """Return the program of an earlier session's completion that was not executed then; it is extracted again."""
    code = context.method.rendering.extract(row.completion.text).code
    return None if code is None else (await evaluate(code)).program(row.origin, row.parents)
