"""One HTTP/1.1 connection to an upstream: bytes out, bytes in, with a name for every way it can fail.

The parser is httptools (llhttp), the one that uvicorn uses; it forgives an upstream what can have only one meaning.
What it leaves open is decided here: an answer with both Content-Length and Transfer-Encoding is refused (RFC 9112
§6.3), an answer that the upstream's closing should have ended is complete only if nothing said how long it is, and a
connection with a byte too many is not used again.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from ..errors import AnswerCut, AnswerMalformed, UpstreamError
from ..limits import OwnDeadlines

Hint = Callable[[int, list[tuple[bytes, bytes]]], None]
"""Takes the status and the headers of an interim answer."""

BUFFERED_BYTES = 262_144
"""So much of an answer is held for a slow caller before the upstream has to wait."""
HEAD_BYTES = 65_536
"""So long may the headers of an answer be, all together."""

_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class Request(NamedTuple):
    """What is sent at once: the head with as much of the body as is there already."""

    opening: bytes
    is_head: bool
    is_replayable: bool
    """A safe method that was sent whole: it may be sent again if a kept connection turns out to be dead."""
    is_upgrade: bool = False
    """It asks for another protocol: a 101 is an answer, and the connection is handed over after it."""
    deadlines: OwnDeadlines | None = None
    """Where the route has its own."""
    hint: Hint | None = None
    """Told of each interim answer but 100, for which nobody waits, and 101 (RFC 9110 §15.2)."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `start`, `answered`, then `read` until it returns nothing.

    `status` and `headers` (names in lower case) are there once `answered` returned.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = _parser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_idle = True
        self.is_reused = False
        self.is_open = False
        self.has_answer_bytes = False
        self.deadline = math.inf
        """On the loop's clock; the pool fails the exchange when it has passed."""
        self.ends_at = math.inf
        """Likewise, for the exchange as a whole."""
        self._hint: Hint | None = None
        self._first_byte_seconds = math.inf
        self.idle_seconds = math.inf
        self.idle_since = 0.0
        self._prepare(is_head=False, is_upgrade=False)

    def _prepare(self, *, is_head: bool, is_upgrade: bool) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.error: UpstreamError | None = None
        self.is_complete = False
        self._is_head = is_head
        self._is_upgrade = is_upgrade
        self.is_upgraded = False
        self._has_head = False
        self._is_interim = False
        self._is_delimited = False
        self._is_surplus = False
        self._must_close = False
        self.is_request_sent = True
        """False while a body is still on its way: a connection with half a request on it is not used again."""
        self._silent_bytes = 0
        """Since the last piece of a body: of a head, of trailers or of a chunk's frame."""
        self._chunks: deque[bytes] = deque()
        self._buffered = 0

    # --- the exchange, as the proxy sees it

    def start(self, request: Request, first_byte_seconds: float, idle_seconds: float) -> None:
        self._prepare(is_head=request.is_head, is_upgrade=request.is_upgrade)
        self._is_idle = False
        self.has_answer_bytes = False
        self._hint = request.hint
        self._first_byte_seconds = first_byte_seconds
        self.idle_seconds = idle_seconds
        if not self.is_open:
            self.error = AnswerCut("the connection ended before the request was sent")
        self.write(request.opening)

    def write(self, data: bytes) -> None:
        """Send a piece of the request; the time for the answer's head counts from the last one."""
        if not self._has_head:
            self.deadline = self._loop.time() + self._first_byte_seconds
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def await_caller(self) -> None:
        """Nothing of the request's body came yet: until then it is not the upstream that is silent."""
        if not self._has_head:
            self.deadline = math.inf

    async def drain(self) -> None:
        """Wait until the upstream has taken enough of what was written."""
        while self._writable is not None:
            await self._writable

    async def answered(self) -> None:
        """Wait for the answer's head. Raises an UpstreamError if it does not come."""
        while not self._has_head:
            if self.error is not None:
                raise self.error
            await self._news()

    @property
    def is_readable(self) -> bool:
        """`read` would not wait."""
        return bool(self._chunks) or self.is_complete

    async def read(self) -> bytes:
        """The next bytes of the body as they came, b"" at its end. Raises an UpstreamError if it is cut."""
        while not self._chunks:
            if self.is_complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._news()
        return self.take()

    def take(self) -> bytes:
        """What of the body is here already, without waiting."""
        chunks = self._chunks
        body = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self.deadline = self._loop.time() + self.idle_seconds
            self._transport.resume_reading()
        return body

    def fail(self, error: UpstreamError | None) -> None:
        """End the exchange at once; without an error if nobody waits for the answer any more."""
        if not self.is_complete and self.error is None:
            self.error = error or AnswerCut("given up by the router")
        self.close()
        self._wake()

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """After a 101: the bare connection, and what came on it already. Nothing else here may be used any more."""
        if self._transport is None or not self.is_open:
            raise AnswerCut("the connection ended with its 101")
        transport, self._transport, self.is_open, self.deadline = self._transport, None, False, math.inf
        self.ends_at = math.inf
        return transport, b"".join(self._chunks)

    def rest(self) -> bool:
        """Become idle. False if this connection cannot carry another exchange, or is idle already."""
        if not (self.is_open and self.is_complete and self.is_request_sent) or self._must_close or self._is_surplus:
            return False
        if self._is_idle or self._chunks or self._transport is None or self._transport.get_write_buffer_size():
            return False  # unread bytes may have paused the reading, unsent ones belong to this request
        self._is_idle = True
        self.deadline = math.inf
        self.idle_since = self._loop.time()
        if self._is_head:
            self._parser = _parser(self)  # the old one still expects the body that was announced
        return True

    def _news(self) -> asyncio.Future[None]:
        """Done when something has changed: a plain future, because every coroutine on the way costs at every byte."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._is_idle or self.error is not None:
            self.close()
            return
        self.has_answer_bytes = True
        if self.is_upgraded:
            self._chunks.append(data)
            return
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.is_upgraded:
                self._chunks.append(data[upgrade.args[0] :])
            else:
                self._malformed("it changes the protocol unasked")
        except httptools.HttpParserError as error:
            self._malformed(str(error))
        if self._silent_bytes > HEAD_BYTES and not self.is_complete and self.error is None:
            self._malformed("its headers are too long")  # the parser shows one only when it is complete
            return
        if self._has_head:
            self.deadline = math.inf if self._is_paused else self._loop.time() + self.idle_seconds
            self._wake()

    def eof_received(self) -> bool:
        self.is_open = False
        return False  # the transport closes itself, and connection_lost decides what that means

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.resume_writing()
        if exc is None and self.error is None and self._has_head and not self._is_delimited:
            self.is_complete = True
        if not self.is_complete and self.error is None:
            self.error = AnswerCut("the connection ended before the answer did")
        self._wake()

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            waiting, self._writable = self._writable, None
            if not waiting.done():
                waiting.set_result(None)

    # --- the parser's side

    def on_message_begin(self) -> None:
        if self.is_complete:
            self._is_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head or self._is_surplus:
            return  # a trailer, or an answer that nobody asked for
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._is_surplus:
            return
        if self._silent_bytes > HEAD_BYTES and sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            raise ValueError("its headers are too long")
        self.status = self._parser.get_status_code()
        if not 100 <= self.status <= 599:
            raise ValueError(f"its status is {self.status}")
        if self.status == 101 and self._is_upgrade:
            if not self._parser.should_upgrade():
                raise ValueError("its 101 does not say in Connection that the protocol changes")  # RFC 9110 §7.8
            self.is_upgraded = self._has_head = True
            self._silent_bytes = 0
            return
        if self.status < 200:
            self._is_interim = True
            if self._hint is not None and self.status > 101:
                self._hint(self.status, self.headers)
            self.headers = []
            return
        framing = [header for header in self.headers if header[0] in _FRAMING]
        if len(framing) > 1:
            raise ValueError("it says in two ways how long it is")
        if framing and framing[0][0] == b"transfer-encoding" and framing[0][1].strip().lower() != b"chunked":
            raise ValueError("its transfer encoding is not simply chunked")
        self._is_delimited = bool(framing)
        self._must_close = not self._parser.should_keep_alive()
        self._has_head = True
        self._silent_bytes = 0
        if self._is_head:
            self.is_complete = True

    def on_body(self, body: bytes) -> None:
        if self.is_complete:
            self._is_surplus = True
            return
        self._silent_bytes = 0
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > BUFFERED_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif self._has_head:
            self.is_complete = True

    def _malformed(self, why: str) -> None:
        if self.is_complete:
            self._is_surplus = True
            return
        self.fail(AnswerMalformed(why))


def _parser(connection: Connection) -> httptools.HttpResponseParser:
    """Strict, but for what other proxies read too and what reaches the caller in another form anyway."""
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(
        lenient_version=True,  # HTTP/1.2 means 1.1 (RFC 9110 §2.5)
        lenient_optional_cr_before_lf=True,  # of a head's lines (RFC 9112 §2.2)
        lenient_spaces_after_chunk_size=True,  # "BWS" (RFC 9112 §7.1.1)
        lenient_keep_alive=True,  # an interim answer with `Connection: close` is followed by the final one
    )
    return parser
