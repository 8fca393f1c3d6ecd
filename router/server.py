"""One caller's connection: HTTP/1.1 read strictly and answered in order, as a protocol for uvicorn to host.

uvicorn brings the sockets, signals, worker processes and the graceful stop. Its own protocols are not used: they let
request trailers become headers, limit neither headers nor the time they take, lose the body of a request that offers
to change the protocol, and cost as much CPU as everything else that the router does.

The parser is httptools (llhttp, in its strict mode); what it leaves open is decided in `heads.py`. Headers are
limited in number, size (431) and time (408), and so is everything else that a caller could make the router wait for
or hold. A refusal comes after the answers to what was asked before it, and is the last word on its connection.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from .asgi import Asked, date_line, status_line
from .headers import Headers, answer_headers
from .heads import Refused, checked, is_other_protocol, is_websocket_offer
from .proxy import CALLER, TARGET
from .websocket import UPGRADE

HEADER_COUNT = 100
HEADER_BYTES = 65_536
"""The target and all header names and values of one request together."""
HEAD_SECONDS = 20.0
"""From connecting, or from the first byte of a further request, until the last header."""
BODY_IDLE_SECONDS = 60.0
"""Between two pieces of a request body."""
TAKE_SECONDS = 60.0
"""So long a caller may take nothing of an answer that waits for them."""
FIRST_WORD_SECONDS = 2.0
"""So long a new connection may stay silent while the router stops."""
LINGER_SECONDS = 5.0
"""So long a refused caller's further words are thrown away: closing at once could take the refusal from them."""
LOOK_SECONDS = 2.5
"""How often each connection looks at its deadline: one timer for its life instead of one for each request."""
BODY_BYTES = 65_536
"""So much of a request's body is held for the application before the caller has to wait."""
LINE_OF_REQUESTS = 16
"""So many requests of one connection wait for their answers before the caller has to wait."""
FEED_BYTES = 16_384
"""What is read is parsed in pieces of this size, or a flood of small requests could not be stopped in time."""

_ASGI = {"version": "3.0", "spec_version": "2.3"}


class ServerProtocol(asyncio.Protocol):
    """One caller's connection; a `Caller` of `proxy.py`. The names without `_` are what others use."""

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._application: ASGIApp = config.loaded_app
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_event_loop()
        self._parser = _parser(self)
        self.has_left = False
        """Nobody waits for the answers any more."""
        self.writable: asyncio.Future[None] | None = None
        self.is_last = self._is_stopping = False
        self._line: deque[Asked] = deque()  # the request that is answered, and those that wait
        self._reading: Asked | None = None  # whose body is still to come
        self._unread = bytearray()
        self._is_paused = False
        self._is_deaf = False  # nothing that still comes is a request
        self._is_lingering = False
        self._refusal = 0
        self._has_asked = False
        self._is_reading_head = False
        self._is_websocket = False
        self._is_offer = False
        self._silent_bytes = 0
        self._fed = b""
        self._begun = bytearray()  # of a head that did not come in one piece
        self._untaken = (0, 0.0)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self._server = (str(here[0]), int(here[1])) if isinstance(here, tuple) else None
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._deadline = self._loop.time() + HEAD_SECONDS
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        limit = self._config.limit_concurrency
        if limit is not None and len(self._state.connections) >= limit:
            self._refuse(503)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._state.connections.discard(self)
        self._leave()
        self.resume_writing()

    def _leave(self) -> None:
        self.has_left = True
        for asked in self._line:
            asked.leave()

    def shutdown(self) -> None:
        """uvicorn asks for the end: what was asked, and what is being asked, is still answered."""
        self.is_last = self._is_stopping = True
        if self._line or self._is_reading_head:
            return
        if self._has_asked:
            self.transport.close()
        else:  # new, and its first request may be on its way
            self._loop.call_later(FIRST_WORD_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if not self._has_asked:
            self.transport.close()

    def cut(self) -> None:
        for asked in self._line:
            asked.is_gone = True
        self._line.clear()
        self.transport.abort()

    def speaks(self, seconds: float) -> Awaitable[bool]:
        return self._line[0].speaks(seconds)

    def hint(self, status: int, headers: Headers) -> None:
        """Pass on an interim answer, for which ASGI has no message. The upstream's limit on headers holds for all."""
        if self._line and not (self._line[0].is_old or self._line[0].has_begun or self._line[0].is_gone):
            lines = [name + b": " + value + b"\r\n" for name, value in answer_headers(status, headers)]
            self.transport.write(b"".join([status_line(status), *lines, b"\r\n"]))

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The bare connection, and what came on it already. Nothing else here may be used any more."""
        self._line.popleft().is_gone = True
        self._state.connections.discard(self)
        self._timer.cancel()
        if self._is_paused:
            self.transport.resume_reading()
        return self.transport, bytes(self._unread)

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self.writable is not None:
            waiting, self.writable = self.writable, None
            if not waiting.done():
                waiting.set_result(None)

    # --- deadlines

    def _look(self) -> None:
        """Until the caller has said all of a request, and while an answer waits for them, they have a deadline."""
        now = self._loop.time()
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        if self._line and self._is_paused:
            self._deadline = max(self._deadline, now + BODY_IDLE_SECONDS)  # it is we who let them wait
        elif self._line and self._reading is None:
            self._deadline = max(self._deadline, now + HEAD_SECONDS)  # an answer is under way: that is not cut
        if self._takes_nothing(now) or (self._is_lingering and self._deadline <= now):
            self.transport.abort()
        elif self._deadline <= now and not self.transport.is_closing():
            if self._is_reading_head or not self._has_asked:
                self._refuse(408)
            else:
                self.transport.close()

    def _takes_nothing(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        if not size or size != self._untaken[0]:
            self._untaken = (size, now)
        return now - self._untaken[1] > TAKE_SECONDS

    def _linger(self) -> None:
        """The last word was said; closing while the caller still speaks could take it from them."""
        self._is_deaf = self._is_lingering = True
        self._reading = None
        self._deadline = self._loop.time() + LINGER_SECONDS
        self._unread.clear()
        self.pace()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # --- reading

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if len(data) <= FEED_BYTES and not self._unread and len(self._line) < LINE_OF_REQUESTS:
            self._feed(data)
            return
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        while self._unread and len(self._line) < LINE_OF_REQUESTS and not self._is_deaf and not self._is_websocket:
            piece = bytes(self._unread[:FEED_BYTES])
            del self._unread[:FEED_BYTES]
            self._feed(piece)
        self.pace()

    def pace(self) -> None:
        """Read on, or let the caller wait until what they said already is taken."""
        waiting = len(self._reading.body) if self._reading is not None else 0
        is_full = waiting > BODY_BYTES or len(self._unread) > (BODY_BYTES if self._is_websocket else 0)
        if is_full == self._is_paused or self.transport.is_closing():
            return
        self._is_paused = is_full
        if is_full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        if self._is_websocket:  # what the caller says before the upstream has agreed
            self._unread += data
            self.pace()
            return
        self._fed = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._met_offer(data[offer.args[0] :])
        except httptools.HttpParserError:
            if not self._is_deaf:  # or it is only what follows the last request
                self._refuse(self._refusal or 400)
            return
        if self._reading is not None:
            self._deadline = self._loop.time() + BODY_IDLE_SECONDS
        elif not self._is_reading_head:
            return
        else:
            self._begun += data
        self._silent_bytes += len(data)  # the parser shows a header or a trailer only when it is complete
        if self._silent_bytes > HEADER_BYTES:
            self._refuse(431)

    def _met_offer(self, rest: bytes) -> None:
        """A parser that met an offer takes what follows for another protocol: a new one gets the head without it."""
        if self._is_offer:
            version = self._parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._target, version)]
            lines += [name + b": " + value for name, value in self._headers if name != b"upgrade"]
            self._parser = _parser(self)
            self._feed(b"\r\n".join(lines) + b"\r\n\r\n")
        if not self._is_deaf:
            self._feed(rest)

    def _refuse(self, status: int) -> None:
        """The last word on this connection; after the answers to what was asked before."""
        self._refusal = status
        self._is_deaf = True
        self._is_reading_head = False
        asked, self._reading = self._reading, None
        if asked is not None and asked in self._line:
            if asked.has_begun:
                self._leave()
                self.transport.abort()
                return
            if asked is self._line[0]:
                self._leave()
            self._line.remove(asked)
        if not self._line:
            self.transport.write(status_line(status) + date_line() + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self._linger()

    # --- the parser's side

    def on_message_begin(self) -> None:
        self._has_asked = self._is_reading_head = True
        self._deadline = self._loop.time() + HEAD_SECONDS
        self._target = b""
        self._headers = []
        self._silent_bytes = 0
        if self._begun:
            self._begun.clear()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_reading_head:
            return  # a trailer
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        parser = self._parser
        method = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        self._is_offer = parser.should_upgrade() and method != "CONNECT"
        if self._is_offer and not self._line and is_websocket_offer(method, version, self._headers):
            self._is_offer, self._is_websocket = False, True
        if self._is_offer:
            return
        if self._begun or b"RTSP/" in self._fed or method == "SOURCE":
            self._begun += self._fed
            if is_other_protocol(method, self._target, self._headers, self._begun):
                self._refusal = 505
                raise Refused(505)
        try:
            self._check_size()
            self._target, expects_continue = checked(method, self._target, version, self._headers, self._server)
        except Refused as refused:
            self._refusal = refused.status
            raise
        is_old = version == "1.0"
        path, _, query = self._target.partition(b"?")
        plain = path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.0" if is_old else "1.1",
            "method": method,
            "scheme": self._scheme,
            "path": unquote(plain) if "%" in plain else plain,
            "raw_path": path,
            "query_string": query,
            "root_path": self._config.root_path,
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
            "state": self._app_state.copy() if self._app_state else {},
            CALLER: self,
            TARGET: self._target,
            UPGRADE: self._is_websocket,
        }
        asked = Asked(self, scope, is_persistent=parser.should_keep_alive(), is_old=is_old)
        asked.expects_continue = expects_continue
        self._is_reading_head = False
        self._silent_bytes = 0
        self._reading = asked
        self._line.append(asked)
        if len(self._line) == 1:
            self._start()

    def _check_size(self) -> None:
        size = self._silent_bytes + FEED_BYTES  # no more than so much can have been read of this head
        if size > HEADER_BYTES:
            size = len(self._target) + sum(len(name) + len(value) for name, value in self._headers)
        if size > HEADER_BYTES or len(self._headers) > HEADER_COUNT:
            raise Refused(431)

    def on_body(self, body: bytes) -> None:
        self._silent_bytes = 0
        asked = self._reading
        if asked is None or asked.is_answered or asked.is_gone:
            return
        asked.body += body
        asked.wake()
        if len(asked.body) > BODY_BYTES:
            self.pace()

    def on_message_complete(self) -> None:
        asked, self._reading = self._reading, None
        if asked is None:
            return  # an offer that is read again
        self._deadline = math.inf
        asked.has_more = False
        asked.wake()
        self._is_deaf = not asked.is_persistent
        if asked.is_answered:
            self._rest()

    # --- answering, one after another

    def _start(self) -> None:
        asked = self._line[0]
        asked.task = self._loop.create_task(asked.run(self._application))
        self._state.tasks.add(asked.task)

    def ended(self, asked: Asked) -> None:
        """The task is over, but for this."""
        if asked.task is not None:
            self._state.tasks.discard(asked.task)
            asked.task = None

    def answered(self) -> None:
        """The answer is complete: on with the next request, or with waiting for it."""
        self._state.total_requests += 1
        asked = self._line.popleft()
        if self._is_websocket:  # declined: the parser, which met an offer, reads no further
            self._is_websocket = False
            self._parser = _parser(self)
        if not asked.is_persistent:
            if asked.has_more:
                self._linger()
            else:
                self.transport.close()
        elif self._line:
            self._start()
        elif self._refusal:
            self._refuse(self._refusal)
        elif not asked.has_more:
            self._rest()
        if self._unread:
            self._read_on()

    def _rest(self) -> None:
        if self._is_reading_head:
            return
        self._deadline = self._loop.time() + self._config.timeout_keep_alive
        if self._is_stopping:
            self.transport.close()


def _parser(connection: ServerProtocol) -> httptools.HttpRequestParser:
    """Strict, but for HTTP/1.2, which means 1.1 (RFC 9110 §2.5), and blanks behind a chunk's size (RFC 9112 §7.1.1).

    An upstream gets neither, so nobody can read them in another way.
    """
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_version=True, lenient_spaces_after_chunk_size=True)
    return parser
