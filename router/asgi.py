"""One request of a caller as an ASGI application sees it: what it receives, and how its answer becomes HTTP/1.1.

The head of an answer leaves with the first piece of its body, in one write, as ASGI suggests: an application that
wants it out before sends an empty piece.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp, Message

_log = logging.getLogger(__name__)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode("ascii") for status in range(100, 600)
}
_LOOKED_AT = frozenset((b"connection", b"content-length", b"transfer-encoding", b"date"))
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FAILED = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")]


def status_line(status: int) -> bytes:
    return _STATUS_LINES[status]


def date_line() -> bytes:
    """For an answer that came without one (RFC 9110 §6.6.1)."""
    return _date_line(int(time.time()))


@functools.lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return b"date: " + formatdate(second, usegmt=True).encode("ascii") + b"\r\n"


class Connection(Protocol):
    """The caller's connection, as one request on it needs it (see `server.py`)."""

    transport: asyncio.Transport
    writable: asyncio.Future[None] | None
    """There while the caller takes no more."""
    is_last: bool
    """The next answer to begin is the last one, and says so."""

    def pace(self) -> None:
        """Read on, or wait until the application has taken what is there."""

    def answered(self) -> None:
        """The answer is complete."""

    def ended(self, asked: Asked) -> None:
        """The application is done with this request."""

    def cut(self) -> None:
        """Close at once, so that what was sent cannot be taken for a whole answer."""


class Asked:
    """A request, and the answer to it."""

    # Defaults in the class: what most requests have none of costs them nothing.
    expects_continue = False
    body = b""
    has_more = True
    has_begun = False
    is_answered = False
    is_gone = False
    """The caller left, or the connection is somebody else's: nothing that is said here matters any more."""
    task: asyncio.Task[None] | None = None
    _is_running = False
    _has_told_end = False
    _head = b""
    _is_chunked = False
    _is_without_body = False
    _left: int | None = None
    _waiter: asyncio.Future[None] | None = None

    def __init__(self, connection: Connection, scope: dict[str, Any], *, is_persistent: bool, is_old: bool) -> None:
        self.scope = scope
        self.is_persistent = is_persistent
        """The caller may ask again on this connection."""
        self.is_old = is_old
        """HTTP/1.0: knows neither chunks nor interim answers."""
        self._connection = connection

    async def run(self, application: ASGIApp) -> None:
        """Let the application answer, in a task of its own."""
        self._is_running = True
        try:
            if not self.is_gone:
                await application(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._cut()  # the server stops, and its patience is over; or the caller left
        except Exception:
            _log.exception("the application failed")
            await self._give_up()
        else:
            if not self.is_answered and not self.is_gone:
                _log.error("the application ended without an answer's end")
                await self._give_up()
        finally:
            self._connection.ended(self)

    async def _give_up(self) -> None:
        if self.has_begun or self.is_gone:
            self._cut()
            return
        await self.send({"type": "http.response.start", "status": 500, "headers": _FAILED})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    def _cut(self) -> None:
        if not self.is_answered and not self.is_gone:
            self._connection.cut()

    # --- what the application receives

    async def receive(self) -> Message:
        if self.expects_continue and not self.has_begun and self.has_more and not self.is_gone:
            self._connection.transport.write(_CONTINUE)
        self.expects_continue = False
        while not self.is_gone and not self.is_answered:
            if self.body or (not self.has_more and not self._has_told_end):
                return self._piece()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return {"type": "http.disconnect"}

    async def speaks(self, seconds: float) -> bool:
        """Whether some of the body, or its end, is here or comes in time: not while the caller waits for a 100."""
        if self.body or not self.has_more:
            return True
        if self.expects_continue:
            return False
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            timer.cancel()
        return bool(self.body) or not self.has_more

    def _piece(self) -> Message:
        body, self.body = self.body, b""
        self._has_told_end = not self.has_more
        if self.has_more:
            self._connection.pace()
        return {"type": "http.request", "body": body, "more_body": self.has_more}

    def leave(self) -> None:
        """The caller does: whatever is done for them is cancelled."""
        self.is_gone = True
        if self._is_running and self.task is not None:  # a task that never began would not even end as it should
            self.task.cancel()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what it sends

    async def send(self, message: Message) -> None:
        connection = self._connection
        while connection.writable is not None and not self.is_gone:
            await connection.writable
        if self.is_gone:
            return
        if self.is_answered:
            raise RuntimeError("the answer is complete already")
        if message["type"] == "http.response.body":
            self._send_body(message.get("body", b""), is_last=not message.get("more_body", False))
        elif not self.has_begun:
            self._begin(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{message['type']} is not what comes after a head")

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.has_begun = True
        lines = [_STATUS_LINES[status]]
        length = None
        has_date = False
        for name, value in headers:
            if name not in _LOOKED_AT:
                lines += (name, b": ", value, b"\r\n")
            elif name == b"content-length":
                length = value
                lines += (b"content-length: ", value, b"\r\n")
            elif name == b"date":
                has_date = True
                lines += (b"date: ", value, b"\r\n")
        if not has_date:
            lines.append(date_line())
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self._is_without_body = True
        elif length is not None:
            self._left = int(length)
        elif self.is_old:
            self.is_persistent = False  # the end of the connection is the end of the answer
        else:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if self._connection.is_last or (self.expects_continue and self.has_more):
            self.is_persistent = False  # whether the body that was announced still comes, nobody knows
        if not self.is_persistent:
            lines.append(b"connection: close\r\n\r\n")
        else:
            lines.append(b"connection: keep-alive\r\n\r\n" if self.is_old else b"\r\n")
        self._head = b"".join(lines)

    def _send_body(self, body: bytes, *, is_last: bool) -> None:
        if not self.has_begun:
            raise RuntimeError("a body is not what comes first")
        data, self._head = self._head, b""
        if self._is_chunked:
            if body:
                data += b"%x\r\n%b\r\n" % (len(body), body)
            if is_last:
                data += b"0\r\n\r\n"
        elif not self._is_without_body:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (is_last and self._left):
                    raise RuntimeError("the body is not as long as its Content-Length")
            data += body
        if data:
            self._connection.transport.write(data)
        if is_last:
            self.is_answered = True
            self.wake()
            self._connection.answered()
