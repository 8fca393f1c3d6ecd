"""The origin behind every target: it writes down what it is asked, and answers what the case at hand says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from .wire import END, Asked, dechunk, is_chunked

LIMIT = 4 * 1024 * 1024
"""So long may a head or a line of what the origin reads be, in bytes."""

WHOSE = rb"\bk\d\d\d\b"
"""How a case marks its requests (see `case.py`)."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Talk:
    """One request as the origin's script handles it: its head is read, its body is not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
        self.reader = reader
        self.writer = writer
        self.asked = asked

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def body(self) -> bytes:
        """Read the request to its end. Raises IncompleteReadError if it is cut."""
        asked = self.asked
        if is_chunked(asked):
            await self._chunks()
        elif lengths := asked.values(b"content-length"):
            while missing := int(lengths[0]) - len(asked.body):
                if not (piece := await self.reader.read(min(missing, 65_536))):
                    raise asyncio.IncompleteReadError(asked.body, int(lengths[0]))
                asked.body += piece
        asked.is_whole = True
        return asked.body

    async def _chunks(self) -> None:
        framed = b""
        while True:
            line = await self.reader.readuntil(b"\r\n")
            framed += line
            if not re.match(rb"[0-9A-Fa-f]+[\r;]", line):
                raise asyncio.IncompleteReadError(framed, None)
            if (size := int(line.partition(b";")[0], 16)) == 0:
                break
            framed += await self.reader.readexactly(size + 2)
        while line != b"\r\n":
            framed += (line := await self.reader.readuntil(b"\r\n"))
        dechunk(self.asked, framed)

    async def left(self) -> None:
        """Wait until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass
        self.asked.is_left = True

    def reset(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Talk], Awaitable[None]]
"""Handles one request; the connection is kept for the next one unless the script closes it."""


def says(answer: bytes, *, closes: bool = False) -> Script:
    """Reads the request to its end and answers."""

    async def script(talk: Talk) -> None:
        await talk.body()
        await talk.send(answer)
        if closes:
            talk.writer.close()

    return script


class Origin:
    """`asked` holds every request, in order of arrival; one that was cut is not whole."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Asked] = []
        self.scripts: dict[bytes, Script] = {}
        """By the case's mark (see `case.py`), which stands somewhere in the request's head."""
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(OSError, RuntimeError, ValueError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._request(reader, writer, number)
        except (asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            asked = Asked(await reader.readuntil(END))
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                self.asked.append(Asked(cut.partial))
            raise
        asked.connection = number
        self.asked.append(asked)
        talk = Talk(reader, writer, asked)
        found = re.search(WHOSE, asked.head.lower())
        script = self.scripts.get(found[0]) if found else None
        try:
            await (script or says(OK))(talk)
        except (OSError, asyncio.IncompleteReadError):
            asked.is_left = True
            raise

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def origin() -> AsyncIterator[Origin]:
    self = Origin()
    server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=LIMIT)
    self.port = server.sockets[0].getsockname()[1]
    try:
        yield self
    finally:
        server.close()
        await self.close()
