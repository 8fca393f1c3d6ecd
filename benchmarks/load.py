"""Load for one proxy, as a process of its own: requests on kept connections, or many open event streams.

`requests` says what it saw as JSON. `events` says `open` once every stream has spoken, then how many events came in
the time that follows, and keeps the streams open until its input is closed: meanwhile memory can be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

OPEN_SECONDS = 10.0
"""So long may all streams together take to begin."""


class Asking(asyncio.Protocol):
    """One connection that asks again once it is answered, with a length or in chunks, and has paused."""

    def __init__(self, request: bytes, pause_seconds: float, seconds: list[float], failed: list[str]) -> None:
        self._request = request
        self._pause_seconds = pause_seconds
        self._seconds = seconds
        self._failed = failed
        self._answer = b""
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or b"-1")
        if not head.startswith(b"HTTP/1.1 200"):
            self._failed.append(head.split(b"\r\n")[0].decode())
            self._transport.abort()
        elif 0 <= length <= len(body) or (length < 0 and body.endswith(b"0\r\n\r\n")):
            self._seconds.append(time.perf_counter() - self._asked)
            self._answer = b""
            if self._pause_seconds:
                asyncio.get_running_loop().call_later(self._pause_seconds, self._ask_on)
            else:
                self._ask_on()

    def _ask_on(self) -> None:
        if not self.is_over:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_over:
            self._failed.append("the connection ended")


async def requests(url: str, connections: int, seconds: float, pause_seconds: float = 0.0) -> dict[str, float | int]:
    """Requests finished, failures, and the median of the seconds that an answer took."""
    host, port, request = _request(url)
    took: list[float] = []
    failed: list[str] = []
    loop = asyncio.get_running_loop()
    asking = [
        (await loop.create_connection(lambda: Asking(request, pause_seconds, took, failed), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for each in asking:
        each.is_over = True
    took.sort()
    return {"requests": len(took), "failed": len(failed), "p50_seconds": took[len(took) // 2] if took else 0.0}


class Listening(asyncio.Protocol):
    """One stream; counts its events by their bytes."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.events = 0
        self.has_spoken = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"data: ")
        if self.events:
            self.has_spoken.set()


async def events(url: str, streams: int, seconds: float) -> int:
    """Events that came while all streams were open."""
    host, port, request = _request(url)
    loop = asyncio.get_running_loop()
    listening = [(await loop.create_connection(lambda: Listening(request), host, port))[1] for _ in range(streams)]
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await asyncio.gather(*(each.has_spoken.wait() for each in listening))
    except TimeoutError:
        print(f"{sum(each.events > 0 for each in listening)} of {streams} streams spoke", flush=True)
        return 0
    print("open", flush=True)
    before = sum(each.events for each in listening)
    await asyncio.sleep(seconds)
    count = sum(each.events for each in listening) - before
    print(count, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    return count


def _request(url: str) -> tuple[str, int, bytes]:
    parts = urlsplit(url)
    return (
        parts.hostname or "",
        parts.port or 80,
        b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (parts.path.encode(), parts.netloc.encode()),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["requests", "events"])
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--pause-seconds", type=float, default=0.0, help="of a connection before its next request")
    chosen = parser.parse_args()
    if chosen.kind == "requests":
        print(json.dumps(uvloop.run(requests(chosen.url, chosen.connections, chosen.seconds, chosen.pause_seconds))))
    else:
        uvloop.run(events(chosen.url, chosen.connections, chosen.seconds))
