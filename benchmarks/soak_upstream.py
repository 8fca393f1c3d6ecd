"""An upstream that answers well, badly or not at all, as the path says: what a router has to live with for years."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import cast

import httptools
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"content-length: 2\r\n\r\nok"
SICK = b"HTTP/1.1 500 Sick\r\ncontent-length: 0\r\n\r\n"
BIG_BYTES = 1_048_576
BIG = HEAD + b"content-length: %d\r\n\r\n" % BIG_BYTES + bytes(BIG_BYTES)
EVENTS = 20
EVENT = b"10\r\ndata: 0123456789\r\n"
FLOOD = HEAD + b"x-flood: 0123456789\r\n" * 5000
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
AT_ONCE = {
    b"/ok": OK,
    b"/gone": OK,
    b"/split": OK,
    b"/flap": OK,
    b"/nothing": b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
    b"/big": BIG,
    b"/surplus": OK + b"and more",
}
THEN_CLOSED = {
    b"/close": b"",
    b"/half-head": b"HTTP/1.1 20",
    b"/half-body": HEAD + b"content-length: 100\r\n\r\nhalf",
    b"/half-chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n" + EVENT,
    b"/garbage": b"garbage\r\n\r\n",
    b"/flood": FLOOD,
}
LATER_SECONDS = {b"/slow": 0.2, b"/busy": 0.02}


class Upstream(asyncio.Protocol):
    """One connection. It is sick for two seconds of twelve on /sick, and on /healthz for five of ten."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._is_joined = False
        self._path = b""
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._is_joined:
            self._transport.write(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._is_joined = True
            self._transport.write(SWITCH + data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        path, write = self._path, self._transport.write
        if path in AT_ONCE:
            write(AT_ONCE[path])
        elif path in THEN_CLOSED:
            write(THEN_CLOSED[path])
            self._transport.close()
        elif path in LATER_SECONDS:
            self._loop.call_later(LATER_SECONDS[path], self._say, OK)
        elif path in (b"/echo", b"/copied"):
            count = b"%d" % self._body_bytes
            write(HEAD + b"content-length: %d\r\n\r\n" % len(count) + count)
        elif path == b"/stream":
            write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
            self._stream(EVENTS)
        elif path == b"/sick":
            write(SICK if self._loop.time() % 12 < 2 else OK)
        elif path == b"/healthz":
            write(SICK if self._loop.time() % 10 < 5 else OK)
        elif path == b"/reset":
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._transport.abort()

    def _say(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _stream(self, left: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(EVENT if left else b"0\r\n\r\n")
        if left:
            self._loop.call_later(0.005, self._stream, left - 1)


async def serve(say: Callable[[int], None]) -> None:
    """Until its input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", 0, backlog=2048)
    say(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(lambda port: print(port, flush=True)))
