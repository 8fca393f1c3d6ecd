"""A small proxy that passes everything on as it is, writes down what passes, and can be told to spoil it.

It stands between a test and a side, to see that the tests notice what it spoils; or before a monolith, to record.
One connection for each request, one thread for each connection; for tests and recordings, not for traffic.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import h11

MOST_BYTES = 64 * 1024 * 1024
READ_BYTES = 65536
PATIENCE_SECONDS = 60.0

Headers = list[tuple[bytes, bytes]]
_OF_ONE_CONNECTION = (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Got:
    """An answer as it came, or as it is to be passed on."""

    status: int
    headers: Headers
    body: bytes = b""
    is_whole: bool = True


@dataclass(frozen=True)
class Spoil:
    """What is changed on the way; everything else stays."""

    asked: Callable[[Asked], Asked] = field(default=lambda asked: asked)
    got: Callable[[Asked, Got], Got] | None = None
    """Needs the whole answer, so a stream is held back until its end."""
    head: Callable[[Asked, Got], Got] = field(default=lambda _, got: got)
    """Status and headers only; the body passes as it comes."""
    ends_cut_streams: bool = False
    """What was cut is given a clean end."""
    passes_on_hops: bool = False
    """Headers that `Connection` names are passed on."""


@contextmanager
def between(url: str, spoil: Spoil | None = None, seen: Callable[[Asked, Got], None] | None = None, port: int = 0
            ) -> Iterator[str]:  # fmt: skip
    """The address of a proxy in front of `url`; `seen` is told of every exchange, whole."""
    parts = urlsplit(url)
    upstream = (parts.hostname or "", parts.port or 80)

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE_SECONDS)
            with suppress(OSError, h11.ProtocolError):
                _pass_on(self.request, upstream, spoil or Spoil(), seen)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    with Server(("127.0.0.1", port), Passing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _pass_on(
    caller: socket.socket, upstream: tuple[str, int], spoil: Spoil, seen: Callable[[Asked, Got], None] | None
) -> None:
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    asked = read_request(server, caller)
    if asked is None:
        return
    sent = spoil.asked(asked)
    with socket.create_connection(upstream, PATIENCE_SECONDS) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        _send(client, connection, sent if spoil.passes_on_hops else replace(sent, headers=_of_the_end(sent.headers)))
        got = _head(client, connection, asked, spoil)
        if got is None:
            return
        if spoil.got is None:
            got = _stream(server, caller, client, connection, got, spoil)
        else:
            rest = read(client, connection)
            got = spoil.got(asked, replace(got, body=rest.body, is_whole=rest.is_whole))
            _answer(server, caller, got)
    if seen is not None:
        seen(asked, got)


def read_request(server: h11.Connection, caller: socket.socket) -> Asked | None:
    head, body = None, b""
    while True:
        event = _next(server, caller)
        if isinstance(event, h11.Request):
            head = event
            if server.they_are_waiting_for_100_continue:
                caller.sendall(server.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        elif isinstance(event, h11.Data) and len(body) < MOST_BYTES:
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            raw = list(head.headers.raw_items())
            return Asked(head.method.decode(), head.target.decode("latin-1"), raw, body)
        else:
            return None


def _send(client: h11.Connection, connection: socket.socket, asked: Asked) -> None:
    headers = [each for each in asked.headers if each[0].lower() != b"content-length"]
    is_chunked = any(name.lower() == b"transfer-encoding" for name, _ in asked.headers)
    headers = [each for each in headers if each[0].lower() not in (b"connection", b"transfer-encoding")]
    if is_chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif asked.body or any(name.lower() == b"content-length" for name, _ in asked.headers):
        headers.append((b"Content-Length", str(len(asked.body)).encode()))
    headers.append((b"Connection", b"close"))
    head = h11.Request(method=asked.method, target=asked.target.encode("latin-1"), headers=headers)
    told = [client.send(head), client.send(h11.Data(data=asked.body)) if asked.body else b""]
    with suppress(OSError):  # an answer may come before the whole request is read
        connection.sendall(b"".join(filter(None, [*told, client.send(h11.EndOfMessage())])))


def _head(client: h11.Connection, connection: socket.socket, asked: Asked, spoil: Spoil) -> Got | None:
    while True:
        event = _next(client, connection)
        if isinstance(event, h11.Response):
            headers = list(event.headers.raw_items())
            kept = headers if spoil.passes_on_hops else _of_the_end(headers)
            return spoil.head(asked, Got(event.status_code, kept))
        if not isinstance(event, h11.InformationalResponse):
            return None


def _stream(
    server: h11.Connection, caller: socket.socket, client: h11.Connection, connection: socket.socket, got: Got,
    spoil: Spoil,
) -> Got:  # fmt: skip
    """As it comes. What is cut is cut here too, unless this is what is spoiled."""
    caller.sendall(server.send(_response(got, got.headers)) or b"")
    body = b""
    while True:
        try:
            event = _next(client, connection)
        except (OSError, h11.ProtocolError):
            if spoil.ends_cut_streams:
                caller.sendall(server.send(h11.EndOfMessage()) or b"")
            return replace(got, body=body, is_whole=False)
        if isinstance(event, h11.Data):
            body += bytes(event.data) if len(body) < MOST_BYTES else b""
            caller.sendall(server.send(h11.Data(data=event.data)) or b"")
        else:
            caller.sendall(server.send(h11.EndOfMessage()) or b"")
            return replace(got, body=body)


def read(client: h11.Connection, connection: socket.socket, on_piece: Callable[[], object] = lambda: None) -> Got:
    """The rest of an answer, as far as it comes."""
    got = Got(0, [], is_whole=False)
    while True:
        try:
            event = _next(client, connection)
        except (OSError, h11.ProtocolError):
            return got
        if isinstance(event, h11.Response):
            got = replace(got, status=event.status_code, headers=list(event.headers.raw_items()))
        elif isinstance(event, h11.Data):
            got = replace(got, body=got.body + bytes(event.data))
            on_piece()
        elif not isinstance(event, h11.InformationalResponse):
            return replace(got, is_whole=isinstance(event, h11.EndOfMessage))


def _answer(server: h11.Connection, caller: socket.socket, got: Got) -> None:
    length = [(b"Content-Length", str(len(got.body)).encode())] if got.is_whole and got.body else []
    kept = [each for each in got.headers if each[0].lower() != b"content-length" or not got.body]
    caller.sendall(server.send(_response(got, [*kept, *length])) or b"")
    if got.body and server.our_state is h11.SEND_BODY:
        caller.sendall(server.send(h11.Data(data=got.body)) or b"")
    if got.is_whole:
        caller.sendall(server.send(h11.EndOfMessage()) or b"")


def _response(got: Got, headers: Headers) -> h11.Response:
    kept = [each for each in headers if each[0].lower() not in (b"connection", b"transfer-encoding")]
    return h11.Response(status_code=got.status, headers=[*kept, (b"Connection", b"close")])


def _of_the_end(headers: Headers) -> Headers:
    """Less those of one connection (RFC 9110, 7.6.1). How a body is framed is said anew."""
    said = b",".join(value for name, value in headers if name.lower() == b"connection")
    named = {word.strip().lower() for word in said.split(b",")} | set(_OF_ONE_CONNECTION) - {b"transfer-encoding"}
    return [each for each in headers if each[0].lower() not in named]


def _next(connection: h11.Connection, peer: socket.socket) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(peer.recv(READ_BYTES))
    return event
