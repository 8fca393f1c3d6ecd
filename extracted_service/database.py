"""The monolith's database: one engine that the database itself keeps from writing, and one that inserts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from sqlalchemy import Table, UpdateBase, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .errors import NotReady
from .settings import Settings
from .shadow import Writes


@dataclass(frozen=True)
class Writer:
    """Inserts. With `shadow_writes` nothing is kept: each transaction is rolled back, and counted by table."""

    engine: AsyncEngine
    shadow_writes: Writes | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, which ends with the block."""
        if self.shadow_writes is None:
            async with self.engine.begin() as connection:
                yield connection
            return
        written = Writes()
        async with self.engine.connect() as connection, connection.begin() as transaction:
            event.listen(connection.sync_connection, "after_execute", _counting(written))
            yield connection
            await transaction.rollback()
        self.shadow_writes.update(written)

    @contextmanager
    def promised(self, table: Table) -> Iterator[None]:
        """Counts a write that comes at the end of the block, whatever happens in it.

        A stream's headers are gone before its audit row is written; the report in them knows of it all the same.
        """
        promise = Writes({table.name: 1})
        if self.shadow_writes is not None:
            self.shadow_writes.update(promise)
        try:
            yield
        finally:
            if self.shadow_writes is not None:
                self.shadow_writes.subtract(promise)


@dataclass(frozen=True)
class Database:
    """Borrow a connection for a short visit and give it back before anything slow happens."""

    reader: AsyncEngine
    writer: Writer

    def shadow(self, writes: Writes) -> "Database":
        """The same database, in which nothing is kept and `writes` tells what would have been."""
        return replace(self, writer=Writer(self.writer.engine, writes))

    async def check(self) -> None:
        try:
            async with self.reader.connect() as connection:
                await connection.execute(text("SELECT 1 FROM tickets_ticket LIMIT 1"))
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error) or type(error).__name__
            raise NotReady(f"The database cannot be read: {reason.splitlines()[0]}.") from error


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Both engines for the life of the process; no connection is made before the first query."""
    database = Database(_engine(settings, read_only=True), Writer(_engine(settings, read_only=False)))
    try:
        yield database
    finally:
        await database.reader.dispose()
        await database.writer.engine.dispose()


def _counting(written: Writes) -> Any:
    def after_execute(_connection: Any, statement: Any, *_: Any) -> None:
        if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
            written[statement.table.name] += 1

    return after_execute


def _engine(settings: Settings, *, read_only: bool) -> AsyncEngine:
    url = make_url(settings.database_url)
    sqlite = url.get_backend_name() == "sqlite"
    url = _sqlite(url, read_only) if sqlite else _postgresql(url)
    engine = create_async_engine(
        url,
        connect_args=_sqlite_arguments(settings) if sqlite else _postgresql_arguments(settings, read_only),
        # SQLite has one writer at a time: connections that wait for each other there would only sleep and retry.
        pool_size=1 if sqlite and not read_only else settings.database_connections,
        max_overflow=0,
        pool_timeout=settings.database_busy_seconds,
        pool_pre_ping=not sqlite,
        # Reading needs no transaction around it, and no rollback after it: each is a trip to the database.
        **({"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if read_only else {}),
    )
    if sqlite:
        event.listen(engine.sync_engine, "connect", _as_django_connects)
    return engine


def _sqlite(url: URL, read_only: bool) -> URL:
    """A file that is missing stays missing: only Django creates it."""
    return URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(url.database or '')}",
        query={"mode": "ro" if read_only else "rw", "uri": "true"},
    )


def _sqlite_arguments(settings: Settings) -> dict[str, Any]:
    return {"timeout": settings.database_busy_seconds}


def _postgresql(url: URL) -> URL:
    """asyncpg calls libpq's `sslmode` `ssl`."""
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def _postgresql_arguments(settings: Settings, read_only: bool) -> dict[str, Any]:
    server_settings = {"application_name": "extracted_service"}
    if read_only:
        server_settings["default_transaction_read_only"] = "on"
    return {"timeout": settings.database_busy_seconds, "server_settings": server_settings}


def _as_django_connects(connection: Any, _record: object) -> None:
    """What the monolith asks of SQLite on each new connection: foreign keys, and no wait for the disk under WAL."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
