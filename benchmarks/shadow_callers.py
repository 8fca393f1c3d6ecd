"""The callers of the shadow benchmark: as many a second as wanted, but each whenever it likes, on kept connections.

What a request takes counts from the moment at which it was to be sent: a caller whom the router keeps from the
processor has waited too.
"""

from __future__ import annotations

import asyncio
import random
from typing import cast

from .candidates import BODY

PATIENCE_SECONDS = 5.0
"""For the last answers."""


async def run(port: int, path: str, rate: float, seconds: float, draw: random.Random) -> tuple[list[float], int]:
    """The milliseconds that each right answer took, in order of size; and how many requests had none."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode()
    requests = int(rate * seconds)
    idle: list[_Line] = []
    lines: list[_Line] = []
    took: list[float] = []
    at = loop.time()
    for _ in range(requests):
        at += draw.expovariate(rate)
        await asyncio.sleep(at - loop.time())
        line = idle.pop() if idle else None
        if line is None or not line.is_open:
            _, line = await loop.create_connection(lambda: _Line(idle, took), "127.0.0.1", port)
            lines.append(line)
        line.ask(request, at)
    deadline = loop.time() + PATIENCE_SECONDS
    while len(took) < requests and loop.time() < deadline:  # noqa: ASYNC110  (no event per answer)
        await asyncio.sleep(0.01)
    for line in lines:
        line.transport.abort()
    return sorted(took), requests - len(took)


class _Line(asyncio.Protocol):
    """One kept connection to the router."""

    def __init__(self, idle: list[_Line], took: list[float]) -> None:
        self._idle = idle
        self._took = took
        self._answer = b""
        self._loop = asyncio.get_running_loop()
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, at: float) -> None:
        self._at = at
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.startswith(b"HTTP/1.1 200") and self._answer.endswith(b"\r\n\r\n" + BODY):
            self._took.append((self._loop.time() - self._at) * 1000)
            self._answer = b""
            self._idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
