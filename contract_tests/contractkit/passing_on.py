"""Whether somebody who only passes requests on does so faithfully: an origin of our own behind them, a caller before.

What a proxy must leave alone, and what it must not (RFC 9110, 7.6), seen from both ends on raw connections.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import h11

from .messages import Finding
from .spoiling import Asked, Got, Headers, read, read_request

WAIT_SECONDS = 2.0
"""So long the origin holds the rest of a stream back, for its beginning to arrive."""
PATIENCE_SECONDS = 10.0
TARGET = "/a%2Fb/%C3%A9//c;v=1/%41?q=1%202&q=a+b&empty=&bad=%zz"
EVERY_BYTE = bytes(range(256))
MAY_BE_ADDED = ("baggage", "connection", "content-length", "forwarded", "traceparent", "tracestate", "via", "date",
                "server", "x-answered-by", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id",
                "transfer-encoding")  # fmt: skip
_EVENTS = [b"event: delta\ndata: 1\n\n", b"event: done\ndata: 2\n\n"]


class Origin:
    """Answers what each check needs, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.has_arrived = threading.Event()
        """The caller has the beginning of the stream."""
        self.waited_in_vain = False
        self.url = ""

    def answer(self, asked: Asked) -> Iterator[Got | bytes | None]:
        """The head, pieces of the body, and None where the connection breaks."""
        match asked.target:
            case "/cookies":
                yield Got(200, [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"b=2; Expires=Wed, 21 Oct 2099"),
                                (b"X-Twice", b"one"), (b"X-Twice", b"two"), (b"Content-Length", b"0")])  # fmt: skip
            case "/hops":
                yield Got(200, [(b"Connection", b"x-hop"), (b"X-Hop", b"secret"), (b"Keep-Alive", b"timeout=1"),
                                (b"Content-Length", b"0")])  # fmt: skip
            case "/stream":
                yield Got(200, [(b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked")])
                yield _EVENTS[0]
                self.waited_in_vain = not self.has_arrived.wait(WAIT_SECONDS)
                yield _EVENTS[1]
            case "/cut":
                yield Got(200, [(b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked")])
                yield _EVENTS[0]
                yield None
            case "/encoded":
                yield Got(200, [(b"Content-Encoding", b"gzip"), (b"Content-Length", b"256"), (b"ETag", b'"x"')])
                yield EVERY_BYTE
            case "/teapot":
                yield Got(418, [(b"Content-Length", b"3"), (b"Retry-After", b"7")])
                yield b"tea"
            case _:
                yield Got(200, [(b"Content-Length", b"2")])
                yield b"ok"


@contextmanager
def origin() -> Iterator[Origin]:
    """On a free port, until the block ends."""
    behind = Origin()

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE_SECONDS)
            with suppress(OSError, h11.ProtocolError):
                _answer(self.request, behind)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        behind.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield behind
        finally:
            server.shutdown()
            thread.join()


def unfaithful(site: str, behind: Origin) -> list[Finding]:
    """Everything in which whoever is at `site` does not pass on what it should, or passes on what it should not."""
    found: list[Finding] = []
    for place, check in CHECKS.items():
        behind.asked.clear()
        found += [Finding("passing on", "every operation", place, says) for says in check(site, behind)]
    return found


def _paths(site: str, behind: Origin) -> Iterator[str]:
    _ask(site, TARGET)
    if (seen := _seen(behind).target) != TARGET:
        yield f"{TARGET} became {seen or 'no request at all'}"


def _request_headers(site: str, behind: Origin) -> Iterator[str]:
    sent = [(b"X-Twice", b"one"), (b"X-Twice", b"two"), (b"Cookie", b"a=1; b=2"), (b"Authorization", b"Bearer x")]
    _ask(site, "/", headers=sent)
    yield from _changed(sent, _seen(behind).headers)


def _forged(site: str, behind: Origin) -> Iterator[str]:
    """Whether there is such a header at all is the proxy's affair; what a caller wrote in it must not get through."""
    _ask(site, "/", headers=[(b"X-Forwarded-Host", b"evil.example"), (b"X-Forwarded-For", b"203.0.113.9")])
    for name, value in _seen(behind).headers:
        if b"evil.example" in value or value.strip() == b"203.0.113.9":
            yield f"the caller's own {name.decode()} is believed"


def _bodies(site: str, behind: Origin) -> Iterator[str]:
    _ask(site, "/", "POST", [(b"Content-Length", b"256")], EVERY_BYTE)
    if _seen(behind).body != EVERY_BYTE:
        yield f"{len(EVERY_BYTE)} bytes became {len(_seen(behind).body)}, or others"


def _statuses(site: str, behind: Origin) -> Iterator[str]:
    got = _ask(site, "/teapot")
    if (got.status, got.body) != (418, b"tea"):
        yield f"418 with 'tea' became {got.status} with {got.body!r}"
    yield from _changed([(b"Retry-After", b"7")], got.headers)


def _cookies(site: str, behind: Origin) -> Iterator[str]:
    values = [value for name, value in _ask(site, "/cookies").headers if name.lower() == b"set-cookie"]
    if values != [b"a=1; Path=/", b"b=2; Expires=Wed, 21 Oct 2099"]:
        yield f"two cookies became {len(values)}: a comma stands in dates too, so they cannot be merged"


def _answer_headers(site: str, behind: Origin) -> Iterator[str]:
    sent = [(b"X-Twice", b"one"), (b"X-Twice", b"two")]
    got = [each for each in _ask(site, "/cookies").headers if each[0].lower() != b"set-cookie"]
    yield from _changed(sent, got)


def _encodings(site: str, behind: Origin) -> Iterator[str]:
    got = _ask(site, "/encoded")
    if got.body != EVERY_BYTE:
        yield "an encoded body was touched"
    yield from _changed([(b"Content-Encoding", b"gzip"), (b"ETag", b'"x"')], got.headers)


def _hops(site: str, behind: Origin) -> Iterator[str]:
    got = _ask(site, "/hops", headers=[(b"Connection", b"x-hop"), (b"X-Hop", b"secret"), (b"Keep-Alive", b"1")])
    for who, headers in (("to the origin", _seen(behind).headers), ("to the caller", got.headers)):
        for name in (b"x-hop", b"keep-alive"):
            if any(each.lower() == name for each, _ in headers):
                yield f"{name.decode()} was passed on {who}, although it is of one connection only (RFC 9110, 7.6.1)"


def _streams(site: str, behind: Origin) -> Iterator[str]:
    behind.has_arrived.clear()
    got = _ask(site, "/stream", on_piece=behind.has_arrived.set)
    if behind.waited_in_vain:
        yield f"the first event was held back: it had not arrived when the origin had waited {WAIT_SECONDS:g} s"
    if (got.body, got.is_whole) != (b"".join(_EVENTS), True):
        yield "the stream is not what was sent"


def _cuts(site: str, behind: Origin) -> Iterator[str]:
    got = _ask(site, "/cut")
    if got.is_whole:
        yield "a stream that was cut ends as if it were whole"
    if got.body != _EVENTS[0]:
        yield "what came before the cut is not there"


CHECKS: dict[str, Callable[[str, Origin], Iterator[str]]] = {
    "path": _paths,
    "request headers": _request_headers,
    "forwarding headers": _forged,
    "request body": _bodies,
    "status": _statuses,
    "header set-cookie": _cookies,
    "answer headers": _answer_headers,
    "content encoding": _encodings,
    "hop-by-hop headers": _hops,
    "stream": _streams,
    "cut stream": _cuts,
}


def _seen(behind: Origin) -> Asked:
    """What came last; an empty request if none did."""
    return behind.asked[-1] if behind.asked else Asked("", "", [], b"")


def _changed(sent: Headers, got: Headers) -> Iterator[str]:
    """What was sent must be there, in its order and as often; what was not must be something a proxy may say."""
    names = {name.lower() for name, _ in sent}
    for name in sorted(names):
        before, after = ([value for each, value in side if each.lower() == name] for side in (sent, got))
        if before != after:
            yield f"{name.decode()} was {before}, and is {after}"
    own = {b"host", b"content-length", *names}
    for name in sorted({name.lower() for name, _ in got} - own):
        if name.decode() not in MAY_BE_ADDED:
            yield f"{name.decode()} was added"


def _ask(
    site: str,
    target: str,
    method: str = "GET",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    on_piece: Callable[[], object] = lambda: None,
) -> Got:
    """What a caller gets, on a connection of its own."""
    parts = urlsplit(site)
    with socket.create_connection((parts.hostname or "", parts.port or 80), PATIENCE_SECONDS) as connection:
        lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: " + parts.netloc.encode()]
        lines += [name + b": " + value for name, value in headers]
        connection.sendall(b"\r\n".join([*lines, b"", b""]) + body)
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        return read(client, connection, on_piece)


def _answer(caller: socket.socket, behind: Origin) -> None:
    server = h11.Connection(h11.SERVER)
    asked = read_request(server, caller)
    if asked is None:
        return
    behind.asked.append(asked)
    for said in behind.answer(asked):
        match said:
            case Got():
                connection = [] if any(n == b"Connection" for n, _ in said.headers) else [(b"Connection", b"close")]
                head = h11.Response(status_code=said.status, headers=[*said.headers, *connection])
                caller.sendall(server.send(head) or b"")
            case None:
                return
            case bytes():
                caller.sendall(server.send(h11.Data(data=said)) or b"")
    caller.sendall(server.send(h11.EndOfMessage()) or b"")
