"""Reads beside a burst: asked steadily from another process, and one that nobody answers took for ever."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from ..reading import Ask
from ..reads import WARM_READS, reading

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Upstream:
    """Answers so many reads, refuses one, and then says nothing more."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked = 0
        self.is_left_alone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.asked == self.most + 1:
            writer.write(ANSWER.replace(b"200 OK", b"503 Busy"))
        elif self.asked > self.most:
            self.is_left_alone.set()
            await reader.read()
        else:
            writer.write(ANSWER)
        writer.close()


async def test_each_read_says_when_it_was_asked_and_what_it_took() -> None:
    upstream = Upstream(most=WARM_READS + 2)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    ask = Ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"", "GET")

    async with server, reading(ask, 60) as reader:
        began = time.monotonic()
        await asyncio.wait_for(upstream.is_left_alone.wait(), 30)
        found = await reader.ended()

    answered = [took for _, took in found if math.isfinite(took)]
    assert len(answered) == 2
    assert all(0 < took < 30 for took in answered)
    assert [took for _, took in found].count(math.inf) >= 2
    assert all(began - 1 < asked <= time.monotonic() for asked, _ in found)


async def test_a_read_that_is_refused_ends_the_benchmark() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER.replace(b"200 OK", b"403 No"))
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    ask = Ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"", "GET")

    async with server:
        with pytest.raises(SystemExit, match="did not begin"):
            async with reading(ask, 60):
                pass
