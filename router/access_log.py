"""One line of JSON for each exchange, on standard output: what was asked and answered in kind, never in words.

A thread writes, so that a reader who is slow holds up nobody; what does not fit into its queue is dropped and counted.
"""

from __future__ import annotations

import datetime
import json
import os
import queue
import threading
import time
from typing import Any, Protocol

from starlette.types import Message, Send

LINES = 10_000
"""So many lines wait to be written."""
CLOSE_SECONDS = 2.0
"""How long the end waits for what is not written yet."""


class Told(Protocol):
    """What the telemetry knows of an exchange (see `telemetry.Trace`)."""

    exchange_id: int
    route: str
    path: str
    stage: str
    upstream: str
    error: str
    fallback: str
    status: int
    is_tripped: bool
    caller_left: bool


class AccessLog:
    """Of one process. `descriptor` is where the lines go."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(LINES)
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def begin(self, send: Send) -> Line:
        return Line(self, send)

    def add(self, fields: dict[str, Any]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, daemon=True, name="access log")
            self._thread.start()
        if self._dropped:
            fields["dropped_before"] = self._dropped
        try:
            self._lines.put_nowait(json.dumps(fields).encode() + b"\n")
        except queue.Full:
            self._dropped += 1
        else:
            self._dropped = 0

    def close(self) -> None:
        """Write what waits, for seconds."""
        if self._thread is None:
            return
        try:
            self._lines.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # nobody reads it any more
                continue


class Line:
    """Of one exchange: sees what is sent to the caller, and is written when that is over."""

    __slots__ = ("_began", "_bytes", "_first", "_log", "_send")

    def __init__(self, log: AccessLog, send: Send) -> None:
        self._log = log
        self._send = send
        self._began = time.perf_counter()
        self._first: float | None = None
        self._bytes = 0

    async def send(self, message: Message) -> None:
        if self._first is None:
            self._first = time.perf_counter()
        self._bytes += len(message.get("body", b""))
        await self._send(message)

    def end(self, method: str, told: Told) -> None:
        now = time.perf_counter()
        fields = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "exchange": f"{told.exchange_id:032x}",
            "method": method,
            "route": told.route,
            "path": told.path,
            "stage": told.stage,
            "upstream": told.upstream,
            "status": told.status,
            "bytes": self._bytes,
            "seconds": round(now - self._began, 6),
            "first_byte_seconds": None if self._first is None else round(self._first - self._began, 6),
            "error": told.error,
            "fallback": told.fallback,
            "tripped": told.is_tripped,
            "caller_left": told.caller_left,
        }
        self._log.add(fields)
