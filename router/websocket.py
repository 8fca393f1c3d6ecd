"""The story of one WebSocket: the caller's offer goes to the upstream, and if it agrees the two are joined.

After the 101 nothing is parsed. Frames, fragments, pings, close codes, subprotocols and extensions are settled
between the caller and the upstream, as behind nginx; the router moves bytes, with back-pressure both ways, until
one side closes or both are silent for too long. A reload leaves open WebSockets alone.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from .errors import AnswerMalformed, ForeignOrigin
from .headers import Headers, first
from .upstream import Connection

UPGRADE = "strangler.upgrade"
"""The scope's key that says whether the request offers a WebSocket that the server can hand over."""

LINGER_SECONDS = 5.0
"""How long one side may take to read what is left when the other has gone."""

OFFER = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]


class Caller(Protocol):
    """A connection that can be handed over (see `server.py`)."""

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The bare connection, and what came on it already."""


def check_origin(headers: Headers) -> None:
    """Raises ForeignOrigin for a page of another site, which could otherwise speak in its visitor's name.

    A browser sends cookies with any WebSocket and asks nobody first (RFC 6455 §10.2). Whoever is no browser sends
    no Origin.
    """
    origin = first(headers, b"origin")
    if origin is None:
        return
    _, _, authority = origin.partition(b"://")
    if authority.lower() != (first(headers, b"host") or b"").lower():
        raise ForeignOrigin("the Origin is not the Host")


async def join(caller: Caller, connection: Connection, headers: Headers, idle_seconds: float) -> None:
    """Answer 101 and move bytes both ways until it is over."""
    if (first(connection.headers, b"upgrade") or b"").lower() != b"websocket":
        raise AnswerMalformed("it changes to a protocol that nobody asked for")
    upstream, from_upstream = connection.hand_over()
    downstream, from_caller = caller.hand_over()
    head = [b"HTTP/1.1 101 Switching Protocols\r\n"]
    head += [name + b": " + value + b"\r\n" for name, value in [*headers, *OFFER]]
    joint = _Joint(idle_seconds)
    joint.join(downstream, upstream)
    downstream.write(b"".join([*head, b"\r\n", from_upstream]))
    upstream.write(from_caller)
    try:
        await joint.is_over
    finally:
        joint.close()


class _Joint:
    """Two transports that write what the other one reads."""

    def __init__(self, idle_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_over: asyncio.Future[None] = self._loop.create_future()
        self._idle_seconds = idle_seconds
        self.was_heard = False
        self._ends: tuple[_End, ...] = ()
        self._timer = self._loop.call_later(idle_seconds, self._look)

    def join(self, one: asyncio.Transport, other: asyncio.Transport) -> None:
        self._ends = (_End(self, one, other), _End(self, other, one))
        for end in self._ends:
            end.transport.set_protocol(end)
            if end.transport.is_closing():
                self.over()

    def over(self) -> None:
        if not self.is_over.done():
            self.is_over.set_result(None)

    def close(self) -> None:
        """Each side still gets what was meant for it, if it takes it soon."""
        self._timer.cancel()
        for end in self._ends:
            end.transport.close()
            self._loop.call_later(LINGER_SECONDS, end.transport.abort)

    def _look(self) -> None:
        if not self.was_heard:
            self.over()
            return
        self.was_heard = False
        self._timer = self._loop.call_later(self._idle_seconds, self._look)


class _End(asyncio.Protocol):
    """One side: what it hears goes to the other; when it cannot write, the other is not read."""

    def __init__(self, joint: _Joint, transport: asyncio.Transport, other: asyncio.Transport) -> None:
        self.transport = transport
        self._joint = joint
        self._other = other

    def data_received(self, data: bytes) -> None:
        self._joint.was_heard = True
        self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._joint.over()
