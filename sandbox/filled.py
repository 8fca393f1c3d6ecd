"""A database that is filled once for many stacks: each of them begins with a copy."""

import asyncio
import fcntl
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

LOOK_AGAIN_SECONDS = 0.05
FILES = ("helpdesk.sqlite3", "postgres")
"""What a data folder may hold of a database."""


async def copy_filled(kept: Path, kind: str, data: Path, fill: Callable[[Path], Awaitable[None]]) -> None:
    """The database of this kind into a data folder that has none; whoever comes first fills it, others wait for it."""
    made, draft = kept / kind, kept / f"{kind}.draft"
    async with _in_turn(kept):
        if not made.exists():
            shutil.rmtree(draft, ignore_errors=True)  # of a stack that was killed meanwhile
            draft.mkdir()
            await fill(draft)
            draft.rename(made)
    for name in FILES:
        if (made / name).exists():
            # Unlike shutil, with the owner: PostgreSQL refuses a folder of somebody else.
            copying = await asyncio.create_subprocess_exec("cp", "-Rp", str(made / name), str(data / name))
            if await copying.wait() != 0:
                raise OSError(f"{made / name} could not be copied to {data}")


@asynccontextmanager
async def _in_turn(kept: Path) -> AsyncIterator[None]:
    with (kept / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        yield
