"""Whether a call to the provider is tried again, and when: the one retry layer between the caller and the provider.

Only an attempt that ended before the first byte of its answer is tried again.
What the provider refuses for good (400, 401, 403, 404, a used-up quota) never is.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ProviderError

LONGEST_PAUSE_SECONDS = 8.0
WINDOW_SECONDS = 10.0
ALWAYS_ALLOWED = 3  # retries in a window, however few calls there were
MOST_REMEMBERED = 10_000  # calls in a window; above it the budget only errs on the safe side

# 408: the provider gave up reading; 409: it found a lock taken. 429 is Busy, and decided by its body.
TRANSIENT = frozenset({408, 409})


@dataclass(frozen=True)
class Setback:
    """An attempt without an answer. `error` is how the call ends if nothing more is tried."""

    error: ProviderError
    transient: bool
    asked_seconds: float | None = None  # the provider's own wish, by Retry-After


class Budget:
    """Retries may be a share of the recent calls: a provider in trouble gets a little more load, never a multiple."""

    def __init__(self, percent: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = percent / 100
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=MOST_REMEMBERED)
        self._retries: deque[float] = deque()

    def called(self) -> None:
        self._calls.append(self._clock())

    def spend(self) -> bool:
        """Whether one more retry is allowed; it then counts as made."""
        now = self._clock()
        for times in (self._calls, self._retries):
            while times and times[0] <= now - WINDOW_SECONDS:
                times.popleft()
        if len(self._retries) >= max(ALWAYS_ALLOWED, self._share * len(self._calls)):
            return False
        self._retries.append(now)
        return True


@dataclass(frozen=True)
class Retries:
    """How often, how soon and how many in all. `attempts` counts the first one."""

    attempts: int = 3
    first_pause_seconds: float = 0.5
    budget: Budget = field(default_factory=lambda: Budget(percent=20))
    draw: Callable[[], float] = random.random

    def pause_seconds(self, setback: Setback, attempt: int, remaining_seconds: float) -> float | None:
        """The wait before the next attempt; None if this one was the last."""
        if not setback.transient or attempt >= self.attempts:
            return None
        pause = pause_seconds(attempt, self.first_pause_seconds, setback.asked_seconds, self.draw())
        if pause >= remaining_seconds or not self.budget.spend():
            return None
        return pause


def pause_seconds(attempt: int, first_seconds: float, asked_seconds: float | None, drawn: float) -> float:
    """Exponential with full jitter: callers who failed together must not come back together.

    A time that the provider names is kept, and the jitter comes on top of it. `drawn` is in [0, 1).
    """
    if asked_seconds is not None:
        return asked_seconds + drawn * first_seconds
    return drawn * min(LONGEST_PAUSE_SECONDS, first_seconds * 2.0 ** (attempt - 1))


def is_transient(status: int) -> bool:
    return status in TRANSIENT or status >= 500
