"""python -m extracted_service.schema: what this service needs of the monolith's schema, as JSON.

The output is the schema contract. The monolith's own tests compare its tables with it, so a migration that would break
this service fails there, before it is deployed. Types are in the words of each database; a length stands in brackets.
"""

import json
import sys
from typing import Any

from sqlalchemy import Column, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from . import tables

PURPOSE = "What extracted_service needs of the monolith's tables. Made by: python -m extracted_service.schema"
DIALECTS: dict[str, Dialect] = {"postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}  # type: ignore[no-untyped-call]


def manifest() -> dict[str, Any]:
    """Every mapped table, whether this service inserts into it, and the mapped columns, in the order of tables.py."""
    return {"purpose": PURPOSE, "tables": {name: _table(table) for name, table in tables.metadata.tables.items()}}


def as_text() -> str:
    return json.dumps(manifest(), indent=2) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "inserts": table.info.get("inserts", False),
        "columns": {column.name: _column(column) for column in table.columns},
    }


def _column(column: Column[Any]) -> dict[str, Any]:
    types = {name: column.type.compile(dialect).lower() for name, dialect in DIALECTS.items()}
    return {**types, "nullable": column.nullable}


if __name__ == "__main__":
    sys.stdout.write(as_text())
