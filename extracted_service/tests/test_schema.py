"""The schema contract: what is published is what tables.py says, and it is what Django's migrations make."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extracted_service import schema

from .conftest import MANAGE

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "contract_tests" / "contract" / "extracted_service.schema.json"

NEEDS_A_VALUE = (
    "assistant_call.kind needs a value, and the service inserts without it: let it be null, or give it a db_default."
)


def compared(contract: Path, database_url: str) -> subprocess.CompletedProcess[str]:
    """What the monolith, who owns the tables, says about this contract."""
    command = [sys.executable, str(MANAGE), "check_schema_contract", str(contract), "--skip-checks"]
    environment = os.environ | {"DATABASE_URL": database_url, "DEBUG": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def written(contract: dict[str, Any], folder: Path) -> Path:
    file = folder / "contract.json"
    file.write_text(json.dumps(contract))
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database that the monolith has migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('migrated_database')}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.mark.skipif(not COMMITTED.parent.exists(), reason="The contract's committed copy is not here.")
def test_the_committed_contract_is_the_one_that_the_tables_make() -> None:
    assert COMMITTED.read_text() == schema.as_text(), (
        f"Run: python -m extracted_service.schema > {COMMITTED.relative_to(ROOT)}, "
        "and have the monolith's people look at the difference."
    )


def test_the_command_prints_the_contract() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "extracted_service.schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert printed.stdout == schema.as_text()


def test_a_column_is_told_in_the_words_of_each_database() -> None:
    columns = schema.manifest()["tables"]["tickets_ticket"]["columns"]

    assert columns["subject"] == {"postgresql": "varchar(200)", "sqlite": "varchar(200)", "nullable": False}
    assert columns["created_at"]["postgresql"] == "timestamp with time zone"
    assert columns["created_at"]["sqlite"] == "datetime"


def test_the_contract_says_where_this_service_inserts() -> None:
    tables = schema.manifest()["tables"]

    assert tables["assistant_summary"]["inserts"]
    assert tables["assistant_call"]["inserts"]
    assert not tables["tickets_ticket"]["inserts"]


def test_the_tables_are_as_djangos_migrations_make_them(database_url: str, tmp_path: Path) -> None:
    answer = compared(written(schema.manifest(), tmp_path), database_url)

    assert (answer.stderr, answer.returncode) == ("", 0)


def test_a_mapping_that_is_wrong_is_one_sentence_for_each_mistake(database_url: str, tmp_path: Path) -> None:
    contract = schema.manifest()
    ticket = contract["tables"]["tickets_ticket"]["columns"]
    ticket["title"] = ticket.pop("subject")
    ticket["status"] |= {"postgresql": "varchar(20)", "sqlite": "varchar(20)"}
    contract["tables"]["tickets_comment"]["columns"]["author_id"]["nullable"] = False
    del contract["tables"]["assistant_call"]["columns"]["kind"]

    answer = compared(written(contract, tmp_path), database_url)

    varchar = "varchar" if database_url.startswith("sqlite") else "character varying"
    assert answer.returncode == 1
    assert sorted(answer.stderr.removeprefix("CommandError: ").splitlines()) == [
        NEEDS_A_VALUE,
        "tickets_comment.author_id may be null; the service expects that it never is.",
        f"tickets_ticket.status is {varchar}(10); the service expects varchar(20).",
        "tickets_ticket.title is missing: dropped, or renamed.",
    ]
