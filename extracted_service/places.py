"""Places for calls to the provider: so many at once, so many more in a queue, everybody else is told at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .errors import Busy

RETRY_AFTER_SECONDS = 5


class Places:
    """Without a limit on who waits, a slow provider turns into a service that answers nobody in time."""

    def __init__(self, places: int, most_waiting: int, longest_wait_seconds: float) -> None:
        self._free = asyncio.Semaphore(places)
        self._most_waiting = most_waiting
        self._longest_wait_seconds = longest_wait_seconds
        self.waiting = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Busy if the queue is full, or if no place became free in time."""
        await self._take()
        try:
            yield
        finally:
            self._free.release()

    async def _take(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= self._most_waiting:
            raise Busy(RETRY_AFTER_SECONDS)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._longest_wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(RETRY_AFTER_SECONDS) from None
        finally:
            self.waiting -= 1
