"""From a program's text to its outputs on a task: executed once per distinct text, stored, scored on training pairs.

Sees only tasks without answers; decides nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from soar.archive.rows import ExecutionRow, code_hash, decode_output, encode_output, execution_row
from soar.execution import confirm
from soar.protocols import Executor, Parse
from soar.scoring import accuracy
from soar.search.context import SearchContext
from soar.types import Execution, Failure, Origin, Output, Program, Task, Written

LINGER = 60.0
"""The most seconds that programs may take to be executed once their search has reached a limit."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a search keeps of a program as long as its task is searched: outputs as text, each once however many
    programs give it. As values they took half of a large search's memory (docs/scale.md)."""

    code: str
    written: Written
    accuracy: float
    nondeterministic: bool
    ballot: str | None
    behaviour: str | None

    def program(self, origin: Origin, parents: tuple[str, ...]) -> Program:
        """Return the program as it came in one completion."""
        return Program.from_written(
            self.written,
            origin=origin,
            code=self.code,
            accuracy=self.accuracy,
            parents=parents,
            nondeterministic=self.nondeterministic,
            ballot=self.ballot,
            behaviour=self.behaviour,
        )


def evaluated(row: ExecutionRow, texts: dict[str, str]) -> Evaluated:
    """Return what a search keeps of an execution. `texts` holds each text that is kept, once; new ones are added."""
    encoded = row.encoded or [encode_output(output) for output in (*row.train, *row.test)]
    # `sys.intern` would keep them for ever in Python 3.12.
    names, outputs = (tuple(texts.setdefault(text, text) for text in each) for each in zip(*encoded, strict=True))
    written = Written(names, outputs, len(row.train), _as_is, decode_output)
    return Evaluated(row.code, written, row.accuracy, row.status == "nondeterministic", row.ballot, row.behaviour)


def _as_is(text: str, name: str) -> str:
    del name
    return text


class Evaluator:
    """Evaluates programs on one task; a repeated text costs only a look-up."""

    def __init__(self, context: SearchContext, task: Task) -> None:
        self._context = context
        self._task = task
        self._known: dict[str, asyncio.Task[Evaluated]] = {}
        self._texts: dict[str, str] = {}
        # All hashes at once: most programs are new, and need no look-up each.
        self._stored = context.reader.executed(task.id)

    async def __call__(self, code: str) -> Evaluated:
        """Return what a program does on the task, executed and stored unless it was before."""
        if code not in self._known:
            running = asyncio.create_task(self._look_up_or_run(code))
            running.add_done_callback(_seen)
            self._context.evaluating.add(running)
            running.add_done_callback(self._context.evaluating.discard)
            self._known[code] = running
        # Shared between calls: cancelling one must not cancel the evaluation for the others.
        return await asyncio.shield(self._known[code])

    async def _look_up_or_run(self, code: str) -> Evaluated:
        context, task = self._context, self._task
        row = context.reader.execution(task.id, code) if code_hash(code) in self._stored else None
        if row is None:
            done = await execute(context.executor, context.method.parse, task, code)
            row = execution_row(task, code, done)
            await context.writer.add([row])
        return evaluated(row, self._texts)


def _seen(done: asyncio.Task[Evaluated]) -> None:
    """Keep asyncio from reporting an error that nobody awaits any more: the first error has stopped the search."""
    if not done.cancelled():
        done.exception()


async def finish_evaluating(context: SearchContext, tasks: Sequence[Task]) -> None:
    """Execute what a search that reached a limit has paid for and not run, for at most `LINGER` seconds: its answers
    are made of what has run. What is left then does not run behind the back of what follows."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            await asyncio.gather(*context.evaluating, return_exceptions=True)
            await context.writer.flush()
            for task in tasks:
                await _evaluate_waiting(context, task.without_answers())
    left = list(context.evaluating)
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _evaluate_waiting(context: SearchContext, task: Task) -> None:
    rows = context.reader.waiting(context.stage, context.iteration, task.id)
    if not rows:
        return
    evaluate = Evaluator(context, task)
    codes = [context.method.rendering.extract(row.completion.text).code for row in rows]
    await asyncio.gather(*(evaluate(code) for code in codes if code is not None))


async def execute(executor: Executor, parse: Parse, task: Task, code: str) -> Execution:
    """Run a program on all inputs of a task; confirm one that solves the training pairs in a process of its own."""
    returned = await executor.run(code, task.inputs)
    execution = _parsed(parse, returned)
    if accuracy(task, execution.outputs[: len(task.train)]) < 1.0:
        return execution
    return _parsed(parse, await confirm(executor, code, task.inputs, returned))


def _parsed(parse: Parse, execution: Execution) -> Execution:
    """Return the execution with every output in canonical form; an output without one becomes a failure."""
    return replace(execution, outputs=tuple(_canonical(parse, output) for output in execution.outputs))


def _canonical(parse: Parse, output: Output) -> Output:
    if isinstance(output, Failure):
        return output
    try:
        return parse(output)
    except ValueError as error:
        return Failure("InvalidOutput", str(error), stage="result")
