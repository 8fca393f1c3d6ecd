"""Opens the evidence database: SQLite that many processes share, or PostgreSQL; makes its tables, checks their version.

Everything here blocks: it is for the store's own thread, for the threads of the tape, and for commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ..errors import EvidenceError
from . import tables

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction."""
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
SAMPLE = 1000
"""So many rows say how long the rows of a table are."""
_LOCK = 7_265_311  # any number: of the advisory lock under which PostgreSQL makes the tables


def open_engine(url: str, *, writes: bool, connections: int = 1) -> Engine:
    """An engine; it connects when it is first used. Raises EvidenceError if the URL cannot be used.

    `connections` are kept, and there are no more; with 0 each use has its own and none is kept.
    """
    parsed = _parsed(url)
    pool: dict[str, Any] = {"pool_size": connections, "max_overflow": 0} if connections else {"poolclass": NullPool}
    if parsed.get_backend_name() == "postgresql":
        options = f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={int(BUSY_SECONDS)}s"
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "options": options,
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,
        }
        try:
            return create_engine(parsed, connect_args=arguments, pool_pre_ping=True, **pool)
        except ModuleNotFoundError as missing:
            raise EvidenceError(f'PostgreSQL needs {missing.name}: pip install "psycopg[binary]"') from None
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, **pool)
    event.listen(engine, "connect", _connected)
    # SQLite takes the lock for writing at the beginning, or two that read first could each wait for the other.
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def file_of(url: str) -> Path | None:
    """The file of a SQLite database."""
    parsed = _parsed(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def unusable(url: str) -> str:
    """Why this database can never be opened, in a sentence with its cure; empty if it may. It is not asked."""
    try:
        file = file_of(url)
        open_engine(url, writes=False, connections=0)
    except EvidenceError as error:
        return str(error)
    if file is None:
        return ""
    if file.is_dir():
        return f'"{file}" is a folder: name a file in it'
    existing = next(folder for folder in file.absolute().parents if folder.exists())
    return "" if existing.is_dir() else f'"{existing}" is no folder, so "{file}" cannot be made: name another place'


def prepare(engine: Engine) -> None:
    """Make the tables if there are none. Raises EvidenceError if they are another version's."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if not inspect(connection).has_table(tables.schema.name):
            tables.metadata.create_all(connection)
            connection.execute(insert(tables.schema).values(version=tables.VERSION))
        check_version(connection)


def open_for_reading(url: str) -> Engine:
    """For a report. Raises EvidenceError, in words for whoever asked, if there is nothing that could be read."""
    file = file_of(url)
    if file is not None and not file.exists():
        raise EvidenceError(f"There is no evidence yet: {file} does not exist. It is made by the first shadow copy.")
    engine = open_engine(url, writes=False, connections=0)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(tables.schema.name):
                raise EvidenceError(f"There is no evidence yet: {shown(engine)} has no such tables.")
            check_version(connection)
    except SQLAlchemyError as error:
        raise EvidenceError(f"The evidence database {shown(engine)} cannot be read: {cause_of(error)}") from None
    return engine


def check_version(connection: Connection) -> None:
    found = connection.execute(select(tables.schema.c.version)).scalars().all()
    if found == [tables.VERSION]:
        return
    others = ", ".join(map(str, found)) or "none"
    raise EvidenceError(
        f"The evidence database {shown(connection.engine)} has tables of version {others}, "
        f"this router's are of version {tables.VERSION}: name another database in [evidence] url, "
        "or run the router that made it."
    )


def shown(engine: Engine) -> str:
    """The address without its password."""
    return engine.url.render_as_string(hide_password=True)


def cause_of(error: SQLAlchemyError) -> str:
    """The database's own words in one line; never the statement's parameters."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())[:300]


def size_of(connection: Connection) -> int:
    """Bytes that the tables take; on PostgreSQL, which gives no space back to measure by, as the rows are long."""
    if connection.dialect.name == "postgresql":
        return sum(_size_of_rows(connection, name) for name in tables.metadata.tables)
    pages, free, size = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _size_of_rows(connection: Connection, name: str) -> int:
    some = f"(SELECT * FROM {name} LIMIT {SAMPLE})"  # noqa: S608  (our own names)
    query = f"SELECT (SELECT count(*) FROM {name}) * coalesce(avg(pg_column_size(one.*)), 0) FROM {some} one"  # noqa: S608
    return int(connection.exec_driver_sql(query).scalar_one())


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise EvidenceError(
            '[evidence] url must look like "sqlite:///var/evidence.db" or "postgresql://user@host/name"'
        ) from None
    match parsed.drivername:
        case "sqlite" if parsed.database in (None, "", ":memory:"):
            raise EvidenceError(
                '[evidence] url: several processes share it, so name a file: "sqlite:///var/evidence.db"'
            )
        case "sqlite" | "postgresql+psycopg":
            return parsed
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
    raise EvidenceError(f'[evidence] url: "{parsed.drivername}" is neither "sqlite" nor "postgresql"')


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # or sqlite3 begins transactions itself, too late
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()
