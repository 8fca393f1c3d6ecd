"""uvicorn's HTTP protocol with what a public proxy needs on top of it.

- Request trailers never become headers: uvicorn 0.54 appends them to the scope, so that a caller could add
  `X-Forwarded-For` or `Cookie` after the fact.
- Headers are limited in number and size (431), and in the time they take to arrive (408).
- A request body that stalls ends its connection, unless it is the upstream that lets it wait.
- An offer to change the protocol (`Upgrade: h2c`, say, which Java's client makes with every request) is not taken
  up, and its request is an ordinary one (RFC 9110 §7.8); uvicorn loses its body.
- The offer of a WebSocket is passed on (`websocket.py`): the proxy gets the bare connection if the upstream agrees.
- The proxy gets the request target as it was written, and is told at once when the caller leaves.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .proxy import CALLER, TARGET
from .websocket import UPGRADE

HEADER_COUNT = 100
HEADER_BYTES = 65_536
"""All header names and values of one request together."""
HEAD_SECONDS = 20.0
"""From connecting, or from the first byte of a further request, until the last header."""
BODY_IDLE_SECONDS = 60.0
"""Between two pieces of a request body."""
LOOK_SECONDS = 2.5
"""How often each connection looks at its deadline: one timer for its life instead of one for each request."""


class ServerProtocol(HttpToolsProtocol):
    """One caller's connection; a `Caller` of `proxy.py`."""

    task: asyncio.Task[Any] | None = None
    _is_reading_headers = False
    _is_reading_body = False
    _is_too_large = False
    _is_offer = False
    _is_websocket = False
    _early = b""
    _header_bytes = 0
    _unfinished_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._cycles: deque[RequestResponseCycle] = deque()  # the request that is answered, and those that wait
        self._deadline = self.loop.time() + HEAD_SECONDS
        self._look()

    def _look(self) -> None:
        """Until the caller has said all of a request, they have a deadline."""
        now = self.loop.time()
        if self.flow.read_paused:
            self._deadline = max(self._deadline, now + BODY_IDLE_SECONDS)  # it is we who let them wait
        if self._cycles and not self._is_reading_body:
            self._deadline = max(self._deadline, now + HEAD_SECONDS)  # an answer is under way: that is not cut
        if self._deadline > now:
            self._timer = self.loop.call_later(LOOK_SECONDS, self._look)
            return
        if not self._cycles:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._is_websocket:
            self._heard_early(data)
            return
        was_reading_headers = self._is_reading_headers
        if self._is_reading_body:
            self._deadline = self.loop.time() + BODY_IDLE_SECONDS
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._is_websocket:
                self._heard_early(data[offer.args[0] :])
            else:
                self._read_again_without_offer(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if was_reading_headers and self._is_reading_headers:
            self._unfinished_bytes += len(data)  # the parser shows a header, and counts it, only when it is complete
            if self._unfinished_bytes > HEADER_BYTES and not self.transport.is_closing():
                self._is_too_large = True
                self.send_400_response("")

    def _heard_early(self, data: bytes) -> None:
        """What the caller says before the upstream has agreed."""
        self._early += data
        if len(self._early) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The bare connection, and what came on it already. Nothing else here may be used any more."""
        self._cycles[0].disconnected = True  # its answer is no longer uvicorn's business
        self.connections.discard(self)
        self._timer.cancel()
        self.task = None
        self.flow.resume_reading()
        return self.transport, self._early

    def _read_again_without_offer(self, rest: bytes) -> None:
        """A parser that met an offer takes what follows for another protocol: a new one gets the head without it."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_offer = False
        self._is_reading_headers = True
        self._deadline = self.loop.time() + HEAD_SECONDS
        self._header_bytes = 0
        self._unfinished_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_reading_headers:
            return
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= HEADER_COUNT or self._header_bytes > HEADER_BYTES:
            self._is_too_large = True
            raise ValueError("the request has too many or too long headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_reading_headers = False
        self._is_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        self._is_websocket = self._is_offer and self._is_websocket_offer()
        if self._is_offer and not self._is_websocket:
            return
        if sum(name == b"host" for name, _ in self.headers) > 1:
            raise ValueError("a second Host could mean another site to whoever reads it (RFC 9112 §3.2)")
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[CALLER] = self
        scope[TARGET] = self.url
        scope[UPGRADE] = self._is_websocket
        super().on_headers_complete()
        self._cycles.append(self.cycle)
        self._is_reading_body = True
        self._deadline = self.loop.time() + BODY_IDLE_SECONDS

    def on_response_complete(self) -> None:
        self._cycles.popleft()
        super().on_response_complete()

    def _is_websocket_offer(self) -> bool:
        """RFC 6455 §4.1: a GET without a body, on a connection that nothing waits on."""
        names = dict(self.headers)
        has_body = b"content-length" in names or b"transfer-encoding" in names
        return (
            self.parser.get_method() == b"GET"
            and names.get(b"upgrade", b"").lower() == b"websocket"
            and not has_body
            and not self._cycles
        )

    def on_message_complete(self) -> None:
        self._is_reading_body = False
        self._deadline = math.inf
        if not self._is_offer or self._is_websocket:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._is_too_large:
            super().send_400_response(msg)
            return
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        for cycle in self._cycles:
            cycle.disconnected = True  # uvicorn tells only the latest, and logs the others as faults of ours
        super().connection_lost(exc)
        if self.task is not None:
            task, self.task = self.task, None
            task.cancel()

    def cut(self) -> None:
        self._cycles[0].disconnected = True  # spares the log uvicorn's complaint about an answer without an end
        self.transport.abort()
