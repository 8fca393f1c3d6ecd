"""The service's role on PostgreSQL may do what its contract says, and nothing else."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from legacy_app.accounts.tests.test_schema_contract import FILE

ROLE = "a_service"

pytestmark = pytest.mark.django_db
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Only PostgreSQL has roles.")

ALLOWED = [
    "SELECT id, username, first_name, last_name FROM accounts_user",
    "SELECT subject, body, status FROM tickets_ticket",
    "SELECT 1 FROM tickets_ticket LIMIT 1",
]
DENIED = [
    "SELECT * FROM accounts_user",
    "SELECT password FROM accounts_user",
    "SELECT email FROM accounts_user",
    "SELECT session_data FROM django_session",
    "SELECT * FROM auth_permission",
    "SELECT * FROM django_migrations",
    "INSERT INTO tickets_comment (body, internal, created_at, ticket_id) VALUES ('', false, now(), 1)",
    "INSERT INTO assistant_summary (id) VALUES (1)",
    "UPDATE tickets_ticket SET subject = ''",
    "UPDATE assistant_call SET outcome = 'ok'",
    "DELETE FROM assistant_summary",
    "TRUNCATE assistant_call",
    "CREATE TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "DROP TABLE assistant_call",
    "ALTER TABLE assistant_call ADD COLUMN cost integer",
    "CREATE ROLE another",
    "SELECT setval('tickets_ticket_id_seq', 1)",
]


def grant(name=ROLE, file=FILE):
    said = StringIO()
    call_command("grant_service_role", name, file, stdout=said)
    return said.getvalue()


def tried(statement):
    """What the database says to the role."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {ROLE}")
            cursor.execute(statement)
            cursor.execute("RESET ROLE")
    except DatabaseError as refusal:
        return str(refusal)
    return "done"


@on_postgresql
@pytest.mark.parametrize("statement", ALLOWED)
def test_the_role_reads_what_the_contract_names(statement):
    grant()

    assert tried(statement) == "done"


@on_postgresql
def test_the_role_inserts_into_the_assistants_tables_and_learns_the_new_id(lumen):
    grant()

    columns = "ticket_id, created_by_id, text, model, prompt_tokens, completion_tokens, created_at"
    values = f"{lumen.ticket.pk}, {lumen.agent.pk}, 'Short.', 'small', 1, 1, now()"
    inserting = f"INSERT INTO assistant_summary ({columns}) VALUES ({values}) RETURNING id"  # noqa: S608

    assert tried(inserting) == "done"


@on_postgresql
@pytest.mark.parametrize("statement", DENIED)
def test_the_role_may_do_nothing_else(statement):
    grant()

    assert "permission denied" in tried(statement) or "must be owner" in tried(statement)


@on_postgresql
def test_what_the_contract_no_longer_names_is_taken_away(tmp_path):
    grant()
    contract = json.loads(FILE.read_text())
    del contract["tables"]["tickets_customer"]
    del contract["tables"]["accounts_user"]["columns"]["last_name"]
    contract["tables"]["assistant_summary"]["inserts"] = False
    smaller = tmp_path / "contract.json"
    smaller.write_text(json.dumps(contract))

    grant(file=smaller)

    assert tried("SELECT username FROM accounts_user") == "done"
    assert "permission denied" in tried("SELECT last_name FROM accounts_user")
    assert "permission denied" in tried("SELECT name FROM tickets_customer")
    assert "permission denied" in tried("INSERT INTO assistant_summary (text) VALUES ('')")


@on_postgresql
def test_the_services_own_tables_are_not_ours_to_take_away():
    grant()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE service_note (id integer)")
        cursor.execute(f"GRANT SELECT ON service_note TO {ROLE}")

    grant()

    assert tried("SELECT id FROM service_note") == "done"


@on_postgresql
def test_a_new_role_wants_a_password():
    assert grant().splitlines()[1:] == [f"It has no password yet. In psql: \\password {ROLE}"]
    assert grant().splitlines()[1:] == []


@on_postgresql
@pytest.mark.parametrize("made", ["CREATE ROLE mighty SUPERUSER", "CREATE ROLE mighty IN ROLE pg_read_all_data"])
def test_a_role_that_can_do_more_is_refused(made):
    with connection.cursor() as cursor:
        cursor.execute(made)

    with pytest.raises(CommandError, match="mighty has more rights than grants can take away: choose another name"):
        grant("mighty")


@on_postgresql
def test_nothing_is_granted_on_tables_that_break_the_contract():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tickets_ticket DROP COLUMN subject")

    with pytest.raises(CommandError, match=r"tickets_ticket\.subject is missing"):
        grant()


@on_postgresql
@pytest.mark.parametrize("name", ["", "Service", "a b", "x; DROP TABLE tickets_ticket", "a" * 64])
def test_a_name_that_would_need_quotes_is_refused(name):
    with pytest.raises(CommandError, match="is no name for a role"):
        grant(name)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="On PostgreSQL there are roles.")
def test_sqlite_has_no_roles():
    with pytest.raises(CommandError, match="Only PostgreSQL has roles"):
        grant()
