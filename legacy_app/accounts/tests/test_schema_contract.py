"""The extracted service works with our tables: a migration that would break it fails here, before it is deployed."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from legacy_app import schema_contract

FILE = Path(__file__).parents[3] / "contract_tests" / "contract" / "extracted_service.schema.json"

pytestmark = pytest.mark.django_db

# What happened; a change of CREATE TABLE for SQLite, a statement for PostgreSQL; what is said about it.
DRIFTS = {
    "dropped table": (
        ("tickets_comment", None, None),
        "DROP TABLE tickets_comment",
        "tickets_comment is missing: dropped, or renamed.",
    ),
    "dropped column": (
        ("tickets_ticket", '"subject" varchar(200) NOT NULL, ', ""),
        "ALTER TABLE tickets_ticket DROP COLUMN subject",
        "tickets_ticket.subject is missing: dropped, or renamed.",
    ),
    "renamed column": (
        ("tickets_ticket", '"subject"', '"title"'),
        "ALTER TABLE tickets_ticket RENAME COLUMN subject TO title",
        "tickets_ticket.subject is missing: dropped, or renamed.",
    ),
    "another type": (
        ("tickets_comment", '"body" text', '"body" blob'),
        "ALTER TABLE tickets_comment ALTER COLUMN body TYPE bytea USING body::bytea",
        "tickets_comment.body is {blob}; the service expects text.",
    ),
    "shorter": (
        ("accounts_organisation", "varchar(120)", "varchar(60)"),
        "ALTER TABLE accounts_organisation ALTER COLUMN name TYPE varchar(60)",
        "accounts_organisation.name is {varchar}(60); the service expects varchar(120).",
    ),
    "may be null now": (
        ("tickets_ticket", '"customer_id" bigint NOT NULL', '"customer_id" bigint NULL'),
        "ALTER TABLE tickets_ticket ALTER COLUMN customer_id DROP NOT NULL",
        "tickets_ticket.customer_id may be null; the service expects that it never is.",
    ),
    "may not be null now": (
        ("tickets_comment", '"author_id" bigint NULL', '"author_id" bigint NOT NULL'),
        "ALTER TABLE tickets_comment ALTER COLUMN author_id SET NOT NULL",
        "tickets_comment.author_id may not be null; the service expects that it may.",
    ),
    "a new column that an insert must fill": (
        ("assistant_call", '"kind"', '"cost" integer NOT NULL, "kind"'),
        "ALTER TABLE assistant_call ADD COLUMN cost integer NOT NULL",
        "assistant_call.cost needs a value, and the service inserts without it: let it be null, or give it a db_default.",  # noqa: E501
    ),
    "no time zone": (
        None,  # SQLite knows none
        "ALTER TABLE tickets_ticket ALTER COLUMN created_at TYPE timestamp",
        "tickets_ticket.created_at is timestamp without time zone; the service expects timestamp with time zone.",
    ),
}

HARMLESS = {
    "a new column with a default": (
        ("assistant_call", '"kind"', '"cost" integer DEFAULT 0 NOT NULL, "kind"'),
        "ALTER TABLE assistant_call ADD COLUMN cost integer DEFAULT 0 NOT NULL",
    ),
    "a new column that may be null": (
        ("assistant_call", '"kind"', '"cost" integer NULL, "kind"'),
        "ALTER TABLE assistant_call ADD COLUMN cost integer NULL",
    ),
    "a new column where the service only reads": (
        ("tickets_ticket", '"subject"', '"channel" text NOT NULL, "subject"'),
        "ALTER TABLE tickets_ticket ADD COLUMN channel text NOT NULL",
    ),
    "a column that nobody else uses is dropped": (
        ("accounts_user", ', "email" varchar(254) NOT NULL', ""),
        "ALTER TABLE accounts_user DROP COLUMN email",
    ),
}


def drift(on_sqlite, on_postgresql):
    """Change the empty test database; the test's transaction takes it back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(on_postgresql)
            return
        table, before, after = on_sqlite
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [table])
        [(declared,)] = cursor.fetchall()
        cursor.execute(f"DROP TABLE {table}")
        if before is not None:
            assert before in declared
            cursor.execute(declared.replace(before, after, 1))


def problems():
    return schema_contract.problems(schema_contract.read(FILE))


def test_the_tables_are_as_the_service_expects_them():
    assert problems() == []


@pytest.mark.parametrize(("on_sqlite", "on_postgresql", "sentence"), DRIFTS.values(), ids=DRIFTS)
def test_a_change_that_would_break_the_service_is_one_sentence(on_sqlite, on_postgresql, sentence):
    if on_sqlite is None and connection.vendor == "sqlite":
        pytest.skip("SQLite does not know the difference.")
    drift(on_sqlite, on_postgresql)

    found = problems()

    words = {"sqlite": ("blob", "varchar"), "postgresql": ("bytea", "character varying")}[connection.vendor]
    assert found == [sentence.format(blob=words[0], varchar=words[1])]


@pytest.mark.parametrize(("on_sqlite", "on_postgresql"), HARMLESS.values(), ids=HARMLESS)
def test_a_change_that_the_service_does_not_notice_is_no_problem(on_sqlite, on_postgresql):
    drift(on_sqlite, on_postgresql)

    assert problems() == []


def test_the_command_says_that_all_is_well():
    said = StringIO()

    call_command("check_schema_contract", FILE, stdout=said)

    assert said.getvalue() == f"All {len(schema_contract.read(FILE))} tables are as {FILE} expects them.\n"


def test_the_command_fails_with_every_problem():
    drift(*DRIFTS["dropped column"][:2])
    drift(*DRIFTS["dropped table"][:2])

    with pytest.raises(CommandError) as failure:
        call_command("check_schema_contract", FILE)

    assert str(failure.value).split("\n") == [DRIFTS["dropped column"][2], DRIFTS["dropped table"][2]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory."),
        ("{", "is no schema contract: write what the service's own command prints."),
        (json.dumps([]), "is no schema contract: write what the service's own command prints."),
    ],
)
def test_a_file_that_is_no_contract_is_one_sentence(content, sentence, tmp_path):
    file = tmp_path / "contract.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(CommandError) as failure:
        call_command("check_schema_contract", file)

    assert str(failure.value) == f"{file} {sentence}"
