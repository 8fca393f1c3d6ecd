"""The same promises on PostgreSQL, where SQLite hides mistakes with types, time zones and transactions.

The service is there with the role that the monolith grants it, so that it can do no more than its contract says.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from extracted_service import schema, tables
from extracted_service.database import Database, open_database
from extracted_service.errors import NotFound, NotReady
from extracted_service.settings import Settings
from extracted_service.tickets import LARGEST_ID, ticket_of

from .conftest import MANAGE
from .fake_provider import completion
from .postgresql import execute
from .running import Running

# The same tests, over this module's `service` and `start`.
from .test_happy_path import test_a_reply_is_streamed_in_the_monoliths_bytes as test_a_reply_is_streamed
from .test_happy_path import test_a_summary_is_answered_in_the_monoliths_bytes as test_a_summary_is_answered
from .test_happy_path import test_the_audit_row_stands_before_the_caller_reads_done as test_the_audit_row_stands_in_time
from .test_index import test_a_vector_without_direction_is_like_nothing as test_a_vector_without_direction
from .test_index import test_an_article_is_found_once_by_its_nearest_passage as test_an_article_is_found_once
from .test_index import test_the_index_agrees_with_plain_arithmetic_on_two_hundred_passages as test_the_index_is_exact
from .test_knowledge import test_a_rebuild_can_be_looked_at_by_its_organisation_alone as test_a_rebuild_is_looked_at
from .test_knowledge import test_a_rebuild_is_queued_as_the_monolith_queues_it as test_a_rebuild_is_queued
from .test_knowledge import test_an_answer_is_an_embedding_a_search_and_a_completion as test_an_answer_is_three_steps
from .test_knowledge import test_the_nearest_articles_are_told_in_the_monoliths_bytes as test_the_nearest_are_told
from .test_shadow import test_a_copy_queues_no_job as test_a_copy_queues_no_job
from .test_shadow import test_a_streams_header_tells_of_the_audit_row_that_is_still_to_come as test_a_copied_stream
from .test_shadow import test_a_summary_has_an_id_and_is_not_kept as test_a_copied_summary
from .test_streams import test_a_summary_whose_caller_left_is_not_stored as test_a_summary_of_a_leaver_is_not_stored
from .test_streams import test_no_connection_is_held_while_the_provider_speaks as test_no_connection_is_held
from .test_streams import test_the_provider_is_left_when_the_caller_leaves_between_chunks as test_a_leaver_is_audited

__all__ = [
    "test_a_copied_stream",
    "test_a_copied_summary",
    "test_a_copy_queues_no_job",
    "test_a_leaver_is_audited",
    "test_a_rebuild_is_looked_at",
    "test_a_rebuild_is_queued",
    "test_a_reply_is_streamed",
    "test_a_summary_is_answered",
    "test_a_summary_of_a_leaver_is_not_stored",
    "test_a_vector_without_direction",
    "test_an_answer_is_three_steps",
    "test_an_article_is_found_once",
    "test_no_connection_is_held",
    "test_the_audit_row_stands_in_time",
    "test_the_index_is_exact",
    "test_the_nearest_are_told",
]

pytestmark = pytest.mark.anyio

ROLE = "assistant_service"


@pytest.fixture(scope="module")
def role_url(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database for whoever has only the service's rights."""
    contract = tmp_path_factory.mktemp("contract") / "schema.json"
    contract.write_text(schema.as_text())
    command = [sys.executable, str(MANAGE), "grant_service_role", ROLE, str(contract), "--skip-checks"]
    environment = os.environ | {"DATABASE_URL": postgresql_url, "DEBUG": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return postgresql_url.replace("//postgres:", f"//{ROLE}:", 1)


@pytest.fixture
def start(start: Callable[..., Running], role_url: str, postgresql_url: str) -> Callable[..., Running]:
    """As ever, with empty tables; what the tests look at themselves, they see as the owner."""
    execute(postgresql_url, "TRUNCATE assistant_summary, assistant_call, assistant_job RESTART IDENTITY")
    return lambda **changes: replace(start(database_url=role_url, **changes), database_url=postgresql_url)


@pytest.fixture
def service(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture
def add_rows(postgresql_url: str) -> Callable[[str], object]:
    return lambda statements: execute(postgresql_url, statements)


@pytest.fixture
async def database(role_url: str, jwks_file: Path) -> AsyncIterator[Database]:
    async with open_database(Settings(database_url=role_url, identity_jwks_file=jwks_file)) as opened:
        yield opened


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        await database.read(
            lambda connection: connection.execute(text("UPDATE tickets_ticket SET subject = 'changed'"))
        )


async def test_a_datetime_is_the_same_moment_wherever_it_was_said(database: Database) -> None:
    at = datetime(2026, 1, 5, 15, 0, 12, 123456, timezone(timedelta(hours=5, minutes=30)))
    row = {"ticket_id": 7, "created_by_id": 3, "text": "Short.", "model": "small", "created_at": at}
    counts = {"prompt_tokens": 1, "completion_tokens": 1}

    statement = insert(tables.summary).values({**row, **counts}).returning(tables.summary.c.id)
    stored = await database.write(lambda connection: connection.execute(statement).scalar_one())

    query = select(tables.summary.c.created_at).where(tables.summary.c.id == stored)
    read = await database.read(lambda connection: connection.execute(query).scalar_one())
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


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tickets_ticket SET subject = 'changed'",
        "DELETE FROM assistant_call",
        "INSERT INTO tickets_comment (body, internal, created_at, ticket_id) VALUES ('', false, now(), 7)",
        "SELECT password FROM accounts_user",
        "SELECT session_data FROM django_session",
        "CREATE TABLE mine (id integer)",
    ],
)
async def test_the_writer_may_do_no_more_than_insert_what_is_its_own(database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await database.write(lambda connection: connection.execute(text(statement)))


def test_a_summary_and_its_audit_row_are_stored(service: Running) -> None:
    service.provider.will(completion("Stored on PostgreSQL."))

    answer = service.post("/api/tickets/7/summary")

    assert answer.status_code == 200
    assert service.rows("SELECT id, text FROM assistant_summary") == [(answer.json()["id"], "Stored on PostgreSQL.")]
    assert service.rows("SELECT kind, outcome, organisation_id FROM assistant_call") == [("summary", "ok", 1)]
