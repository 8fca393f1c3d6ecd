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


class Reload:
    """Follows a file. `problem` says why its latest content is not what is served; empty if it is."""

    def __init__(self, file: Path, take_over: Callable[[Config, bool], None]) -> None:
        """`take_over` gets every new, correct content, and whether to read all that it names anew as well."""
        self.problem = ""
        self._file = file
        self._take_over = take_over
        self._seen = _mark(file)
        self._is_asked = False

    def ask(self) -> None:
        """Take the file over at the next look though it seems unchanged, and the certificates it names with it."""
        self._is_asked = True

    def say(self, error: ConfigError) -> None:
        """The file cannot be used, and something older is served."""
        self.problem = str(error)
        _log.error("The routes stay as they were: %s", error)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            mark, anew = _mark(self._file), self._is_asked
            if mark == self._seen and not anew:
                continue
            self._seen, self._is_asked = mark, False
            try:
                config = await asyncio.to_thread(load, self._file)
                self._take_over(config, anew)
            except ConfigError as error:
                self.say(error)
            else:
                self.problem = ""
                _log.info("Took over %s, table %s", self._file, config.digest)


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
