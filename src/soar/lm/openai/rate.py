"""How many requests an endpoint takes at once, found out: fewer after it refuses some, more again as it answers.

Knows no request. Additive increase and multiplicative decrease, as TCP shares a line (Chiu and Jain 1989).
"""

import asyncio
import time
from types import TracebackType


class Rate:
    """Turns for requests: `async with rate` waits for one. At first as many are given at once as are allowed."""

    def __init__(self, most: int) -> None:
        self._turns = asyncio.Semaphore(most)
        self._most = self.limit = most
        self._withheld = 0
        self._answers = 0
        self._changed = 0.0

    async def __aenter__(self) -> float:
        """Wait for a turn; return when it began."""
        await self._turns.acquire()
        return time.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the turn back, or to nobody where there are to be fewer."""
        self._give()

    def refused(self, begun: float) -> bool:
        """Halve the turns; return whether that was done. Of requests that were on their way together the first
        refusal counts: the others say the same."""
        if begun < self._changed or self.limit == 1:
            return False
        fewer = self.limit // 2
        self._withheld += self.limit - fewer
        self.limit, self._changed, self._answers = fewer, time.monotonic(), 0
        return True

    def answered(self) -> None:
        """Allow one turn more after as many answers as there are turns."""
        self._answers += 1
        if self.limit < self._most and self._answers >= self.limit:
            self.limit, self._answers = self.limit + 1, 0
            self._give()

    def _give(self) -> None:
        if self._withheld:
            self._withheld -= 1
        else:
            self._turns.release()
