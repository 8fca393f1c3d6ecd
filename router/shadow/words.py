"""What the two processes say to each other: the settings, a copy to be made, and what became of it.

Pickled, in frames of their own length: both ends of the socket are this program, and nobody else can reach it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from ..config import Config
from ..evidence.observations import Observation
from ..headers import Headers

_LENGTH_BYTES = 4
GATHER_SECONDS = 0.02
"""So long words wait for others, to be sent together: each write wakes the other process up."""
KEPT_SETUPS = 16
"""Of so many past routes.toml the copies are still made as they were to be."""


class Setup(NamedTuple):
    """The settings that copies of this number go by."""

    number: int
    config: Config
    secret: bytes
    """Of the identity exchange."""


class Copy(NamedTuple):
    """One request to be sent once more, and how it was answered the first time."""

    number: int
    setup: int
    route: str
    exchange_id: int
    trace_flags: bytes
    candidate: str
    """The upstream that gets the copy."""
    forwarded: list[tuple[bytes, bytes]]
    """What the router says about the caller."""
    method: str
    target: bytes
    headers: Headers
    """As the caller sent them."""
    body: bytes
    control: Observation
    sent_at: float
    """When the original was, in seconds since 1970."""


class Outcome(NamedTuple):
    """What became of a copy."""

    number: int
    sent: bool = False
    dropped: str = ""
    """Why it was not sent (see `counts.Dropped`)."""
    error: str = ""
    """Why it was not answered, or not whole: a name of `errors.py`."""
    verdict: str = ""
    tape_misses: int = 0


class Tally(NamedTuple):
    """What was counted since the last one, for the evidence to add up over all processes."""

    counts: dict[tuple[str, str], int]
    """By route and name."""


Word = Setup | Copy | Tally | Outcome


def framed(word: Word) -> bytes:
    body = pickle.dumps(word, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Frames:
    """Takes the bytes of a socket as they come, and gives each word that is complete."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self._hear = hear
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                return
            word = pickle.loads(self._buffer[_LENGTH_BYTES:end])  # noqa: S301  (our own)
            del self._buffer[:end]
            self._hear(word)
