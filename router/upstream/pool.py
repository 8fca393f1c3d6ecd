"""The connections to one upstream: limited in number, waited for in order, kept while young, watched for deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import NamedTuple

from ..config import Upstream
from ..errors import AnswerCut, AnswerTimeout, Busy, ConnectFailed, ConnectTimeout, Down
from ..limits import Deadlines
from .connection import Connection, Request
from .health import Checks, Standing
from .reach import reach, tls_context

SWEEP_SECONDS = 0.25
"""How often deadlines are looked at: one timer for all connections instead of one for each."""
RETRY_WINDOW_SECONDS = 10
RETRY_FLOOR = 10
"""So many retries in a window are free: a quiet upstream may have them too."""


class PoolState(NamedTuple):
    """What `status` says of an upstream, in this process."""

    busy: int
    idle: int
    waiting: int
    retried: int
    """Since the pool began."""
    health: Standing | None
    """None if the upstream is not asked."""


class Pool:
    """`connect` sends a request, `answered` waits for the head of its answer, `give_back` ends the exchange."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._tls = tls_context(upstream)
        self._deadlines = upstream.deadlines
        self._loop = asyncio.get_running_loop()
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._opening = 0
        """Places that are taken though no connection in them is busy yet: it is being opened, or handed over."""
        self._waiting: deque[tuple[float, asyncio.Future[Connection | None]]] = deque()
        self._sent = self._retried = 0
        self._window = deque([(0, 0)], maxlen=round(RETRY_WINDOW_SECONDS / SWEEP_SECONDS))
        self._is_closing = False
        self._checks = None if upstream.health is None else Checks(upstream, upstream.health, self._tls)
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def state(self) -> PoolState:
        health = None if self._checks is None else self._checks.standing
        return PoolState(len(self._busy), len(self._idle), len(self._waiting), self._retried, health)

    async def connect(self, request: Request) -> Connection:
        """A connection on which the request has been sent. Raises NotSent, in one of its forms, if there is none."""
        if self._checks is not None and self._checks.standing.is_down:
            raise Down(f"{self.upstream.url} fails its health checks: {self._checks.standing.why}")
        self._sent += 1
        deadlines = self._deadlines if request.deadlines is None else request.deadlines.over(self._deadlines)
        total = deadlines.total_seconds
        ends_at = total if total == math.inf else self._loop.time() + total
        try:
            return await self._connected(request, deadlines, ends_at, fresh=False)
        except ConnectFailed:
            if not self._may_retry():
                raise
        return await self._connected(request, deadlines, ends_at, fresh=True)

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
                if not (was_stale and request.is_replayable and isinstance(error, AnswerCut) and self._may_retry()):
                    raise
            deadlines = self._deadlines if request.deadlines is None else request.deadlines.over(self._deadlines)
            connection = await self._connected(request, deadlines, connection.ends_at, fresh=True)

    def give_back(self, connection: Connection) -> None:
        """The exchange is over, however it ended. Saying so twice changes nothing."""
        if connection not in self._busy:
            return
        self._busy.discard(connection)
        if connection.rest():
            connection.is_reused = True
            self._pass_on(connection)
        else:
            connection.close()
            self._pass_on(None)

    def close(self) -> None:
        """Keep nothing from now on; exchanges that are under way go on."""
        self._is_closing = True
        if self._checks is not None:
            self._checks.close()
        while self._idle:
            self._idle.pop().close()

    async def _connected(self, request: Request, deadlines: Deadlines, ends_at: float, *, fresh: bool) -> Connection:
        connection = None if fresh else self._kept()
        if connection is None:
            connection = await self._open(deadlines.connect_seconds)
        self._busy.add(connection)
        if self._sweeper is None:
            self._sweep()
        connection.ends_at = ends_at
        connection.start(request, deadlines.first_byte_seconds, deadlines.idle_seconds)
        return connection

    def _kept(self) -> Connection | None:
        too_old = self._loop.time() - self.upstream.keep_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > too_old:
                return connection
            connection.close()
        return None

    async def _open(self, connect_seconds: float) -> Connection:
        """A new connection, or one that another request gave back meanwhile."""
        upstream = self.upstream
        connection = None
        if len(self._busy) + self._opening < upstream.connections:
            self._opening += 1
            if self._idle and len(self._busy) + self._opening + len(self._idle) > upstream.connections:
                self._idle.popleft().close()
        else:
            connection = await self._turn()
        try:
            if connection is None or not connection.is_open:
                connection = await self._stands(connect_seconds)
        except BaseException:
            self._opening -= 1
            self._pass_on(None)
            raise
        self._opening -= 1
        return connection

    async def _turn(self) -> Connection | None:
        """Wait, first come first served, for a place that is free, with a connection in it or without."""
        upstream = self.upstream
        if len(self._waiting) >= upstream.waiting:
            why = f"all {upstream.connections} connections to {upstream.url} are in use"
            raise Busy(f"{why}, and {len(self._waiting)} requests wait for one" if self._waiting else why)
        turn: asyncio.Future[Connection | None] = self._loop.create_future()
        entry = (self._loop.time() + upstream.wait_seconds, turn)
        self._waiting.append(entry)
        if self._sweeper is None:
            self._sweep()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # passed over already
                    self._waiting.remove(entry)
            elif turn.exception() is None:  # its turn came as the caller left
                self._opening -= 1
                self._pass_on(turn.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        """A place is free, with a kept connection in it or without: the first who waits gets it."""
        if connection is not None and self._is_closing:
            connection.close()
            connection = None
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                self._opening += 1
                turn.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    async def _stands(self, connect_seconds: float) -> Connection:
        upstream = self.upstream
        try:
            async with asyncio.timeout(connect_seconds):
                connection = await reach(upstream, self._tls, lambda: Connection(self._loop))
        except TimeoutError:
            raise ConnectTimeout(f"{upstream.url} did not accept within {connect_seconds:g} s") from None
        except (OSError, UnicodeError) as error:  # a name can be one that the name service cannot even be asked for
            raise ConnectFailed(f"{upstream.url}: {error}") from None
        if not connection.is_open:
            raise ConnectFailed(f"{upstream.url} closed the connection before the request was sent")
        return connection

    def _may_retry(self) -> bool:
        """Retries are a share of the requests: a dead upstream is not asked twice as often as a live one."""
        sent, retried = self._window[0]
        if self._retried - retried >= RETRY_FLOOR + self.upstream.retries * (self._sent - sent):
            return False
        self._retried += 1
        return True

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [each for each in self._busy if each.deadline < now or each.ends_at < now]:
            what = "was silent" if connection.deadline < now else "took"
            connection.fail(AnswerTimeout(f"{self.upstream.url} {what} for too long"))
        while self._waiting and self._waiting[0][0] < now:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Busy(f"no connection to {self.upstream.url} became free in time"))
        too_old = now - self.upstream.keep_seconds
        while self._idle and (self._idle[0].idle_since < too_old or not self._idle[0].is_open):
            self._idle.popleft().close()
        self._window.append((self._sent, self._retried))
        is_needed = self._busy or self._waiting or not self._is_closing
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if is_needed else None
