"""What copies with effects = "live" have cost, and whether one more call is within the budget.

An estimate is reserved before the call and replaced by what the provider says it used; what is not known stays at
its estimate. All processes share the sums, which are kept in the evidence database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, text, update

from ..config import Live
from . import tables

_LOCK = 7_265_312
MILLION = 1_000_000


class Used(NamedTuple):
    """Tokens of one call."""

    input: int
    output: int


def reserve(connection: Connection, live: Live, call_id: str, model: str, estimate: Used, now: float) -> str:
    """Empty if the call may be made, and is counted from now on; else what stands against it."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions that write are one at a time anyway
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    if model not in live.prices:
        return f"live.prices has no price for the model {model!r}"
    one = tables.spending.c
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    tokens, money = connection.execute(
        select(func.coalesce(func.sum(one.tokens), 0), func.coalesce(func.sum(one.money), 0.0)).where(one.at >= day)
    ).one()
    calls = connection.execute(select(func.count()).where(one.at > now - 60)).scalar_one()
    cost = cost_of(live, model, estimate)
    if calls + 1 > live.calls_per_minute:
        return f"live.calls_per_minute is {live.calls_per_minute}"
    if int(tokens) + sum(estimate) > live.tokens_per_day:
        return f"live.tokens_per_day is {live.tokens_per_day}"
    if money + cost > live.money_per_day:
        return f"live.money_per_day is {live.money_per_day:g}"
    row = {"id": call_id, "at": now, "tokens": sum(estimate), "money": cost}
    connection.execute(insert(tables.spending).values(row))
    return ""


def settle(connection: Connection, live: Live, call_id: str, model: str, used: Used) -> None:
    """What it really was."""
    values = {"tokens": sum(used), "money": cost_of(live, model, used)}
    connection.execute(update(tables.spending).where(tables.spending.c.id == call_id).values(values))


def cost_of(live: Live, model: str, used: Used) -> float:
    price = live.prices[model]
    return (used.input * price.input + used.output * price.output) / MILLION
