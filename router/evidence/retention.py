"""What the evidence database forgets: what is old, and above a size the oldest."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, select
from sqlalchemy.sql.elements import ColumnElement

from ..config import Evidence
from . import tables
from .database import size_of
from .writing import HOUR_SECONDS

DAY_SECONDS = 86_400
MIB = 1_048_576
ROUNDS = 30
"""Each forgets a tenth; so many at one time at most."""


def forget(connection: Connection, evidence: Evidence, tape_seconds: float | None, now: float) -> int:
    """Delete what is not to be kept; how many rows that were. The journal of moves is kept for ever."""
    oldest = now - evidence.keep_days * DAY_SECONDS
    forgotten = 0 if tape_seconds is None else _forget_tape(connection, now - tape_seconds)
    forgotten += _delete(connection, tables.comparisons, tables.comparisons.c.at < oldest)
    forgotten += _delete(connection, tables.groups, tables.groups.c.last_at < oldest)
    forgotten += _delete(connection, tables.counts, tables.counts.c.hour < int(oldest / HOUR_SECONDS))
    forgotten += _delete(connection, tables.spending, tables.spending.c.at < now - 2 * DAY_SECONDS)
    for _ in range(ROUNDS):
        if size_of(connection) <= evidence.keep_mib * MIB:
            break
        found = _forget_a_tenth(connection, now)
        forgotten += found
        if not found:
            break
    return forgotten


def _forget_a_tenth(connection: Connection, now: float) -> int:
    """Of the tape, which is the larger and lives the shorter, and of the comparisons."""
    found = 0
    if (first := connection.execute(select(func.min(tables.calls.c.began))).scalar()) is not None:
        found += _forget_tape(connection, first + (now - first) / 10 + 1e-3)
    table = tables.comparisons
    low, high = connection.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
    if low is not None:
        found += _delete(connection, table, table.c.id <= low + (high - low) // 10)
        first = connection.execute(select(func.min(table.c.at))).scalar()
        if first is not None:
            found += _delete(connection, tables.groups, tables.groups.c.last_at < first)
    return found


def _forget_tape(connection: Connection, before: float) -> int:
    old = select(tables.calls.c.id).where(tables.calls.c.began < before)
    _delete(connection, tables.parts, tables.parts.c.call_id.in_(old))
    return _delete(connection, tables.calls, tables.calls.c.began < before)


def _delete(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(which)).rowcount
