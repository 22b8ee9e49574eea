"""A caller on an event loop that waits while a model's thread decodes. Knows loops and queues, no model."""

import asyncio
import time
from dataclasses import dataclass, field

from soar.types import Completion


@dataclass(eq=False)
class Request:
    """One call of `generate`. `arrived` receives ``(index, completion)``, or an error that ends the call."""

    loop: asyncio.AbstractEventLoop
    arrived: "asyncio.Queue[tuple[int, Completion] | Exception]"
    started: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    def put(self, item: tuple[int, Completion] | Exception) -> None:
        """Hand an item to the caller, unless the call was cancelled or its loop is closed."""
        if not self.cancelled and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.arrived.put_nowait, item)
