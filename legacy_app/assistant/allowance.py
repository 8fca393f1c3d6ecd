"""How many tokens an organisation may use in a day (UTC), and until when it waits once they are used up.

A call counts when it has ended, so those that run at once may together go over the limit, each by one answer.
"""

import math
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from legacy_app.api import ApiError
from legacy_app.assistant.models import Call

USED_UP = 429, "token_limit", "Your organisation has used up its assistant tokens for today."


def check(organisation_id: int) -> None:
    """Raises the refusal. Asked last of all, right before the provider would be."""
    limit, now = settings.LLM_DAILY_TOKENS, timezone.now()
    if limit and used_since(organisation_id, midnight(now)) >= limit:
        wait = seconds_until(midnight(now) + timedelta(days=1), now)
        raise ApiError(*USED_UP, headers={"Retry-After": str(wait)})


def used_since(organisation_id: int, start: datetime) -> int:
    calls = Call.objects.filter(organisation_id=organisation_id, created_at__gte=start).order_by()
    # Two sums: PostgreSQL adds up integers to a bigint, but adds two of them to an integer, which may overflow.
    return calls.aggregate(tokens=Sum("prompt_tokens") + Sum("completion_tokens"))["tokens"] or 0


def midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_until(moment: datetime, now: datetime) -> int:
    """Rounded up: whoever waits so long is not refused again for a fraction of a second."""
    return math.ceil((moment - now).total_seconds())
