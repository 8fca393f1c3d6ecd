"""Both ends of the wire, byte by byte: upstreams that send what a test says, and callers that read what came."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import h11

SECONDS = 20.0
"""So long a test waits for anything before it fails: it says nothing about time, on however busy a machine."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Asked:
    """One request as an upstream read it."""

    head: bytes
    body: bytes = b""
    """With its chunk framing, if it is chunked."""

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def values(self, wanted: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name == wanted]


class Talk:
    """One connection as an upstream sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[Asked]) -> None:
        self.reader = reader
        self.writer = writer
        self._asked = asked

    async def head(self) -> Asked | None:
        """The next request's head; None if the connection ended instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._asked.append(Asked(head))
        return self._asked[-1]

    async def request(self) -> Asked | None:
        """The next request with its body; None if the connection ended instead."""
        asked = await self.head()
        if asked is None:
            return None
        body = b""
        if asked.values(b"transfer-encoding"):
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.reader.readline()
        elif lengths := asked.values(b"content-length"):
            body = await self.reader.readexactly(int(lengths[0]))
        self._asked[self._asked.index(asked)] = asked = Asked(asked.head, body)
        return asked

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ended(self) -> None:
        """Wait until the other side closes; what it still says is thrown away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


Script = Callable[[Talk], Awaitable[None]]


def always(answer: bytes) -> Script:
    """Answers every request of a connection with the same bytes."""

    async def talk(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(answer)

    return talk


def once(answer: bytes) -> Script:
    """Answers one request and closes."""

    async def talk(talk: Talk) -> None:
        if await talk.request() is not None:
            await talk.send(answer)

    return talk


@dataclass
class Upstream:
    """A listening server. `asked` holds every request's head and body in order of arrival."""

    port: int
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def upstream(
    script: Script, *, tls: ssl.SSLContext | None = None, path: Path | None = None
) -> AsyncIterator[Upstream]:
    """A server on a free port, or on a Unix socket, that runs `script` on each connection and closes it afterwards."""
    tasks: set[asyncio.Task[None]] = set()
    self = Upstream(0, "http" if tls is None else "https")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            # uvloop says RuntimeError of a transport that is closed already.
            with contextlib.suppress(
                ConnectionError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await script(Talk(reader, writer, self.asked))
        finally:
            self.open -= 1
            writer.close()
            # Whoever reset it has told asyncio so, which complains if nobody asks.
            with contextlib.suppress(ConnectionError, RuntimeError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)

    if path is None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(serve, path)
    try:
        yield self
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Answer:
    """What a caller got."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    is_cut: bool = False
    """The connection ended before the answer did."""

    def values(self, wanted: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name == wanted]


class Caller:
    """A caller's connection; h11, which is not ours, says what its answers mean."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._left_over = b""
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, method: bytes = b"GET") -> Answer:
        """The next answer's head."""
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=1_000_000)
        self._h11.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"h")]))
        self._h11.send(h11.EndOfMessage())
        if self._left_over:
            self._h11.receive_data(self._left_over)
        event = await self._event()
        while isinstance(event, h11.InformationalResponse):
            event = await self._event()
        assert isinstance(event, h11.Response), event
        return Answer(event.status_code, list(event.headers))

    async def piece(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises h11.RemoteProtocolError if it is cut."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event
        self._left_over = self._h11.trailing_data[0]
        return b""

    async def answer(self, method: bytes = b"GET") -> Answer:
        answer = await self.head(method)
        try:
            while piece := await self.piece():
                answer.body += piece
        except (h11.RemoteProtocolError, ConnectionError):
            answer.is_cut = True
        return answer

    async def ask(self, request: bytes) -> Answer:
        await self.send(request)
        return await self.answer(request.split(b" ")[0])

    async def ended(self) -> bytes:
        """Everything until the connection ends."""
        return await asyncio.wait_for(self.reader.read(), SECONDS)

    def leave(self) -> None:
        self.writer.transport.abort()

    async def _event(self) -> object:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(SECONDS):
                self._h11.receive_data(await self.reader.read(65_536))
        return event


@contextlib.asynccontextmanager
async def caller(port: int, *, limit: int = 65_536) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something is so; fails when it is not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
