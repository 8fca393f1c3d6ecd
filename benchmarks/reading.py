"""Many HTTP answers read at once, as cheaply as Python can: bytes and times now, what they say when all is over."""

from __future__ import annotations

import asyncio
import json
import re
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 180.0
UNFINISHED = "no end in the time that there was"


@dataclass(frozen=True)
class Ask:
    """One request, answered with a stream of events or with something whole."""

    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def head(self) -> bytes:
        """`Connection: close`: the end of the connection is the end of the answer, whatever stands in it."""
        parts = urlsplit(self.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"Content-Length: {len(self.body)}", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


class Reading(asyncio.Protocol):
    """One stream as it comes."""

    def __init__(self, crowd: Crowd, ask: Ask) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self.asked = time.monotonic()
        self.ended = 0.0
        self.pieces: list[bytes] = []
        self.times: list[float] = []
        self._crowd = crowd
        self._ask = ask

    def connection_made(self, transport: Any) -> None:
        transport.write(self._ask.head() + self._ask.body)

    def data_received(self, data: bytes) -> None:
        if not self.pieces:
            self._crowd.open += 1
        self.times.append(time.monotonic())
        self.pieces.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = time.monotonic()
        self._crowd.open -= bool(self.pieces)
        if not self.over.done():
            self.over.set_result(None)


@dataclass
class Crowd:
    """Streams begun evenly over a time. They are open together if that is shorter than a stream."""

    asks: list[Ask]
    over_seconds: float
    patience_seconds: float = PATIENCE_SECONDS  # then nobody waits for an answer any longer
    open: int = 0  # streams whose answer has begun and not ended

    async def read(self) -> list[Stream]:
        readings = await asyncio.gather(*(self._one(number, ask) for number, ask in enumerate(self.asks)))
        return [_stream(reading) for reading in readings]

    async def _one(self, number: int, ask: Ask) -> Reading | str:
        await asyncio.sleep(self.over_seconds * number / len(self.asks))
        try:
            transport, reading = await asyncio.get_running_loop().create_connection(
                lambda: Reading(self, ask), *ask.address()
            )
        except OSError as error:
            return type(error).__name__
        try:
            await asyncio.wait_for(reading.over, self.patience_seconds)
        except TimeoutError:
            transport.abort()
            return UNFINISHED
        return reading


@dataclass(frozen=True)
class Stream:
    """What one caller saw. Times are those of time.monotonic()."""

    error: str = ""
    asked: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    text: str = ""
    token_times: list[float] = field(default_factory=list)

    @property
    def first_seconds(self) -> float:
        return self.token_times[0] - self.asked

    @property
    def gaps_seconds(self) -> list[float]:
        return [later - sooner for sooner, later in pairwise(self.token_times)]


def _stream(reading: Reading | str) -> Stream:
    """The tokens of a complete answer, or what is wrong with it. An answer that is no stream counts as one token."""
    if isinstance(reading, str):
        return Stream(error=reading)
    raw = b"".join(reading.pieces)
    head, _, chunked = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return Stream(error=head.split(b"\r\n")[0].decode("latin-1") or "closed without an answer")
    if b"content-type: text/event-stream" not in head.lower():
        return _whole(reading, head, chunked)
    piece_ends = list(accumulate(map(len, reading.pieces)))
    texts: list[str] = []
    times: list[float] = []
    last, rest = "", b""
    for end, chunk in _chunks(chunked):
        came = reading.times[bisect_left(piece_ends, len(raw) - len(chunked) + end)]
        *events, rest = (rest + chunk).split(b"\n\n")
        for event in events:
            last = event.decode()
            if text := _text(last):
                texts.append(text)
                times.append(came)
    # Both wire formats say so when the answer is whole; the last chunk says that nothing is missing after it.
    if not chunked.endswith(b"\r\n0\r\n\r\n") or not (last == "data: [DONE]" or last.startswith("event: done\n")):
        return Stream(error="the answer is not complete")
    return Stream("", reading.asked, reading.times[0], reading.ended, "".join(texts), times)


def _whole(reading: Reading, head: bytes, body: bytes) -> Stream:
    """An answer with a length, or the same in chunks."""
    if length := re.search(rb"\r\ncontent-length: *(\d+)", head.lower()):
        is_complete, text = len(body) == int(length[1]), body
    else:
        is_complete, text = body.endswith(b"0\r\n\r\n"), b"".join(chunk for _, chunk in _chunks(body))
    if not is_complete:
        return Stream(error="the answer is not complete")
    return Stream("", reading.asked, reading.times[0], reading.ended, text.decode(), [reading.times[-1]])


def _chunks(body: bytes) -> list[tuple[int, bytes]]:
    """Each chunk of the transfer coding (RFC 9112, section 7.1), with the place where it ends."""
    found, start = [], 0
    while (line_end := body.find(b"\r\n", start)) >= 0:
        size = int(body[start:line_end], 16)
        start = line_end + 2 + size + 2
        found.append((min(start, len(body)), body[line_end + 2 : start - 2]))
        if not size:
            break
    return found


def _text(event: str) -> str:
    """What an event adds to the text: the provider's, in OpenAI's format, or the service's."""
    _, _, data = event.rpartition("data: ")
    if data == "[DONE]":
        return ""
    said = json.loads(data)
    if "choices" in said:
        return "".join(choice["delta"].get("content") or "" for choice in said["choices"])
    return str(said.get("text", ""))
