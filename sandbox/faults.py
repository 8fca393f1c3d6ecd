"""Faults on demand: what may go wrong at a provider, asked for by kind, path and count."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from .wire import Json, Refused

# What the provider can be told to do wrong; the README says what each one looks like on the wire.
STATUS_KINDS = ("400", "401", "403", "404", "408", "409", "429", "500", "502", "503", "504")
ERROR_KINDS = (*STATUS_KINDS, "insufficient_quota", "context_length_exceeded")
KINDS = (
    *ERROR_KINDS,
    "timeout",
    "slow",
    "held",
    "stall",
    "cut",
    "no_done",
    "open_after_done",
    "html",
    "error_in_stream",
    "empty_choices",
    "bad_json",
    "invalid_output",
    "split_bytes",
    "unicode",
    "keepalive",
    "crlf",
    "no_space",
)
UNICODE_SAMPLE = (" L1\u2028L2", " N1\u0085N2", " naïve", " 漢字", " 👩‍💻", " مرحبا", " e\u0301")
DEFAULT_AFTER_TOKENS = 3
DEFAULT_SLOW_SECONDS = 5.0
MAX_WAITING = 1000


@dataclass(frozen=True)
class Fault:
    """One kind of failure for the next `count` requests to `path` whose body contains `contains`."""

    kind: str
    count: int = 1
    path: str | None = None
    contains: str | None = None
    retry_after: str | None = None  # seconds or an HTTP date, sent as it is
    after: int = DEFAULT_AFTER_TOKENS  # tokens that still arrive before the stream fails, or is held up
    seconds: float = DEFAULT_SLOW_SECONDS  # what "slow" adds before the first token

    def meets(self, path: str, body: bytes) -> bool:
        return (self.path is None or self.path == path) and (self.contains is None or self.contains.encode() in body)

    def refusal(self) -> Refused:
        """The answer of the kinds that are an error status."""
        headers = (("retry-after", self.retry_after),) if self.retry_after is not None else ()
        match self.kind:
            case "insufficient_quota":
                message = "You exceeded your current quota, please check your plan and billing details."
                return Refused(429, message, self.kind, code=self.kind, headers=headers)
            case "context_length_exceeded":
                message = "This model's maximum context length is exceeded."
                return Refused(400, message, code=self.kind, param="messages", headers=headers)
            case "429":
                message = "Rate limit reached. Please try again later."
                return Refused(429, message, "requests", code="rate_limit_exceeded", headers=headers)
            case "401":
                return Refused(401, "Incorrect API key provided.", code="invalid_api_key", headers=headers)
            case kind:
                what = "server_error" if kind >= "500" else "invalid_request_error"
                return Refused(int(kind), f"The sandbox was told to answer {kind}.", what, headers=headers)


class Faults:
    """The faults that wait for their requests, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()
        self.cleared = asyncio.Event()
        """Set when the faults that wait now are forgotten."""

    def add(self, fault: Fault) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise ValueError(f"{MAX_WAITING} faults are waiting already: DELETE /sandbox/faults first.")
        self._waiting.append(fault)

    def take(self, path: str, body: bytes) -> Fault | None:
        """The first fault that meets the request, one fewer of it left."""
        for place, fault in enumerate(self._waiting):
            if fault.meets(path, body):
                if fault.count > 1:
                    self._waiting[place] = replace(fault, count=fault.count - 1)
                else:
                    del self._waiting[place]
                return fault
        return None

    def clear(self) -> None:
        """Forget those that wait, and let whoever is held up go on."""
        self._waiting.clear()
        self.cleared.set()
        self.cleared = asyncio.Event()

    def waiting(self) -> list[Fault]:
        return list(self._waiting)


def parse_fault(value: Json) -> Fault:
    """A fault from its JSON; ValueError says what is wrong."""
    known = set(Fault.__dataclass_fields__)
    if unknown := sorted(set(value) - known):
        raise ValueError(f"Unknown field {unknown[0]!r}. Known: {', '.join(sorted(known))}.")
    kind = str(value.get("kind"))
    if kind not in KINDS:
        raise ValueError(f"Unknown kind {kind!r}. Known: {', '.join(KINDS)}.")
    _check(value, "count", int, 1)
    _check(value, "after", int, 0)
    _check(value, "seconds", (int, float), 0)
    retry_after = value.get("retry_after")
    return Fault(**{**value, "kind": kind, "retry_after": None if retry_after is None else str(retry_after)})


def _check(value: Json, field: str, kind: Any, least: int) -> None:
    given = value.get(field, least)
    if isinstance(given, bool) or not isinstance(given, kind) or given < least:
        raise ValueError(f"{field!r} must be a number of at least {least}.")


async def never() -> None:
    """Waits until it is cancelled: the caller has to leave by itself."""
    await asyncio.Event().wait()
