"""Asks an upstream whether it is well, on connections of its own: what waits for the pool must not hide a sick one."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import NamedTuple

from ..config import Upstream
from ..errors import UpstreamError
from ..limits import Health
from .connection import Connection, Request
from .reach import reach

_log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """What is known of an upstream's health; until it has been asked, it is taken for well."""

    is_down: bool = False
    since: float = 0.0
    """Seconds since the epoch; 0 from the beginning."""
    why: str = ""
    """Of a bad answer, the latest."""
    streak: int = 0
    """So many answers in a row spoke against `is_down`."""


def judged(before: Standing, trouble: str, settings: Health, now: float) -> Standing:
    """The standing after one more answer; `trouble` is empty if it was good, `now` is seconds since the epoch."""
    why = trouble or before.why
    if bool(trouble) == before.is_down:
        return before._replace(why=why, streak=0)
    streak = before.streak + 1
    if streak < (settings.up_after if before.is_down else settings.down_after):
        return before._replace(why=why, streak=streak)
    return Standing(not before.is_down, now, trouble)


class Checks:
    """The questions to one upstream, until `close`."""

    def __init__(self, upstream: Upstream, settings: Health, tls: ssl.SSLContext | None) -> None:
        self.standing = Standing()
        self._upstream = upstream
        self._settings = settings
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._ask_on())
        host = (upstream.host or "localhost").encode("ascii", "replace")
        opening = b"GET %b HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % (settings.path.encode(), host)
        self._request = Request(opening, is_head=False, is_replayable=False)

    def close(self) -> None:
        self._task.cancel()

    async def _ask_on(self) -> None:
        while True:
            before = self.standing
            self.standing = judged(before, await self._trouble(), self._settings, time.time())
            if self.standing.is_down != before.is_down:
                if self.standing.is_down:
                    _log.error("%s counts as down: %s", self._upstream.url, self.standing.why)
                else:
                    _log.warning("%s is up again", self._upstream.url)
            await asyncio.sleep(self._settings.every_seconds)

    async def _trouble(self) -> str:
        """Why it is not well; empty if it is."""
        connection = Connection(self._loop)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await reach(self._upstream, self._tls, lambda: connection)
                connection.start(self._request, self._settings.timeout_seconds, self._settings.timeout_seconds)
                await connection.answered()
        except TimeoutError:
            return f"no answer to {self._settings.path} within {self._settings.timeout_seconds:g} s"
        except (OSError, UnicodeError, UpstreamError) as error:
            return str(error)
        finally:
            connection.close()
        return "" if 200 <= connection.status <= 399 else f"{self._settings.path} answers {connection.status}"
