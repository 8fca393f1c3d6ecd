"""The monolith's database, made by the monolith itself, and a service that runs over it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from extracted_service.app import create_app
from extracted_service.settings import Settings

from .articles import ARTICLES
from .fake_provider import fake_provider
from .identities import SigningKey
from .postgresql import execute, running_postgresql
from .running import Running, eventually, serving

# How fast a busy machine is says nothing about the service.
settings.register_profile("extracted_service", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("extracted_service")

MANAGE = Path(__file__).parents[2] / "legacy_app" / "manage.py"

ROWS = """
INSERT INTO accounts_organisation (id, name, slug, created_at) VALUES
    (1, 'Lumen & Söhne', 'lumen', '2026-01-01 08:00:00'), (2, 'Parcelo', 'parcelo', '2026-01-01 08:00:00');
INSERT INTO accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
                           is_active, date_joined, organisation_id) VALUES
    (3, '', FALSE, 'maya', 'Maya', 'Ortiz', '', FALSE, TRUE, '2026-01-01 08:00:00', 1),
    (4, '', FALSE, 'otto', '', '', '', FALSE, TRUE, '2026-01-01 08:00:00', 2);
INSERT INTO tickets_customer (id, name, email, created_at, organisation_id) VALUES
    (1, 'Ada <Ames>', 'ada@example.com', '2026-01-02 08:00:00', 1),
    (2, 'Bo', 'bo@example.com', '2026-01-02 08:00:00', 2);
INSERT INTO tickets_ticket (id, subject, body, status, priority, category, created_at, updated_at,
                            assignee_id, customer_id, organisation_id) VALUES
    (7, 'Lamp "Aura" flickers', 'It''s <dim> & warm.', 'open', 'normal', '', '2026-01-03 09:30:12.123456',
     '2026-01-03 09:30:12.123456', 3, 1, 1),
    (8, 'Parcel lost', 'Where is it?', 'open', 'normal', '', '2026-01-03 09:30:12', '2026-01-03 09:30:12',
     NULL, 2, 2);
INSERT INTO tickets_comment (id, body, internal, created_at, author_id, ticket_id) VALUES
    (1, 'Which bulb is it?', FALSE, '2026-01-03 10:00:00', 3, 7),
    (2, 'The 40 W one.', FALSE, '2026-01-03 11:00:00.500000', NULL, 7),
    (3, 'Known batch fault.', TRUE, '2026-01-03 12:00:00', 3, 7);
"""
ROWS += ARTICLES


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schema as Django's migrations make it, with a few rows."""
    if not MANAGE.exists():
        pytest.skip("The monolith, who owns the schema, is not here.")
    file = tmp_path_factory.mktemp("database") / "helpdesk.sqlite3"
    migrate(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(ROWS)
    return file


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The same in a PostgreSQL of our own."""
    if not MANAGE.exists():
        pytest.skip("The monolith, who owns the schema, is not here.")
    with running_postgresql() as url:
        migrate(url)
        execute(url, ROWS)
        yield url


def migrate(database_url: str) -> None:
    environment = os.environ | {"DATABASE_URL": database_url, "DEBUG": "1"}
    command = [sys.executable, str(MANAGE), "migrate", "--skip-checks", "--verbosity", "0"]
    subprocess.run(command, env=environment, check=True, timeout=60)


@pytest.fixture
def database_file(migrated_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated_database, tmp_path / "helpdesk.sqlite3"))


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey("first")


@pytest.fixture
def jwks_file(key: SigningKey, tmp_path: Path) -> Path:
    return _jwks_file(key, tmp_path)


@pytest.fixture
def start(key: SigningKey, jwks_file: Path, database_file: Path) -> Iterator[Callable[..., Running]]:
    """Start a service of this test's own; settings that matter to it are arguments."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(_running(key, jwks_file, database_file, **changes))


@pytest.fixture(scope="session")
def shared_service(
    key: SigningKey, migrated_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shared")
    database = Path(shutil.copy(migrated_database, folder / "helpdesk.sqlite3"))
    with _running(key, _jwks_file(key, folder), database) as running:
        yield running


@pytest.fixture
def service(shared_service: Running) -> Running:
    """A service with the usual settings; nothing is left of what an earlier test did with it."""
    eventually(shared_service.is_idle)  # what a caller left behind writes its audit row yet
    shared_service.provider.forget()
    shared_service.monolith.forget()
    for table in ("assistant_summary", "assistant_call", "assistant_job", "sqlite_sequence"):
        shared_service.change(f"DELETE FROM {table}")  # noqa: S608
    return shared_service


@contextmanager
def _running(key: SigningKey, jwks_file: Path, database: Path, **changes: Any) -> Iterator[Running]:
    with fake_provider() as provider, fake_provider() as monolith:
        settings = Settings(
            **{
                "database_url": f"sqlite:///{database}",
                "identity_jwks_file": jwks_file,
                "llm_base_url": provider.url,
                "legacy_url": monolith.url.removesuffix("/v1"),
                "llm_timeout_seconds": 20,
                "llm_attempts": 1,  # a script is played once; retries have tests of their own
                **changes,
            }
        )
        with serving(create_app(settings)) as (url, answers_nobody):
            yield Running(url, provider, key, str(settings.database_url), monolith, answers_nobody)


def _jwks_file(key: SigningKey, folder: Path) -> Path:
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": [key.public_jwk()]}))
    return file
