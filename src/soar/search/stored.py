"""What earlier sessions of a run stored of one task's search. A search starts by reading it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow
from soar.types import Phase, Program

Step: TypeAlias = tuple[Phase, int, int]
"""Phase, island and step of one call of a task's search."""


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """What each call of a task's search brought, by place: the program as it was executed then, since a later version
    of the software may extract other code, or the completion if it holds none or one that has not run. `unsent`: calls
    never made."""

    calls: Mapping[Step, Mapping[int, Program | CompletionRow]]
    unsent: frozenset[Step]

    def of(self, step: Step) -> Mapping[int, Program | CompletionRow]:
        """Return what one call brought, nothing if it is yet to be made."""
        return self.calls.get(step, {})


@contextmanager
def reading_thread(
    reader: ArchiveReader, stage: str, iteration: int
) -> Iterator[Callable[[str], Awaitable[StoredCalls]]]:
    """Give a function that reads what is stored of one task's search. It reads in a thread, one task after the other: a
    task's programs may take a second, and the first task searches on while those of the others are read."""
    with ThreadPoolExecutor(1) as thread:
        own = thread.submit(reader.another).result()
        try:
            yield lambda task_id: asyncio.get_running_loop().run_in_executor(
                thread, stored_calls, own, stage, iteration, task_id
            )
        finally:
            # Before the archive's writer is closed: the last connection to close stores the log, which this one cannot.
            thread.submit(own.close)


def stored_calls(reader: ArchiveReader, stage: str, iteration: int, task_id: str) -> StoredCalls:
    """Read what is stored of one task's search."""
    calls: dict[Step, dict[int, Program | CompletionRow]] = defaultdict(dict)
    for each in reader.arrived(stage, iteration, task_id):
        o = each.origin
        calls[o.phase, o.island, o.step][o.index] = each
    return StoredCalls(calls, frozenset(reader.unsent(stage, iteration, task_id)))
