"""The connections to one upstream: kept while they are young, limited in number, watched for their deadlines."""

from __future__ import annotations

import asyncio
from collections import deque

from ..config import Upstream
from ..errors import AnswerCut, AnswerTimeout, Busy, ConnectFailed, ConnectTimeout
from .connection import Connection, Request
from .reach import reach, tls_context

SWEEP_SECONDS = 0.25
"""How often deadlines are looked at: one timer for all connections instead of one for each."""


class Pool:
    """`ask` sends a request and returns the connection with the answer's head; `give_back` returns the connection."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._tls = tls_context(upstream)
        self._loop = asyncio.get_running_loop()
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._opening = 0
        self._is_closing = False
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def connect(self, request: Request, *, fresh: bool = False) -> Connection:
        """A connection on which the request has been sent."""
        connection = None if fresh else self._kept()
        if connection is None:
            connection = await self._open()
        self._busy.add(connection)
        if self._sweeper is None:
            self._sweep()
        connection.start(request, self.upstream.first_byte_seconds, self.upstream.idle_seconds)
        return connection

    async def answered(self, connection: Connection, request: Request) -> Connection:
        """Wait for the answer's head, on a second connection if the first, a kept one, had died unnoticed.

        Only a safe request that was sent whole is sent again, and only if no byte of an answer came
        (RFC 9112 §9.3.1).
        """
        while True:
            try:
                await connection.answered()
                return connection
            except BaseException as error:
                self.give_back(connection)
                was_stale = connection.is_reused and not connection.has_answer_bytes
                if not (was_stale and request.is_replayable and isinstance(error, AnswerCut)):
                    raise
            connection = await self.connect(request, fresh=True)

    def give_back(self, connection: Connection) -> None:
        """The exchange is over, however it ended. Saying so twice changes nothing."""
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        if connection.rest() and not self._is_closing:
            connection.is_reused = True
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Keep nothing from now on; exchanges that are under way go on."""
        self._is_closing = True
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        too_old = self._loop.time() - self.upstream.keep_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > too_old:
                return connection
            connection.close()
        return None

    async def _open(self) -> Connection:
        upstream = self.upstream
        if len(self._busy) + self._opening >= upstream.connections:
            raise Busy(f"all {upstream.connections} connections to {upstream.url} are in use")
        self._opening += 1
        try:
            async with asyncio.timeout(upstream.connect_seconds):
                connection = await reach(upstream, self._tls, lambda: Connection(self._loop))
        except TimeoutError:
            raise ConnectTimeout(f"{upstream.url} did not accept within {upstream.connect_seconds:g} s") from None
        except (OSError, UnicodeError) as error:  # a name can be one that the name service cannot even be asked for
            raise ConnectFailed(f"{upstream.url}: {error}") from None
        finally:
            self._opening -= 1
        return connection

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [each for each in self._busy if each.deadline < now]:
            connection.fail(AnswerTimeout(f"{self.upstream.url} was silent for too long"))
        too_old = now - self.upstream.keep_seconds
        while self._idle and (self._idle[0].idle_since < too_old or not self._idle[0].is_open):
            self._idle.popleft().close()
        is_needed = self._busy or not self._is_closing
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if is_needed else None
