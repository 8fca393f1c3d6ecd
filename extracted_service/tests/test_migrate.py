"""The service's own tables: made once, by whoever comes first, and used with no more rights than needed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from websockets.exceptions import InvalidStatus

from extracted_service import conversations, schema
from extracted_service.database import Database, open_database
from extracted_service.migrate import STEPS, is_up_to_date, migrate
from extracted_service.settings import Settings

from .conftest import MANAGE
from .fake_provider import DONE, END, STOP, STREAM_HEAD, token
from .postgresql import execute
from .running import Running
from .test_sockets import connected
from .test_sockets import test_a_cancelled_answer_ends_at_the_provider_too_and_is_kept_as_far_as_it_came as test_cancel
from .test_sockets import test_a_new_connection_continues_the_conversation as test_history
from .test_sockets import test_no_database_connection_is_held_while_answers_stream as test_no_connection_is_held
from .test_sockets import test_text_that_no_database_stores_is_passed_on_and_kept_as_far_as_possible as test_odd_text

__all__ = ["test_cancel", "test_history", "test_no_connection_is_held", "test_odd_text"]

ROOT = Path(__file__).parents[2]
ROLE = "talking_service"
OWN = ("service_message", "service_conversation", "service_migration")

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that the monolith has migrated, without this service's tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('database_file')}"
        return
    url: str = request.getfixturevalue("postgresql_url")
    execute(url, f"DROP TABLE IF EXISTS {', '.join(OWN)}")
    yield url
    execute(url, f"DROP TABLE IF EXISTS {', '.join(OWN)}")


@pytest.fixture(scope="module")
def role_url(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database for a role with the contract's rights."""
    granted(postgresql_url, tmp_path_factory.mktemp("contract"))
    return postgresql_url.replace("//postgres:", f"//{ROLE}:", 1)


@pytest.fixture
def start(start: Callable[..., Running], role_url: str, postgresql_url: str) -> Callable[..., Running]:
    """For the tests from elsewhere: PostgreSQL, with the role. What they look at themselves, they see as the owner."""
    execute(postgresql_url, "TRUNCATE assistant_call RESTART IDENTITY")
    execute(postgresql_url, f"DROP TABLE IF EXISTS {', '.join(OWN)}")
    assert migrated(postgresql_url, "--role", ROLE).returncode == 0
    return lambda **changes: replace(start(database_url=role_url, **changes), database_url=postgresql_url)


@pytest.fixture
def service(start: Callable[..., Running]) -> Running:
    return start()


def granted(database_url: str, folder: Path) -> None:
    contract = folder / "schema.json"
    contract.write_text(schema.as_text())
    command = [sys.executable, str(MANAGE), "grant_service_role", ROLE, str(contract), "--skip-checks"]
    environment = os.environ | {"DATABASE_URL": database_url, "DEBUG": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def migrated(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "extracted_service.migrate", *arguments]
    environment = os.environ | {"DATABASE_URL": database_url}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def opened(database_url: str) -> Any:
    return open_database(Settings(database_url=database_url, identity_jwks_file=Path()))


async def columns_of(database: Database, table: str) -> set[str]:
    found = await database.read(lambda connection: inspect(connection).get_columns(table))
    return {column["name"] for column in found}


async def test_the_tables_are_those_that_conversations_need(database_url: str) -> None:
    async with opened(database_url) as database:
        assert not await is_up_to_date(database)

        assert await migrate(database) == len(STEPS)

        assert await is_up_to_date(database)
        for table in (conversations.conversation_table, conversations.message_table):
            assert await columns_of(database, table.name) == {column.name for column in table.columns}


async def test_several_that_start_at_once_make_them_once(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other, opened(database_url) as third:
        taken = await asyncio.gather(*(migrate(database) for database in (one, other, third)))

    assert sorted(taken) == [0, 0, len(STEPS)]


async def test_a_step_that_fails_leaves_nothing_behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(database_url) as database:
        with monkeypatch.context() as broken:
            broken.setattr("extracted_service.migrate.STEPS", (*STEPS, ("CREATE TABLE service_other (id int)", "oops")))
            with pytest.raises(DBAPIError):
                await migrate(database)

        assert not await is_up_to_date(database)
        assert await migrate(database) == len(STEPS)


def test_the_command_says_what_it_did(database_url: str) -> None:
    assert migrated(database_url).stdout == f"{len(STEPS)} steps taken.\n"
    assert migrated(database_url).stdout == "Up to date.\n"


@pytest.mark.parametrize(("role", "database"), [("mine", "sqlite"), ("x; DROP TABLE a", "postgresql")])
def test_a_role_that_cannot_be_is_refused(database_file: Path, role: str, database: str) -> None:
    url = f"sqlite:///{database_file}" if database == "sqlite" else "postgresql://me@127.0.0.1:9/name"

    refused = migrated(url, "--role", role)

    assert refused.returncode == 1
    assert "only PostgreSQL has roles, named in small letters, digits and _." in refused.stderr


def test_a_database_that_cannot_be_opened_is_said_with_what_to_look_at() -> None:
    refused = migrated("sqlite:////nowhere/helpdesk.sqlite3")

    assert refused.returncode == 1
    assert refused.stderr.endswith("unable to open database file. Look at DATABASE_URL.\n")


def test_a_service_that_may_make_no_tables_says_what_to_do(service: Running, postgresql_url: str) -> None:
    execute(postgresql_url, f"DROP TABLE {', '.join(OWN)}")
    with pytest.raises(InvalidStatus) as refused, connected(service):
        pass

    assert refused.value.response.status_code == 503
    assert b"run python -m extracted_service.migrate as the database's owner" in refused.value.response.body


async def test_the_role_reads_and_inserts_and_keeps_that_when_the_monolith_grants_anew(
    service: Running, role_url: str, postgresql_url: str, tmp_path: Path
) -> None:
    granted(postgresql_url, tmp_path)
    service.provider.will(STREAM_HEAD + token("Hi") + STOP + DONE + END)

    with connected(service) as client:
        client.ask("Hello?")
        assert client.rest()[-1]["type"] == "done"

    async with opened(role_url) as database:
        for statement in map(text, ("DELETE FROM service_message", "UPDATE service_message SET user_id = 4")):
            with pytest.raises(DBAPIError, match="permission denied"):
                await database.write(methodcaller("execute", statement))
