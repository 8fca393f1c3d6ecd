"""Ask a worker to stop: a wait ends at once, everything else at its next safe point."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """Like GeneratorExit no error, so that `except Exception` lets it pass."""


class Stop:
    def __init__(self) -> None:
        self.asked = False
        self._may_interrupt = False

    def ask(self, *_signal_and_frame: object) -> None:
        """Runs as a signal handler, in the middle of whatever the main thread does."""
        again, self.asked = self.asked, True
        if self._may_interrupt and not again:
            raise Stopped

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """A block that may be left at any point: sleeping, or waiting for the provider."""
        self._may_interrupt = True
        try:
            self.check()
            yield
        finally:
            self._may_interrupt = False

    def check(self) -> None:
        if self.asked:
            raise Stopped


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
