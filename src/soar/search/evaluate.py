"""From a program's text to its outputs on a task: executed once per distinct text, stored, scored on training pairs.

Sees only tasks without answers; decides nothing.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, replace
from typing import TypeAlias

from soar.archive.rows import ExecutionRow, code_hash, decode_output, encode_output, execution_row
from soar.execution import confirm
from soar.protocols import Executor, Parse
from soar.scoring import accuracy
from soar.search.context import SearchContext
from soar.types import Execution, Failure, Origin, Output, Program, Task, Written


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


def evaluated(row: ExecutionRow) -> Evaluated:
    """Return what a search keeps of an execution."""
    encoded = row.encoded or [encode_output(output) for output in (*row.train, *row.test)]
    names, texts = (tuple(map(sys.intern, each)) for each in zip(*encoded, strict=True))
    written = Written(names, texts, len(row.train), _as_is, decode_output)
    return Evaluated(row.code, written, row.accuracy, row.status == "nondeterministic", row.ballot, row.behaviour)


def _as_is(text: str, name: str) -> str:
    del name
    return text


Evaluate: TypeAlias = Callable[[str], Awaitable[Evaluated]]


def evaluator(context: SearchContext, task: Task) -> Evaluate:
    """Return the function that evaluates programs on one task; a repeated text costs only a look-up."""
    known: dict[str, asyncio.Task[Evaluated]] = {}
    stored = context.reader.executed(task.id)  # all hashes at once: most programs are new, and need no look-up each

    async def evaluate(code: str) -> Evaluated:
        if code not in known:
            known[code] = asyncio.create_task(_look_up_or_run(context, task, code, stored))
            known[code].add_done_callback(_seen)
        # Shared between calls: cancelling one must not cancel the evaluation for the others.
        return await asyncio.shield(known[code])

    return evaluate


def _seen(done: asyncio.Task[Evaluated]) -> None:
    """Keep asyncio from reporting an error that nobody awaits any more: the first error has stopped the search."""
    if not done.cancelled():
        done.exception()


async def _look_up_or_run(context: SearchContext, task: Task, code: str, stored: Set[str]) -> Evaluated:
    row = context.reader.execution(task.id, code) if code_hash(code) in stored else None
    if row is None:
        done = await execute(context.executor, context.method.parse, task, code)
        row = execution_row(task, code, done)
        await context.writer.add([row])
    return evaluated(row)


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
