"""A provider call leaves its audit row however it ends, and however often whoever waited for it leaves."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ..calls import Call, audited
from ..database import Database
from ..identity import Caller

pytestmark = pytest.mark.anyio


class SlowDatabase:
    """Takes a row when it is let."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.is_asked, self.may_go_on = asyncio.Event(), asyncio.Event()

    @contextmanager
    def promised(self, _table: object) -> Iterator[None]:
        yield

    async def write(self, visit: Callable[[Any], None]) -> None:
        self.is_asked.set()
        await self.may_go_on.wait()
        visit(self)

    def execute(self, _statement: object, row: dict[str, Any]) -> None:
        self.rows.append(row)


async def test_a_call_that_is_cancelled_while_its_row_is_written_leaves_the_row() -> None:
    """A client of a conversation leaves: sending fails first, and then the answer is stopped."""
    database = SlowDatabase()
    caller = cast(Caller, SimpleNamespace(organisation=1, user_id=2))

    async def call() -> None:
        async with audited(cast(Database, database), Call("chat", caller, None, "m")):
            raise asyncio.CancelledError

    task = asyncio.create_task(call())
    await database.is_asked.wait()
    task.cancel()
    await asyncio.sleep(0)
    database.may_go_on.set()
    await asyncio.wait({task}, timeout=30)

    assert task.cancelled()
    assert [row["outcome"] for row in database.rows] == ["aborted"]
