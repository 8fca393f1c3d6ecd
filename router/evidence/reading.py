"""What a report reads of the evidence: counts, the verdict's sequence, groups of differences, the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, case, func, literal, select

from . import tables
from .gates import Gate, History
from .observations import Comparison, Difference, Kind, Second, Verdict
from .writing import HOUR_SECONDS, Move

SEQUENCE = 1_000_000
"""So many comparisons of one route and epoch are read, the latest."""
ROWS = 10_000
"""So many are in memory at once."""

_STORED = [field.name for field in fields(Comparison) if field.name != "differences"]


class Counts(NamedTuple):
    """Of the comparisons of one route in one epoch."""

    route: str
    epoch: str
    comparisons: int
    matches: int
    mismatches: int
    inconclusive: int
    errors: int
    """The candidate failed where the control did not."""
    slower: int
    """Both answered, and the candidate's own time was above `factor` times the control's."""
    effects: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Group:
    """Differences of the same kinds in the same places; numbers in places are `*`."""

    route: str
    epoch: str
    group: str
    places: tuple[tuple[str, Kind], ...]
    count: int
    first_at: float
    last_at: float


def counts(engine: Engine, factor: float = 1.25) -> list[Counts]:
    """Of every route and epoch, the latest epoch first."""
    one = tables.comparisons.c
    failed = one.candidate_failed & ~one.control_failed
    both = ~one.candidate_failed & ~one.control_failed
    wanted = (
        *(_number(one.verdict == verdict.value) for verdict in (Verdict.MATCH, Verdict.MISMATCH, Verdict.INCONCLUSIVE)),
        *(_number(failed), _number(both & (one.candidate_seconds > factor * one.control_seconds))),
    )
    query = (
        select(one.route, one.epoch, func.count(), *wanted, func.sum(one.effects), func.min(one.at), func.max(one.at))
        .group_by(one.route, one.epoch)
        .order_by(one.route, func.max(one.at).desc())
    )
    with engine.connect() as connection:
        return [Counts(*row) for row in connection.execute(query)]


def history(engine: Engine, route: str, epoch: str, gate: Gate) -> History:
    """The comparisons in the order in which they were written, which is the order they are judged in."""
    one = tables.comparisons.c
    is_slow = one.candidate_seconds > gate.slower * one.control_seconds + gate.slower_floor_seconds
    digits = (  # of an index into SEEN, as `product` counts
        (_index(one.verdict, Verdict), len(Verdict)),
        (_one_if(one.control_failed), 2),
        (_one_if(one.candidate_failed), 2),
        (_one_if(is_slow), 2),
        (_index(one.second, Second), len(Second)),
    )
    index: Any = literal(0)
    for digit, base in digits:
        index = index * base + digit
    ours = (one.route == route, one.epoch == epoch)
    backwards = select(index).where(*ours).order_by(one.id.desc()).limit(SEQUENCE)
    at = select(one.at).where(*ours).order_by(one.id.desc()).limit(1)
    with engine.connect().execution_options(yield_per=ROWS) as connection:
        order = bytes(connection.scalars(backwards))[::-1]
        if not order:
            return History()
        first_at, last_at = (connection.execute(at.offset(number)).scalar_one() for number in (len(order) - 1, 0))
    return History(order, first_at, last_at)


def groups(engine: Engine, route: str, epoch: str) -> list[Group]:
    """The most frequent first."""
    one = tables.groups.c
    query = select(tables.groups).where(one.route == route, one.epoch == epoch).order_by(one["count"].desc(), one.group)
    with engine.connect() as connection:
        return [
            Group(route, epoch, key, tuple((place, Kind(kind)) for place, kind in places), *rest)
            for _, _, key, places, *rest in connection.execute(query)
        ]


def exemplars(engine: Engine, groups: Sequence[Group]) -> list[Comparison]:
    """A few comparisons of each of these groups, which are of one route and epoch, with their differences."""
    if not groups:
        return []
    one, group = tables.comparisons.c, groups[0]
    query = (
        select(tables.comparisons)
        .where(one.route == group.route, one.epoch == group.epoch, one.differences.is_not(None))
        .where(one.group.in_([each.group for each in groups]))
        .order_by(one.id)
    )
    with engine.connect() as connection:
        return list(_comparisons(connection, query))


def latest(engine: Engine, route: str, limit: int = 100, epoch: str = "") -> list[Comparison]:
    """The latest comparisons of a route, in one epoch if that is said, the latest first; most without their
    differences."""
    one = tables.comparisons.c
    query = select(tables.comparisons).where(one.route == route).order_by(one.id.desc()).limit(limit)
    if epoch:
        query = query.where(one.epoch == epoch)
    with engine.connect() as connection:
        return list(_comparisons(connection, query))


def counted(engine: Engine, since: float = 0.0) -> dict[str, dict[str, int]]:
    """What `Store.count` counted, by route and name, since a time (whole hours)."""
    one = tables.counts.c
    query = (
        select(one.route, one.name, func.sum(one["count"]))
        .where(one.hour >= int(since / HOUR_SECONDS))
        .group_by(one.route, one.name)
        .order_by(one.route, one.name)
    )
    found: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for route, name, number in connection.execute(
            query.group_by(one.route, one.name).order_by(one.route, one.name)
        ):
            found.setdefault(route, {})[name] = int(number)
    return found


def moves(engine: Engine, route: str | None = None, limit: int = 100) -> list[Move]:
    """The journal, the latest move first."""
    one = tables.moves.c
    query = select(*(one[field.name] for field in fields(Move))).order_by(one.id.desc()).limit(limit)
    with engine.connect() as connection:
        return [Move(*row) for row in connection.execute(query if route is None else query.where(one.route == route))]


def _comparisons(connection: Connection, query: Any) -> Iterator[Comparison]:
    for row in connection.execute(query).mappings():
        stored = {name: row[name] for name in _STORED} | {
            "verdict": Verdict(row["verdict"]),
            "second": Second(row["second"]),
        }
        differences = tuple(Difference(**each | {"kind": Kind(each["kind"])}) for each in row["differences"] or ())
        yield Comparison(**stored, differences=differences)


def _number(condition: Any) -> Any:
    return func.coalesce(func.sum(_one_if(condition)), 0)


def _one_if(condition: Any) -> Any:
    return case((condition, 1), else_=0)


def _index(column: Any, words: type[StrEnum]) -> Any:
    return case({word.value: number for number, word in enumerate(words)}, value=column)
