"""`manage.py check_schema_contract FILE`: can the service that published this contract work with our tables?"""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from legacy_app import schema_contract


class Command(BaseCommand):
    help = "Compare the tables of this database with a service's schema contract."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="what `python -m extracted_service.schema` printed")

    def handle(self, *, file, **options):
        tables = read(file)
        found = schema_contract.problems(tables)
        if found:
            raise CommandError("\n".join(found))
        self.stdout.write(f"All {len(tables)} tables are as {file} expects them.")


def read(file: Path) -> dict:
    try:
        return schema_contract.read(file)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        raise CommandError(f"{file} is no schema contract: write what the service's own command prints.") from None
