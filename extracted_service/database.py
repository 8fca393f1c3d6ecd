"""The monolith's database: one engine that the database itself keeps from writing, and one that inserts.

What is to be read or written there is a function of a SQLAlchemy connection: all of a visit, which has the connection
to itself, is short, and waits for nothing else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, UpdateBase, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .errors import NotReady
from .settings import Settings
from .shadow import Writes

Result = TypeVar("Result")
Visit = Callable[[Connection], Result]


class Connections(Protocol):
    """One engine. Whoever cannot have a connection in time gets a TimeoutError, the builtin or SQLAlchemy's."""

    dialect: str

    async def lent(self, visit: Visit[Result]) -> Result:
        """The visit's result; it had one of the connections for as long as it took."""

    async def close(self) -> None: ...


class InThreads:
    """SQLite. The whole visit is one trip to a thread: the trip costs more than what a statement does there."""

    dialect = "sqlite"

    def __init__(
        self,
        engine: Engine,
        connections: int,
        longest_wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(connections, "database")
        self._longest_wait_seconds = longest_wait_seconds
        self._clock = clock

    async def lent(self, visit: Visit[Result]) -> Result:
        latest_start = self._clock() + self._longest_wait_seconds

        def whole_visit() -> Result:
            if self._clock() > latest_start:
                raise TimeoutError("No connection to the database became free in time.")
            with self._engine.connect() as connection:
                return visit(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, whole_visit)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()


class InTheLoop:
    """PostgreSQL: while a statement is answered the event loop does something else."""

    dialect = "postgresql"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def lent(self, visit: Visit[Result]) -> Result:
        async with self._engine.connect() as connection:
            return await connection.run_sync(visit)

    async def close(self) -> None:
        await self._engine.dispose()


@dataclass(frozen=True)
class Database:
    """Borrow a connection for a short visit and give it back before anything slow happens.

    With `shadow_writes` nothing is kept: each transaction is rolled back, and counted by table.
    """

    reader: Connections
    writer: Connections
    shadow_writes: Writes | None = None

    @property
    def dialect(self) -> str:
        return self.reader.dialect

    def shadow(self, writes: Writes) -> "Database":
        """The same database, in which nothing is kept and `writes` tells what would have been."""
        return replace(self, shadow_writes=writes)

    async def read(self, visit: Visit[Result]) -> Result:
        return await self.reader.lent(visit)

    async def write(self, visit: Visit[Result]) -> Result:
        """In one transaction, which ends with the visit."""
        if self.shadow_writes is None:
            return await self.writer.lent(lambda connection: _kept(connection, visit))
        written = Writes()
        result = await self.writer.lent(lambda connection: _rolled_back(connection, visit, written))
        self.shadow_writes.update(written)
        return result

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

    async def check(self) -> None:
        try:
            await self.read(lambda connection: connection.execute(text("SELECT 1 FROM tickets_ticket LIMIT 1")).all())
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error) or type(error).__name__
            raise NotReady(f"The database cannot be read: {reason.splitlines()[0]}.") from error


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Both engines for the life of the process; no connection is made before the first visit."""
    database = Database(_connections(settings, read_only=True), _connections(settings, read_only=False))
    try:
        yield database
    finally:
        await database.reader.close()
        await database.writer.close()


def _kept(connection: Connection, visit: Visit[Result]) -> Result:
    with connection.begin():
        return visit(connection)


def _rolled_back(connection: Connection, visit: Visit[Result], written: Writes) -> Result:
    with connection.begin() as transaction:
        event.listen(connection, "after_execute", _counting(written))
        result = visit(connection)
        transaction.rollback()
    return result


def _counting(written: Writes) -> Any:
    def after_execute(_connection: Any, statement: Any, *_: Any) -> None:
        if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
            written[statement.table.name] += 1

    return after_execute


# Reading needs no transaction around it, and no rollback after it: each is a trip to the database.
_READ_ONLY: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}


def _connections(settings: Settings, *, read_only: bool) -> Connections:
    url = make_url(settings.database_url)
    limits: dict[str, Any] = {"max_overflow": 0, "pool_timeout": settings.database_busy_seconds}
    if url.get_backend_name() == "sqlite":
        # SQLite has one writer at a time: connections that wait for each other there would only sleep and retry.
        size = settings.database_connections if read_only else 1
        options = {"connect_args": {"timeout": settings.database_busy_seconds}, **(_READ_ONLY if read_only else {})}
        engine = create_engine(_sqlite(url, read_only), pool_size=size, **limits, **options)
        event.listen(engine, "connect", _as_django_connects)
        return InThreads(engine, size, settings.database_busy_seconds)
    options = {"connect_args": _postgresql_arguments(settings, read_only), **(_READ_ONLY if read_only else {})}
    size = settings.database_connections
    return InTheLoop(create_async_engine(_postgresql(url), pool_size=size, pool_pre_ping=True, **limits, **options))


def _sqlite(url: URL, read_only: bool) -> URL:
    """A file that is missing stays missing: only Django creates it."""
    return URL.create(
        "sqlite",
        database=f"file:{quote(url.database or '')}",
        query={"mode": "ro" if read_only else "rw", "uri": "true"},
    )


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
