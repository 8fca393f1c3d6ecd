"""Remembers what the provider received lately: bounded, without the key, with whether the caller left early."""

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from .wire import Json

MAX_REMEMBERED = 1000
MAX_BODY_BYTES = 65_536
SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key"})


@dataclass
class Call:
    """One request as it was received, and what became of it."""

    number: int
    path: str
    headers: dict[str, str]
    body: bytes
    received_at: float  # seconds since the epoch
    began: float  # time.monotonic()
    fault: str | None = None
    status: int | None = None
    tokens_sent: int = 0
    left_early: bool = False
    seconds: float | None = None  # None while it is being answered

    def as_json(self) -> Json:
        return {
            "number": self.number,
            "path": self.path,
            "headers": self.headers,
            "body": _readable(self.body),
            "received_at": self.received_at,
            "fault": self.fault,
            "status": self.status,
            "tokens_sent": self.tokens_sent,
            "left_early": self.left_early,
            "seconds": self.seconds,
        }


@dataclass
class Calls:
    """The latest calls and how many there were since the last DELETE."""

    latest: deque[Call] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    received: int = 0
    open: int = 0
    most_open: int = 0
    left_early: int = 0
    by_path: Counter[str] = field(default_factory=Counter)

    def begin(self, path: str, headers: dict[str, str], body: bytes) -> Call:
        self.received += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.by_path[path] += 1
        shown = {name: value for name, value in headers.items() if name not in SECRET_HEADERS}
        call = Call(self.received, path, shown, body[:MAX_BODY_BYTES], time.time(), time.monotonic())
        self.latest.append(call)
        return call

    def end(self, call: Call, *, left_early: bool) -> None:
        call.seconds = round(time.monotonic() - call.began, 4)
        call.left_early = left_early
        self.open -= 1
        self.left_early += left_early

    def clear(self) -> None:
        """Forgets what is over; calls that are being answered still count as open."""
        self.latest.clear()
        self.by_path.clear()
        self.received = self.left_early = 0
        self.most_open = self.open

    def as_json(self, last: int) -> Json:
        latest = list(self.latest)[-last:] if last else []
        return {
            "received": self.received,
            "open": self.open,
            "most_open": self.most_open,
            "left_early": self.left_early,
            "by_path": dict(self.by_path),
            "calls": [call.as_json() for call in latest],
        }


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
