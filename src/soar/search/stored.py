"""What earlier sessions of a run stored for one task, phase and island. A search starts by reading it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from soar.archive.rows import CompletionRow
from soar.search.context import SearchContext
from soar.types import Phase, Task


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """Stored completions by step and place, and the steps that were recorded as unsent."""

    calls: Mapping[int, Mapping[int, CompletionRow]]
    unsent: frozenset[int]

    def at(self, step: int) -> Mapping[int, CompletionRow]:
        """Return the stored completions of one call by place."""
        return self.calls.get(step, {})


def stored_calls(context: SearchContext, task: Task, phase: Phase, island: int) -> StoredCalls:
    """Read what is stored for one task, phase and island."""
    where = (context.stage, context.iteration, task.id, phase, island)
    calls: dict[int, dict[int, CompletionRow]] = defaultdict(dict)
    for row in context.reader.completions(*where):
        calls[row.origin.step][row.origin.index] = row
    return StoredCalls(calls, frozenset(context.reader.unsent(*where)))
