"""One deadline after another for waits that come by the thousand.

asyncio.timeout() makes, arms and disarms a timer for each wait, which costs more than to read the event that is
waited for. Here one timer is armed for many waits: when it rings it looks whether anybody is late, and moves on.
"""

import asyncio
from types import TracebackType
from typing import Any, Self


class Patience:
    """`with patience.until(end): await …` raises TimeoutError at the end. One wait at a time; close() after the last.

    Times are those of the event loop's clock.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._has_run_out = False

    def until(self, end: float) -> Self:
        self._end = end
        if self._timer is None or end < self._timer.when():
            self._arm()
        return self

    def seconds(self, seconds: float) -> Self:
        return self.until(self._loop.time() + seconds)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __enter__(self) -> None:
        # With the loop given, this is a look into a dictionary; without it, Python 3.11 asks the kernel for our pid.
        self._waiting = task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("only a task can wait")
        self._cancelled_before = task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        task, self._waiting = self._waiting, None
        if self._has_run_out and task is not None:
            self._has_run_out = False
            # Someone else may have cancelled the task as well: then it is theirs, as with asyncio.timeout().
            if task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _arm(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._end, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiting is None:
            return  # the next wait arms it again
        if self._loop.time() < self._end:
            self._arm()
            return
        self._has_run_out = True
        self._waiting.cancel()
