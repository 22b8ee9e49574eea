"""What executing a program is to the search. Knows neither how it is confined nor what is expected of it: expected
outputs never come near a sandbox."""

from collections.abc import Sequence
from typing import Protocol

from soar.types import Execution, Value


class Sandbox(Protocol):
    """Holds worker processes open. Safe to call from many tasks of one event loop at once."""

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute `code`'s ``transform`` on every input and return one output or failure per input.

        Never raises for a program's fault. `alone` runs it in a process of its own, as programs that solve their
        training pairs are confirmed before they count. Raises `SandboxError` when workers keep dying for reasons that
        are not the program's.
        """
        ...

    async def close(self) -> None:
        """End every worker process."""
        ...
