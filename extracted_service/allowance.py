"""How many tokens an organisation may use in a day (UTC), and until when it waits once they are used up.

A call counts when it has ended, so those that run at once may together go over the limit, each by one answer.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, func, select

from .database import Database
from .errors import TokenLimit
from .identity import Caller
from .tables import call
from .together import Together

# Two sums: PostgreSQL adds up integers to a bigint, but adds two of them to an integer, which may overflow.
_USED = select(func.sum(call.c.prompt_tokens) + func.sum(call.c.completion_tokens)).where(
    call.c.organisation_id == bindparam("organisation"), call.c.created_at >= bindparam("start")
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Allowance:
    """An endpoint that needs a completion asks it last of all, right before the provider would be."""

    def __init__(self, database: Database, daily_tokens: int, clock: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._daily_tokens = daily_tokens  # 0: no limit
        self._clock = clock
        # It goes over every call of the day: a crowd has that done a few times, and not once for each.
        self._used = Together(self._used_since)

    async def check(self, caller: Caller) -> None:
        """TokenLimit if the caller's organisation has used up its tokens of the day."""
        now = self._clock()
        if self._daily_tokens and await self._used.ask((caller.organisation, midnight(now))) >= self._daily_tokens:
            raise TokenLimit(seconds_until(midnight(now) + timedelta(days=1), now))

    async def _used_since(self, whose: tuple[int, datetime]) -> int:
        organisation, start = whose
        sought = {"organisation": organisation, "start": start}
        return int(await self._database.read(lambda connection: connection.scalar(_USED, sought)) or 0)


def midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_until(moment: datetime, now: datetime) -> int:
    """Rounded up: whoever waits so long is not refused again for a fraction of a second."""
    return math.ceil((moment - now).total_seconds())
