"""The same promises on PostgreSQL, where SQLite hides mistakes with types, time zones and transactions."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from extracted_service import tables
from extracted_service.database import Database, open_database
from extracted_service.errors import NotFound, NotReady
from extracted_service.settings import Settings
from extracted_service.tickets import LARGEST_ID, ticket_of

from .fake_provider import completion
from .postgresql import execute
from .running import Running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(postgresql_url: str, jwks_file: Path) -> AsyncIterator[Database]:
    async with open_database(Settings(database_url=postgresql_url, identity_jwks_file=jwks_file)) as opened:
        yield opened


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.reader.begin() as connection:
            await connection.execute(text("UPDATE tickets_ticket SET subject = 'changed'"))


async def test_a_datetime_is_the_same_moment_wherever_it_was_said(database: Database) -> None:
    at = datetime(2026, 1, 5, 15, 0, 12, 123456, timezone(timedelta(hours=5, minutes=30)))
    row = {"ticket_id": 7, "created_by_id": 3, "text": "Short.", "model": "small", "created_at": at}
    counts = {"prompt_tokens": 1, "completion_tokens": 1}

    async with database.writer.begin() as connection:
        statement = insert(tables.summary).values({**row, **counts}).returning(tables.summary.c.id)
        stored = (await connection.execute(statement)).scalar_one()

    async with database.reader.connect() as connection:
        query = select(tables.summary.c.created_at).where(tables.summary.c.id == stored)
        read = (await connection.execute(query)).scalar_one()
    assert read == at
    assert read.isoformat() == "2026-01-05T09:30:12.123456+00:00"


async def test_a_ticket_is_read_with_its_whole_conversation(database: Database) -> None:
    conversation = (await ticket_of(database, 7, 1)).conversation

    assert conversation.opened_at.isoformat() == "2026-01-03T09:30:12.123456+00:00"
    assert [turn.kind for turn in conversation.turns] == ["customer", "agent", "customer", "note"]


@pytest.mark.parametrize("ticket_id", [8, 2**31, LARGEST_ID, LARGEST_ID + 1])
async def test_a_ticket_that_is_not_there_is_not_found(database: Database, ticket_id: int) -> None:
    with pytest.raises(NotFound):
        await ticket_of(database, ticket_id, 1)


async def test_a_database_that_is_away_is_not_ready(jwks_file: Path) -> None:
    settings = Settings(database_url="postgresql://me:sesame@127.0.0.1:9/name", identity_jwks_file=jwks_file)

    async with open_database(settings) as database:
        with pytest.raises(NotReady, match="The database cannot be read") as refused:
            await database.check()

    assert "sesame" not in refused.value.detail


def test_a_summary_and_its_audit_row_are_stored(postgresql_url: str, start: Callable[..., Running]) -> None:
    service = start(database_url=postgresql_url)
    service.provider.will(completion("Stored on PostgreSQL."))

    answer = service.post("/api/tickets/7/summary")

    assert answer.status_code == 200
    stored = execute(postgresql_url, "SELECT * FROM assistant_summary ORDER BY id DESC LIMIT 1")
    audited = execute(postgresql_url, "SELECT * FROM assistant_call ORDER BY id DESC LIMIT 1")
    assert (stored[0]["id"], stored[0]["text"]) == (answer.json()["id"], "Stored on PostgreSQL.")
    assert (audited[0]["kind"], audited[0]["outcome"], audited[0]["organisation_id"]) == ("summary", "ok", 1)
