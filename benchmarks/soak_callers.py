"""The callers of the soak: what each asks, how it behaves, and what it may get."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple, cast

import httptools

from .soak_upstream import BIG_BYTES, EVENTS

CUT, LEFT, JOINED = "cut", "left", "joined"
PATIENCE_SECONDS = 30.0
FRAMES = b"\x82\x84\0\0\0\0abcd" * 50


class Kind(NamedTuple):
    """What a caller does once; `weight` of all weights is its share."""

    weight: int
    request: bytes
    allowed: tuple[int | str, ...] = (200,)
    body_bytes: int | None = None
    leaves_after_seconds: float | None = None
    is_alone: bool = False
    """On a connection of its own."""


def _get(path: str, method: str = "GET", extra: str = "", body: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: soak\r\ncookie: sessionid={{}}\r\n{extra}\r\n".encode() + body


def _post(path: str, size: int) -> bytes:
    return _get(path, "POST", f"content-length: {size}\r\n", bytes(size))


def _chunked(path: str, pieces: int) -> bytes:
    body = b"".join(b"400\r\n" + bytes(1024) + b"\r\n" for _ in range(pieces)) + b"0\r\n\r\n"
    return _get(path, "POST", "transfer-encoding: chunked\r\n", body)


OFFER = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: c29haw==\r\n"
KINDS = {
    "read": Kind(600, _get("/ok"), body_bytes=2),
    "read of a split route": Kind(60, _get("/split"), body_bytes=2),
    "upload": Kind(50, _post("/echo", 20_000), body_bytes=5),
    "upload that is copied": Kind(20, _post("/copied", 2000), body_bytes=4),
    "long upload": Kind(3, _post("/echo", 1_000_000), body_bytes=7),
    "chunked upload, held": Kind(20, _chunked("/echo", 20), body_bytes=5),
    "chunked upload, streamed": Kind(20, _chunked("/sick", 20), (200, 500)),
    "not modified": Kind(20, _get("/nothing"), (304,), 0),
    "head": Kind(10, _get("/ok", "HEAD"), is_alone=True),
    "download": Kind(5, _get("/big"), body_bytes=BIG_BYTES),
    "stream": Kind(30, _get("/stream"), body_bytes=EVENTS * 16),
    "slow answer": Kind(10, _get("/slow"), body_bytes=2),
    "unreachable, read, fallback": Kind(15, _get("/gone"), body_bytes=2),
    "unreachable, write, fallback": Kind(5, _post("/gone", 3000), body_bytes=2),
    "sick route that trips": Kind(40, _get("/sick"), (200, 500)),
    "upstream that is down half the time": Kind(10, _get("/flap"), body_bytes=2),
    "narrow upstream": Kind(20, _get("/busy"), (200, 503)),
    "closed without an answer": Kind(8, _get("/close"), (502,)),
    "closed in the head": Kind(4, _get("/half-head"), (502,)),
    "closed in the body": Kind(5, _get("/half-body"), (CUT,)),
    "closed in the chunks": Kind(5, _get("/half-chunks"), (CUT,)),
    "reset": Kind(8, _get("/reset"), (502,)),
    "reset of a write": Kind(4, _post("/reset", 10), (502,)),
    "garbage": Kind(4, _get("/garbage"), (502,)),
    "flood of headers": Kind(2, _get("/flood"), (502,)),
    "answer with a surplus": Kind(4, _get("/surplus"), body_bytes=2),
    "silence": Kind(2, _get("/hang"), (504,)),
    "leaves before the answer": Kind(6, _get("/slow"), (LEFT,), leaves_after_seconds=0.02),
    "leaves in a stream": Kind(6, _get("/stream"), (LEFT,), leaves_after_seconds=0.05),
    "leaves in an upload": Kind(4, _post("/echo", 20_000)[:9000], (LEFT,), leaves_after_seconds=0.02),
    "leaves a narrow upstream": Kind(4, _get("/busy"), (LEFT,), leaves_after_seconds=0.01),
    "no HTTP": Kind(3, b"nonsense\r\n\r\n", (400,), is_alone=True),
    "too many headers": Kind(2, _get("/ok", extra="x: y\r\n" * 200), (431,), is_alone=True),
    "websocket": Kind(8, _get("/ws", extra=OFFER), (JOINED,), len(FRAMES), is_alone=True),
    "leaves a websocket": Kind(3, _get("/ws", extra=OFFER), (LEFT,), leaves_after_seconds=0.02, is_alone=True),
}  # fmt: skip


class Line(asyncio.Protocol):
    """A caller's connection; one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self.result: asyncio.Future[int | str] | None = None
        self.body_bytes = 0
        self.is_open = False
        self._is_head = self._is_joined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.is_open = True

    async def ask(self, request: bytes, leaves_after_seconds: float | None) -> int | str:
        """The answer's status once it is whole, or what else became of it."""
        result: asyncio.Future[int | str] = self._loop.create_future()
        self.result = result
        self.body_bytes = 0
        self._is_head = request.startswith(b"HEAD")
        self.transport.write(request)
        if leaves_after_seconds is None:
            return await result
        await asyncio.sleep(leaves_after_seconds)
        self.transport.abort()
        return LEFT

    def data_received(self, data: bytes) -> None:
        if self._is_joined:
            self._hear(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._is_joined = True
            self.transport.write(FRAMES)
            self._hear(data[upgrade.args[0] :])

    def _hear(self, data: bytes) -> None:
        self.body_bytes += len(data)
        if self.body_bytes >= len(FRAMES):
            self._settle(JOINED)

    def on_headers_complete(self) -> None:
        if self._is_head:
            self._settle(self._parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.is_open = False
        if self._parser.get_status_code() != 101:
            self._settle(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._settle(CUT)

    def _settle(self, result: int | str) -> None:
        if self.result is not None and not self.result.done():
            self.result.set_result(result)


class Soak:
    """So many requests by so many callers at once; `seen` counts what they got, `wrong` what they should not have."""

    def __init__(self, port: int, count: int, seed: int) -> None:
        self._port = port
        self._left = count
        self._count = count
        self._chance = random.Random(seed)  # noqa: S311  (no secret)
        self._names = list(KINDS)
        self._shares = list(accumulate(kind.weight for kind in KINDS.values()))
        self.seen: Counter[tuple[str, int | str]] = Counter()
        self.wrong: Counter[str] = Counter()

    @property
    def done(self) -> int:
        return self._count - self._left

    async def run(self, callers: int) -> None:
        await asyncio.gather(*(self._caller(f"{number}") for number in range(callers)))

    async def _caller(self, session: str) -> None:
        loop = asyncio.get_running_loop()
        mine = {name: kind.request.replace(b"{}", session.encode(), 1) for name, kind in KINDS.items()}
        line: Line | None = None
        while self._left > 0:
            self._left -= 1
            name = self._chance.choices(self._names, cum_weights=self._shares)[0]
            kind = KINDS[name]
            if line is None or not line.is_open or kind.is_alone:
                line = await self._connected(loop, line)
            async with asyncio.timeout(PATIENCE_SECONDS):
                result = await line.ask(mine[name], kind.leaves_after_seconds)
            self._note(name, kind, result, line.body_bytes)
            if kind.is_alone or result in (LEFT, CUT):
                line.transport.abort()
                line = None
        if line is not None:
            line.transport.abort()

    async def _connected(self, loop: asyncio.AbstractEventLoop, old: Line | None) -> Line:
        if old is not None:
            old.transport.abort()
        make: Callable[[], Line] = lambda: Line(loop)  # noqa: E731
        return (await loop.create_connection(make, "127.0.0.1", self._port))[1]

    def _note(self, name: str, kind: Kind, result: int | str, body_bytes: int) -> None:
        self.seen[name, result] += 1
        if result not in kind.allowed:
            self.wrong[f"{name}: {result}"] += 1
        elif kind.body_bytes is not None and body_bytes != kind.body_bytes and result != LEFT:
            self.wrong[f"{name}: {body_bytes} bytes of body instead of {kind.body_bytes}"] += 1
