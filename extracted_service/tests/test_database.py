"""The monolith's database: read-only where it is only read, and in Django's own format where it is written."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from extracted_service import tables
from extracted_service.database import Database, InThreads, open_database
from extracted_service.errors import NotFound, NotReady
from extracted_service.settings import Settings
from extracted_service.tickets import ticket_of, user_name

from .running import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

AT = datetime(2026, 1, 5, 9, 30, 12, 123456, UTC)


@pytest.fixture
async def database(database_file: Path, jwks_file: Path) -> AsyncIterator[Database]:
    settings = Settings(database_url=f"sqlite:///{database_file}", identity_jwks_file=jwks_file)
    async with open_database(settings) as opened:
        yield opened


async def stored(database: Database, at: datetime) -> int:
    row = {
        "ticket_id": 7,
        "created_by_id": 3,
        "text": "Short.",
        "model": "small",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "created_at": at,
    }
    statement = insert(tables.summary).values(row).returning(tables.summary.c.id)
    return await database.write(lambda connection: int(connection.execute(statement).scalar_one()))


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly database"):
        await database.read(
            lambda connection: connection.execute(text("UPDATE tickets_ticket SET subject = 'changed'"))
        )


async def test_a_missing_database_is_not_created(tmp_path: Path, jwks_file: Path) -> None:
    file = tmp_path / "missing.sqlite3"

    async with open_database(Settings(database_url=f"sqlite:///{file}", identity_jwks_file=jwks_file)) as database:
        with pytest.raises(NotReady, match="unable to open database file"):
            await database.check()
        with pytest.raises(OperationalError):
            await stored(database, AT)

    assert not file.exists()


async def test_a_database_without_tables_is_not_ready(tmp_path: Path, jwks_file: Path) -> None:
    file = tmp_path / "odd name#%?.sqlite3"
    file.touch()

    settings = Settings(database_url=f"sqlite:///{str(file).replace('?', '%3F')}", identity_jwks_file=jwks_file)

    async with open_database(settings) as database:
        with pytest.raises(NotReady, match="no such table: tickets_ticket"):
            await database.check()


async def test_a_relative_path_starts_at_the_current_directory(
    database_file: Path, jwks_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(database_file.parent)

    async with open_database(
        Settings(database_url=f"sqlite:///{database_file.name}", identity_jwks_file=jwks_file)
    ) as database:
        await database.check()


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (AT, "2026-01-05 09:30:12.123456"),
        (AT.replace(microsecond=0), "2026-01-05 09:30:12"),
        (AT.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-01-05 09:30:12.123456"),
    ],
)
async def test_a_datetime_is_written_as_django_writes_it(database: Database, at: datetime, written: str) -> None:
    row = await stored(database, at)

    raw = await database.read(lambda connection: connection.scalar(text("SELECT created_at FROM assistant_summary")))
    kept = select(tables.summary).where(tables.summary.c.id == row)
    read = await database.read(lambda connection: connection.execute(kept).one())
    assert raw == written
    assert read.created_at == at
    assert read.created_at.tzinfo is UTC


async def test_the_writer_keeps_foreign_keys(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await database.write(
            lambda connection: connection.execute(
                text(
                    "INSERT INTO tickets_comment (body, internal, created_at, ticket_id)"
                    " VALUES ('', 0, '2026-01-05 09:30:12', 999)"
                )
            )
        )


async def test_a_visit_that_cannot_begin_in_time_is_given_up_and_the_loop_never_waits() -> None:
    now, has_begun, may_end = [0.0], threading.Event(), threading.Event()

    def long_visit(_connection: Connection) -> bool:
        has_begun.set()
        return may_end.wait(DEADLINE_SECONDS)

    connections = InThreads(create_engine("sqlite://", poolclass=NullPool), 1, 20, lambda: now[0])
    long = asyncio.create_task(connections.lent(long_visit))
    late = asyncio.create_task(connections.lent(lambda _connection: True))
    assert await asyncio.to_thread(has_begun.wait, DEADLINE_SECONDS)

    now[0] = 21.0
    may_end.set()

    assert await long
    with pytest.raises(TimeoutError, match="No connection to the database became free"):
        await late
    assert await connections.lent(lambda _connection: True)
    await connections.close()


async def test_what_fails_within_a_write_leaves_nothing_behind(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute(text("INSERT INTO accounts_organisation VALUES (9, 'Nine', 'nine', '2026-01-05')"))
        raise KeyError("half-way")

    with pytest.raises(KeyError):
        await database.write(half)

    names = text("SELECT count(*) FROM accounts_organisation WHERE id = 9")
    assert await database.read(lambda connection: connection.scalar(names)) == 0


async def test_a_ticket_is_read_with_its_whole_conversation(database: Database) -> None:
    found = (await ticket_of(database, 7, 1)).conversation

    assert (found.organisation, found.customer, found.status) == ("Lumen & Söhne", "Ada <Ames>", "open")
    assert found.opened_at == datetime(2026, 1, 3, 9, 30, 12, 123456, UTC)
    assert [(turn.kind, turn.name, turn.body) for turn in found.turns] == [
        ("customer", "Ada <Ames>", "It's <dim> & warm."),
        ("agent", "Maya Ortiz", "Which bulb is it?"),
        ("customer", "Ada <Ames>", "The 40 W one."),
        ("note", "Maya Ortiz", "Known batch fault."),
    ]


@pytest.mark.parametrize(("ticket_id", "organisation_id"), [(8, 1), (7, 2), (999, 1), (10**30, 1)])
async def test_another_organisations_ticket_is_not_found(
    database: Database, ticket_id: int, organisation_id: int
) -> None:
    with pytest.raises(NotFound):
        await ticket_of(database, ticket_id, organisation_id)


async def test_a_user_without_a_name_is_called_by_the_user_name(database: Database) -> None:
    assert await user_name(database, 3) == "Maya Ortiz"
    assert await user_name(database, 4) == "otto"
