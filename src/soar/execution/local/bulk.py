"""Runs many programs through a sandbox: results in the order of the programs, a bounded number in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from soar.execution.local.supervisor import ConfinedSandbox
from soar.types import Execution, Value

IN_FLIGHT = 2048


async def run_all(
    sandbox: ConfinedSandbox, programs: Iterable[tuple[str, Sequence[Value]]], *, in_flight: int = IN_FLIGHT
) -> AsyncIterator[Execution]:
    """Yield the execution of each (code, inputs), in their order, reading at most `in_flight` of them ahead."""
    running: deque[asyncio.Future[Execution]] = deque()
    try:
        for code, inputs in programs:
            running.append(sandbox.submit(code, inputs))
            while len(running) >= in_flight or (running and running[0].done()):
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for answer in running:
            answer.cancel()
