"""One deadline for a whole provider call, kept by cutting its connection.

httpx limits each read, so an answer that drips in may take for ever; a blocked read is ended from outside.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock; made once per request, shared by all its provider calls."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        return max(0.0, self.at - time.monotonic())


class Cut:
    """Knows the connection of one call through httpcore's trace, and shuts it down when told to."""

    def __init__(self) -> None:
        self.made = False
        self._connection = None

    def trace(self, event: str, info: dict) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = info["return_value"]
            if self.made:
                self._shut_down()

    def make(self) -> None:
        self.made = True
        self._shut_down()

    def _shut_down(self) -> None:
        if self._connection is not None:
            with suppress(OSError):  # already closed: nothing is left to cut
                self._connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_at(deadline: Deadline) -> Iterator[Cut]:
    cut = Cut()
    timer = threading.Timer(deadline.remaining_seconds(), cut.make)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
