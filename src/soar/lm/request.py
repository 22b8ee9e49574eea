"""What a caller on an event loop waits for while a thread of a model decodes. Knows loops and queues, no model."""

import asyncio
import time
from dataclasses import dataclass, field

from soar.types import Completion


@dataclass(eq=False)
class Request:
    """One caller's wish. `arrived` gets ``(index, completion)``, or an error that ends it."""

    loop: asyncio.AbstractEventLoop
    arrived: "asyncio.Queue[tuple[int, Completion] | Exception]"
    begun: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    def put(self, item: tuple[int, Completion] | Exception) -> None:
        """Hand something to the caller, who may be gone with his loop."""
        if not self.cancelled and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.arrived.put_nowait, item)
