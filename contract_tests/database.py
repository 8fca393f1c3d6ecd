"""The stack's database as its owner sees it: for rows that no endpoint shows, and to prepare what none can."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

LOCK_SECONDS = 20


def rows(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a query finds, or nothing for another statement, which is committed. Each `?` stands for a value."""
    if url.startswith("postgresql"):
        return _of_postgresql(url, query.replace("?", "%s"), values)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=LOCK_SECONDS)) as database, database:
        return database.execute(query, [_as_django_writes(value) for value in values]).fetchall()


def _of_postgresql(url: str, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    import psycopg  # only who has a PostgreSQL needs it

    with psycopg.connect(url) as database, database.cursor() as cursor:
        cursor.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []


def _as_django_writes(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value
