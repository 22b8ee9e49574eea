"""From a program's text to what it does on its task: executed once per distinct text, stored, judged on training pairs.

Sees tasks without answers only; decides nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable

from soar.archive.rows import ExecutionRow, execution_row
from soar.domains.protocol import Domain
from soar.sandbox import confirm
from soar.sandbox.protocol import Sandbox
from soar.search.context import SearchContext
from soar.types import Execution, Failure, Output, Task

Evaluate = Callable[[str], Awaitable[ExecutionRow]]


def evaluator(context: SearchContext, task: Task) -> Evaluate:
    """Return the function that evaluates programs on one task; a text met again costs a look-up."""
    known: dict[str, asyncio.Task[ExecutionRow]] = {}

    async def evaluate(code: str) -> ExecutionRow:
        if code not in known:
            known[code] = asyncio.create_task(_look_up_or_run(context, task, code))
        return await asyncio.shield(known[code])

    return evaluate


async def _look_up_or_run(context: SearchContext, task: Task, code: str) -> ExecutionRow:
    stored = context.reader.execution(task.id, code)
    if stored is not None:
        train, test, accuracy, status = stored
        return ExecutionRow(task.id, code, status, accuracy, train, test)
    row = execution_row(task, code, await execute(context.sandbox, context.domain, task, code))
    await context.writer.add([row])
    return row


async def execute(sandbox: Sandbox, domain: Domain, task: Task, code: str) -> Execution:
    """Run a program on all inputs of a task; one that solves the training pairs is confirmed in its own process."""
    execution = _parsed(domain, await sandbox.run(code, task.inputs))
    if execution_row(task, code, execution).accuracy < 1.0:
        return execution
    return _parsed(domain, await confirm(sandbox, code, task.inputs, execution))


def _parsed(domain: Domain, execution: Execution) -> Execution:
    """Return the execution with every output in canonical form; what has none becomes a failure."""
    outputs = tuple(_parse(domain, output) for output in execution.outputs)
    return Execution(outputs, execution.cpu_seconds, execution.nondeterministic)


def _parse(domain: Domain, output: Output) -> Output:
    if isinstance(output, Failure):
        return output
    try:
        return domain.parse(output)
    except ValueError as error:
        return Failure("InvalidOutput", str(error), stage="result")
