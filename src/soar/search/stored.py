"""What earlier sessions of a run stored of one task's search. A search starts by reading it."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow
from soar.types import Phase, Program

Step: TypeAlias = tuple[Phase, int, int]
"""Phase, island and step of one call of a task's search."""


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """What each call of a task's search brought, by place: its programs as they were executed then, since a later
    version of the software may extract other code, and the completions without one. `unsent`: calls never made."""

    calls: Mapping[Step, Mapping[int, Program | CompletionRow]]
    unsent: frozenset[Step]

    def of(self, step: Step) -> Mapping[int, Program | CompletionRow]:
        """Return what one call brought, nothing if it is yet to be made."""
        return self.calls.get(step, {})


def stored_calls(reader: ArchiveReader, stage: str, iteration: int, task_id: str) -> StoredCalls:
    """Read what is stored of one task's search, in any thread: thousands of programs take a second."""
    calls: dict[Step, dict[int, Program | CompletionRow]] = defaultdict(dict)
    with closing(reader.another()) as own:
        for each in own.arrived(stage, iteration, task_id):
            o = each.origin
            calls[o.phase, o.island, o.step][o.index] = each
        return StoredCalls(calls, frozenset(own.unsent(stage, iteration, task_id)))
