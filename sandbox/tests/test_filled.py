"""A database is filled by the stack that needs it first; every other one begins with a copy."""

import asyncio
from pathlib import Path

import pytest

from sandbox.filled import copy_filled

pytestmark = pytest.mark.anyio


class Filling:
    """Writes a database, and knows how often; until it is told, it does not come to an end."""

    def __init__(self) -> None:
        self.times = 0
        self.may_end = asyncio.Event()

    async def __call__(self, data: Path) -> None:
        self.times += 1
        await self.may_end.wait()
        (data / "helpdesk.sqlite3").write_text("rows")
        (data / "logs").mkdir()


async def test_stacks_that_start_together_have_a_copy_each_and_one_has_filled_it(tmp_path: Path) -> None:
    kept, fill = tmp_path / "kept", Filling()
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in (kept, *folders):
        folder.mkdir()

    async with asyncio.TaskGroup() as group:
        for folder in folders:
            group.create_task(copy_filled(kept, "sqlite", folder, fill))
        await asyncio.sleep(0)
        fill.may_end.set()

    assert fill.times == 1
    assert [[each.name for each in folder.iterdir()] for folder in folders] == [["helpdesk.sqlite3"]] * 3


async def test_what_was_left_half_filled_is_filled_anew(tmp_path: Path) -> None:
    kept, fill, data = tmp_path / "kept", Filling(), tmp_path / "data"
    data.mkdir()
    (kept / "sqlite.draft").mkdir(parents=True)
    (kept / "sqlite.draft" / "helpdesk.sqlite3").write_text("half")
    fill.may_end.set()

    await copy_filled(kept, "sqlite", data, fill)

    assert (data / "helpdesk.sqlite3").read_text() == "rows"
