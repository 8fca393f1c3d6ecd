"""`manage.py grant_service_role NAME FILE`: a PostgreSQL role that may do what a service's schema contract says.

It reads the columns of the contract and no others (no password hashes, no sessions), inserts where the contract says
so, and may neither change nor delete anything. Run it after each migration: what the contract no longer names is taken
away again.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from legacy_app import schema_contract
from legacy_app.accounts.management.commands.check_schema_contract import read

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Command(BaseCommand):
    help = "Make a PostgreSQL role for a service that works with some of our tables, or bring its rights up to date."

    def add_arguments(self, parser):
        parser.add_argument("name", help="the role; made if there is none")
        parser.add_argument("file", type=Path, help="what `python -m extracted_service.schema` printed")

    def handle(self, *, name, file, **options):
        tables = read(file)
        check_name(name)
        if found := schema_contract.problems(tables):
            raise CommandError("\n".join(found))
        with transaction.atomic(), connection.cursor() as cursor:
            made = make(cursor, name)
            for statement in statements(name, tables):
                cursor.execute(statement)
        self.stdout.write(f"{name} reads {len(tables)} tables and inserts into {len(inserted(tables))} of them.")
        if made:
            self.stdout.write(f"It has no password yet. In psql: \\password {name}")


def check_name(name: str) -> None:
    if connection.vendor != "postgresql":
        raise CommandError("Only PostgreSQL has roles. On SQLite the service opens the file for reading.")
    if not NAME.fullmatch(name):
        raise CommandError(f"{name!r} is no name for a role: write small letters, digits and _, a letter first.")


def make(cursor, name: str) -> bool:
    """Whether the role had to be made. One that can do more than a service should is refused."""
    cursor.execute(
        "SELECT rolsuper OR rolcreaterole OR rolbypassrls OR rolname = current_user"
        " OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)"
        " OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid)"
        " FROM pg_roles WHERE rolname = %s",
        [name],
    )
    known = cursor.fetchone()
    if known is None:
        cursor.execute(f"CREATE ROLE {name} LOGIN")
    elif known[0]:
        raise CommandError(f"{name} has more rights than grants can take away: choose another name.")
    return known is None


def statements(name: str, tables: dict) -> Iterator[str]:
    """Everything of ours is taken away first, so that nothing outlives its contract; a service's own tables are not."""
    ours = connection.introspection.django_table_names(only_existing=True)
    yield f"REVOKE ALL ON {quoted(sorted({*ours, 'django_migrations'}))} FROM {name}"
    yield f"GRANT USAGE ON SCHEMA public TO {name}"
    for table, wanted in tables.items():
        yield f"GRANT SELECT ({quoted(wanted['columns'])}) ON {quoted([table])} TO {name}"
    for table in inserted(tables):
        # The key comes from an identity column, whose sequence needs no grant of its own.
        given = [column for column in tables[table]["columns"] if column != "id"]
        yield f"GRANT INSERT ({quoted(given)}) ON {quoted([table])} TO {name}"


def inserted(tables: dict) -> list[str]:
    return [table for table, wanted in tables.items() if wanted["inserts"]]


def quoted(names) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in names)
