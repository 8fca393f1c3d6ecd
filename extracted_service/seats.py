"""Who may hold a socket, and for how long."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import TooManySockets


@dataclass(frozen=True)
class Seats:
    """Of one process; a user has so many in each."""

    per_user: int
    idle_seconds: float
    lifetime_seconds: float  # the identity was looked at once, when the socket was opened
    _taken: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def taken(self, user_id: int) -> Iterator[None]:
        """TooManySockets if the user has all of theirs already."""
        if self._taken[user_id] >= self.per_user:
            raise TooManySockets
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
