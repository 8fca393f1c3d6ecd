"""Takes a changed routes.toml over within a second; a wrong one changes nothing and is said in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from .config import Config
from .errors import ConfigError
from .reading import load

LOOK_SECONDS = 0.25
"""How often the file is looked at. A `stat` costs microseconds and works on every file system."""

_log = logging.getLogger(__name__)


async def watch(file: Path, take_over: Callable[[Config], None]) -> None:
    """Call `take_over` with every new, correct content of the file, until cancelled."""
    seen = _mark(file)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        mark = _mark(file)
        if mark == seen:
            continue
        seen = mark
        try:
            take_over(await asyncio.to_thread(load, file))
        except ConfigError as error:
            _log.error("The routes stay as they were: %s", error)
        else:
            _log.info("Took over %s", file)


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
