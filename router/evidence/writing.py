"""What is written into the evidence database, one function each; the store's thread calls them in a transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from . import tables
from .clusters import template
from .observations import Comparison, Difference

EXEMPLARS = 5
"""So many comparisons of each group keep their differences; then the 10th, 20th, … 100th, 200th, …, for whoever turns
values on later, or wants to see one that is fresh."""
DIFFERENCES = 50
"""So many of one comparison are kept."""
GROUPS = 1000
"""So many of one route and epoch are told apart: where places are made of ids, there is no end to them."""
OTHER = "other"
"""The group of all the others; it has no places."""
HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Move:
    """A route went forward or back: who did it, why, and what it rested on."""

    at: float
    route: str
    who: str
    before: str
    """As in `explain`: "shadow 25 %"."""
    after: str
    reason: str = ""
    forced: bool = False
    evidence: Mapping[str, Any] | None = None
    """Whatever the report said, as JSON."""


def write_comparison(connection: Connection, comparison: Comparison) -> None:
    """With its group of differences counted, and the differences themselves if it is among the first of them."""
    row = asdict(comparison)
    del row["differences"]
    row["group"], row["differences"] = "", None
    if comparison.differences:
        row["group"], places = group_of(comparison.differences)
        if _are_too_many(connection, comparison, row["group"]):
            row["group"], places = OTHER, []
        if _is_exemplar(_count_group(connection, comparison, row["group"], places)):
            row["differences"] = [asdict(each) for each in comparison.differences[:DIFFERENCES]]
    connection.execute(insert(tables.comparisons), row)


def group_of(differences: tuple[Difference, ...]) -> tuple[str, list[tuple[str, str]]]:
    """The same for differences of one kind in one place, whichever item of a list and event of a stream it is."""
    places = sorted({(template(each.place), each.kind.value) for each in differences})[:DIFFERENCES]
    return hashlib.sha256(json.dumps(places).encode()).hexdigest()[:16], places


def write_counts(connection: Connection, counted: Mapping[tuple[int, str, str], int]) -> None:
    """Add what was counted, by hour since 1970, route and name."""
    for (hour, route, name), number in sorted(counted.items()):  # in one order, or two processes could wait in a ring
        values = {"hour": hour, "route": route, "name": name, "count": number}
        adding = _insert(connection, tables.counts).values(values)
        both = tables.counts.c["count"] + adding.excluded["count"]
        connection.execute(adding.on_conflict_do_update(index_elements=["hour", "route", "name"], set_={"count": both}))


def write_move(connection: Connection, move: Move) -> None:
    row = asdict(move)
    row["evidence"] = dict(move.evidence or {})
    connection.execute(insert(tables.moves), row)


def _are_too_many(connection: Connection, comparison: Comparison, group: str) -> bool:
    one = tables.groups.c
    here = (one.route == comparison.route, one.epoch == comparison.epoch)
    if connection.execute(select(one.group).where(*here, one.group == group)).first():
        return False
    return connection.execute(select(func.count()).where(*here)).scalar_one() >= GROUPS


def _count_group(connection: Connection, comparison: Comparison, group: str, places: list[tuple[str, str]]) -> int:
    """How many of the group there are now."""
    table, at = tables.groups, comparison.at
    row = {"route": comparison.route, "epoch": comparison.epoch, "group": group, "places": places}
    adding = _insert(connection, table).values(row | {"count": 1, "first_at": at, "last_at": at})
    return int(
        connection.execute(
            adding.on_conflict_do_update(
                index_elements=["route", "epoch", "group"],
                set_={"count": table.c["count"] + 1, "last_at": adding.excluded.last_at},
            ).returning(table.c["count"])
        ).scalar_one()
    )


def _is_exemplar(count: int) -> bool:
    return count <= EXEMPLARS or (count >= 10 and count % 10 ** (len(str(count)) - 1) == 0)


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """One that may meet a row that is there already; both databases have the same words for it."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
