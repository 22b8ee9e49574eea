"""How many requests an endpoint accepts at once, found by trying: fewer after a refusal, more again as it answers.

Knows nothing of requests. Additive increase and multiplicative decrease, as in TCP (Chiu and Jain 1989).
"""

import asyncio
import time
from types import TracebackType


class Rate:
    """Slots for requests: `async with rate` waits for one. Starts with all `most` of them."""

    def __init__(self, most: int) -> None:
        self._slots = asyncio.Semaphore(most)
        self._most = self.limit = most
        self._withheld = 0
        self._answers = 0
        self._changed = 0.0

    async def __aenter__(self) -> float:
        """Wait for a slot; return the time at which it was free."""
        await self._slots.acquire()
        return time.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the slot back, or withhold it if there are to be fewer."""
        self._give()

    def refused(self, started: float) -> bool:
        """Halve the slots; return whether that was done. Of requests in flight together only the first refusal counts:
        the others say the same."""
        if started < self._changed or self.limit == 1:
            return False
        fewer = self.limit // 2
        self._withheld += self.limit - fewer
        self.limit, self._changed, self._answers = fewer, time.monotonic(), 0
        return True

    def answered(self) -> None:
        """Add a slot after as many answers as there are slots."""
        self._answers += 1
        if self.limit < self._most and self._answers >= self.limit:
            self.limit, self._answers = self.limit + 1, 0
            self._give()

    def _give(self) -> None:
        if self._withheld:
            self._withheld -= 1
        else:
            self._slots.release()
