"""How many tokens an organisation may use in a day (UTC), and until when it waits once they are used up.

A call counts when it has ended, so those that run at once may together go over the limit, each by one answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, func, select

from .database import Database
from .errors import TokenLimit
from .identity import Caller
from .tables import call

# Two sums: PostgreSQL adds up integers to a bigint, but adds two of them to an integer, which may overflow.
_USED = select(func.sum(call.c.prompt_tokens) + func.sum(call.c.completion_tokens)).where(
    call.c.organisation_id == bindparam("organisation"), call.c.created_at >= bindparam("start")
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Allowance:
    """An endpoint that needs a completion asks it last of all, right before the provider would be."""

    database: Database
    daily_tokens: int  # 0: no limit
    clock: Callable[[], datetime] = _utc_now

    async def check(self, caller: Caller) -> None:
        """TokenLimit if the caller's organisation has used up its tokens of the day."""
        now = self.clock()
        if self.daily_tokens and await self._used_since(midnight(now), caller.organisation) >= self.daily_tokens:
            raise TokenLimit(seconds_until(midnight(now) + timedelta(days=1), now))

    async def _used_since(self, start: datetime, organisation_id: int) -> int:
        async with self.database.reader.connect() as connection:
            return int(await connection.scalar(_USED, {"organisation": organisation_id, "start": start}) or 0)


def midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_until(moment: datetime, now: datetime) -> int:
    """Rounded up: whoever waits so long is not refused again for a fraction of a second."""
    return math.ceil((moment - now).total_seconds())
