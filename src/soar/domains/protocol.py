"""What makes a programming-by-example domain. The only seam that knows what a value is; search knows none of it."""

from typing import Protocol

from soar.types import Task, Value


class Domain(Protocol):
    """Loads tasks, and says what a value is and how a prompt shows it.

    A domain may also have ``similarity(value, value)``, from 0 to 1: `soar.heuristics.closeness` asks for it.
    """

    @property
    def about(self) -> str:
        """What a chat prompt says about values before it shows any: their kind, their limits, their Python form."""
        ...

    def load(self, source: str) -> list[Task]:
        """Return the tasks of a named source, a folder or a file, sorted by id; `DataError` says what is wrong."""
        ...

    def parse(self, value: object) -> Value:
        """Return the canonical form of `value`; a `ValueError` whose message is the reason when it is none."""
        ...

    def show(self, value: Value) -> str:
        """Return the text of one value in a chat prompt."""
        ...

    def shape(self, value: Value) -> str:
        """Return the size of one value in a few words, as a chat prompt tells it beside the value."""
        ...
