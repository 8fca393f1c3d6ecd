"""The tables of the evidence database, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 3
"""Of these tables: a change raises it, and a router of another version says so instead of guessing."""

metadata = MetaData()

schema = Table("evidence_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

_Id = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER counts up by itself there

comparisons = Table(
    "evidence_comparisons",
    metadata,
    Column("id", _Id, primary_key=True),  # in the order of writing: the verdict's sequence
    Column("exchange_id", String(32), nullable=False),
    Column("route", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("control", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("control_failed", Boolean, nullable=False),
    Column("candidate_failed", Boolean, nullable=False),
    Column("control_seconds", Float(53), nullable=False),
    Column("candidate_seconds", Float(53), nullable=False),
    Column("control_first_seconds", Float(53)),
    Column("candidate_first_seconds", Float(53)),
    Column("control_gap_seconds", Float(53)),
    Column("candidate_gap_seconds", Float(53)),
    Column("effects", Integer, nullable=False),
    Column("second", String(8), nullable=False),  # control's own second answer, of live calls
    Column("group", String(16), nullable=False),  # of its differences; empty without any
    Column("differences", JSON(none_as_null=True)),  # of the first few of each group only
    Index("evidence_comparisons_route", "route", "epoch", "id"),
    Index("evidence_comparisons_at", "at"),
)
Index(
    "evidence_comparisons_exemplars",
    comparisons.c.route,
    comparisons.c.epoch,
    comparisons.c.id,
    sqlite_where=comparisons.c.differences.is_not(None),
    postgresql_where=comparisons.c.differences.is_not(None),
)

groups = Table(
    "evidence_groups",
    metadata,
    Column("route", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("group", String(16), primary_key=True),
    Column("places", JSON, nullable=False),  # [[place, kind], …]
    Column("count", Integer, nullable=False),
    Column("first_at", Float(53), nullable=False),
    Column("last_at", Float(53), nullable=False),
)

counts = Table(
    "evidence_counts",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),  # hours since 1970
    Column("route", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

moves = Table(
    "evidence_moves",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("route", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("before", Text, nullable=False),  # "shadow", "split 10 %"
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("evidence", JSON, nullable=False),  # what it rested on
)

calls = Table(
    "tape_calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("exchange_id", String(32), nullable=False),
    Column("role", String(8), nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("key", String(64), nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("began", Float(53), nullable=False),
    Column("state", String(12), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("first_seconds", Float(53), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("taken", Boolean, nullable=False),  # of a primary's call: a shadow's call has got it
    Index("tape_calls_exchange", "exchange_id", "role"),
    Index("tape_calls_began", "began"),
)

parts = Table(
    "tape_parts",
    metadata,
    Column("call_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("pieces", JSON, nullable=False),  # [[seconds since the call, bytes], …]
    Column("body", LargeBinary, nullable=False),
)

spending = Table(
    "tape_spending",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("money", Float(53), nullable=False),
    Index("tape_spending_at", "at"),
)
