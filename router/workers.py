"""Several processes that share one listener: started, replaced when they die, told to read again or stop."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

RESTART_SECONDS = 1.0
"""Between a worker's beginning and that of the one which replaces it: a worker that cannot run is no busy loop."""
MERCY_SECONDS = 15.0
"""How much longer than they were given workers may take to stop, ten of them for copies; then they are killed."""

_log = logging.getLogger(__name__)

Work = Callable[[int, socket.socket], None]
"""What one of them does, by its number, at the listener; to be had in another process too."""


class Workers:
    """`ears` is the folder where each worker that is up has a socket, named for its number."""

    def __init__(self, count: int, target: Work, listener: socket.socket, ears: Path, stop_seconds: float) -> None:
        self._target = target
        self._listener = listener
        self._ears = ears
        self._stop_seconds = stop_seconds
        self._processes: dict[int, SpawnProcess] = {}
        self._began = dict.fromkeys(range(count), 0.0)
        self._stops_at: float | None = None

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and the last worker has ended."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._read_again)
        while self._stops_at is None or self._processes:
            if self._stops_at is None:
                self._start_missing()
            elif time.monotonic() > self._stops_at + MERCY_SECONDS:
                self._kill()
            wait([process.sentinel for process in self._processes.values()], timeout=RESTART_SECONDS / 2)
            self._bury()

    def _start_missing(self) -> None:
        now = time.monotonic()
        for number, began in self._began.items():
            if number in self._processes or now < began + RESTART_SECONDS:
                continue
            process = multiprocessing.get_context("spawn").Process(
                target=self._target, args=(number, self._listener), name=f"worker {number}"
            )
            self._began[number] = now
            try:
                process.start()
            except (OSError, ValueError):
                if self._stops_at is None:
                    raise
                return  # the signal came just before, and the listener is closed
            self._processes[number] = process
            if self._stops_at is not None:  # the signal came just now
                process.terminate()

    def _bury(self) -> None:
        for number, process in list(self._processes.items()):
            if process.exitcode is None:
                continue
            if self._stops_at is None:
                _log.error("Worker %d (process %d) ended with %d: replaced", number, process.pid, process.exitcode)
                self._ear(number).unlink(missing_ok=True)
            process.close()
            del self._processes[number]

    def _stop(self, _: int, __: FrameType | None) -> None:
        if self._stops_at is None:
            self._stops_at = time.monotonic() + self._stop_seconds
            self._listener.close()  # or callers would wait in it whom no worker takes any more
        self._tell(signal.SIGTERM)

    def _read_again(self, _: int, __: FrameType | None) -> None:
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for worker, process in self._processes.items():
            # A worker that is not up yet would die of a SIGHUP, and reads the file anyway.
            if number != signal.SIGHUP or self._ear(worker).exists():
                _signal(process, number)

    def _kill(self) -> None:
        for process in self._processes.values():
            _log.error("Process %d did not stop in time: killed", process.pid)
            _signal(process, signal.SIGKILL)

    def _ear(self, number: int) -> Path:
        return self._ears / f"{number}.sock"


def _signal(process: SpawnProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)
