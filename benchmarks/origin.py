"""The service behind the measured proxies: a small JSON answer, or a stream of events; as lean as Python can be."""

from __future__ import annotations

import argparse
import asyncio
import itertools
from typing import cast

import uvloop

ITEMS = (b'{"id":%d,"subject":"a lamp that does not light","open":true}' % number for number in range(3))
JSON = b'{"items":[' + b",".join(ITEMS) + b"]}"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Date: Wed, 01 Jan 2025 00:00:00 GMT\r\nServer: origin\r\n\r\n" % len(JSON) + JSON
)
EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENT = b"data: " + b"x" * 62 + b"\n\n"
"""70 bytes."""
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
EVENT_SECONDS = 0.02
GROUPS = 20
"""The streams do not all speak at once: they take turns, a twentieth of them each millisecond."""


class Origin(asyncio.Protocol):
    """A path that begins with /events is a stream without an end; everything else is the small answer."""

    def __init__(self, groups: list[set[asyncio.Transport]], turns: itertools.cycle[int]) -> None:
        self._groups = groups
        self._turns = turns
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        while b"\r\n\r\n" in self._head:
            head, _, self._head = self._head.partition(b"\r\n\r\n")
            if head.startswith(b"GET /events"):
                self._transport.write(EVENTS)
                self._groups[next(self._turns)].add(self._transport)
            else:
                self._transport.write(ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        for group in self._groups:
            group.discard(self._transport)


async def serve(port: int, event_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    groups: list[set[asyncio.Transport]] = [set() for _ in range(GROUPS)]
    turns = itertools.cycle(range(GROUPS))
    await loop.create_server(lambda: Origin(groups, turns), "127.0.0.1", port, backlog=4096)
    at = loop.time()
    for group in itertools.cycle(groups):
        for transport in group:
            transport.write(CHUNK)
        at += event_seconds / GROUPS
        await asyncio.sleep(max(0.0, at - loop.time()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--event-seconds", type=float, default=EVENT_SECONDS, help="between two events of a stream")
    chosen = parser.parse_args()
    uvloop.run(serve(chosen.port, chosen.event_seconds))
