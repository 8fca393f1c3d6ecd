"""The schema contract: which of our tables and columns another service uses, compared with the tables as they are.

The service publishes the contract as JSON (`python -m extracted_service.schema`); a copy lies beside our tests.
A migration that breaks the service fails here, before anything is deployed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

# PostgreSQL's own words for what SQLAlchemy writes shorter.
POSTGRESQL_NAMES = {"varchar": "character varying", "char": "character", "decimal": "numeric"}


@dataclass(frozen=True)
class Column:
    """A column as the database has it; `filled` by the database itself if an insert leaves it out."""

    type: str
    nullable: bool
    filled: bool = False


Columns = Mapping[str, Column]


def read(file: Path) -> dict:
    """The tables of the contract."""
    return json.loads(file.read_text("utf-8"))["tables"]


def problems(tables: dict) -> list[str]:
    """A sentence for each thing that the service would stumble over in this database."""
    return [problem for name, wanted in tables.items() for problem in _of_table(name, wanted, columns(name))]


def columns(table: str) -> Columns:
    with connection.cursor() as cursor:
        cursor.execute(CATALOG[connection.vendor], [table])
        return {name: Column(kind.lower(), bool(nullable), bool(filled)) for name, kind, nullable, filled in cursor}


CATALOG = {
    "postgresql": """
        SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, atthasdef OR attidentity <> ''
        FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
    """,
    "sqlite": 'SELECT name, type, NOT "notnull", dflt_value IS NOT NULL OR pk FROM pragma_table_info(%s)',
}


def _of_table(table: str, wanted: dict, there: Columns) -> Iterator[str]:
    if not there:
        yield f"{table} is missing: dropped, or renamed."
        return
    for name, column in wanted["columns"].items():
        if name not in there:
            yield f"{table}.{name} is missing: dropped, or renamed."
        else:
            yield from _of_column(f"{table}.{name}", column, there[name])
    if wanted["inserts"]:
        for name, column in there.items():
            if name not in wanted["columns"] and not column.nullable and not column.filled:
                yield (
                    f"{table}.{name} needs a value, and the service inserts without it: "
                    "let it be null, or give it a db_default."
                )


def _of_column(place: str, wanted: dict, there: Column) -> Iterator[str]:
    type_wanted = wanted[connection.vendor]
    if _comparable(type_wanted) != _comparable(there.type):
        yield f"{place} is {there.type}; the service expects {type_wanted}."
    if there.nullable and not wanted["nullable"]:
        yield f"{place} may be null; the service expects that it never is."
    if not there.nullable and wanted["nullable"]:
        yield f"{place} may not be null; the service expects that it may."


def _comparable(written: str) -> tuple[str, str]:
    """Name and length of a type. SQLite knows five kinds of columns, whatever it lets one write."""
    name, length = re.fullmatch(r"(.*?)(?:\((.*)\))?", written).groups()
    if connection.vendor == "sqlite":
        return affinity(name), length or ""
    return POSTGRESQL_NAMES.get(name, name), length or ""


def affinity(declared: str) -> str:
    """https://www.sqlite.org/datatype3.html, section 3.1: the first word that is found decides."""
    words = {"int": "integer", "char": "text", "clob": "text", "text": "text", "blob": "blob"}
    words |= {"real": "real", "floa": "real", "doub": "real"}
    found = (kind for word, kind in words.items() if word in declared)
    return next(found, "numeric" if declared else "blob")
