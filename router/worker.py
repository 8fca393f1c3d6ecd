"""One process that serves: uvicorn's server, which stops without losing a request, and tells how it is.

Stopping: from the signal on it says that it is draining, and every answer is its connection's last. For a while it
still takes new connections, until whoever sends them has noticed. Then it turns newcomers away, takes those that wait
already, closes the listener, and ends what is under way; what has not ended at the deadline is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from .listener import BACKLOG, turn_away, waiting, welcome
from .server import ServerProtocol

KEEP_ALIVE_SECONDS = 75
STEP_SECONDS = 0.1
GARBAGE_OBJECTS = 20_000
"""So many more objects were made than freed before the garbage collector looks for circles."""


class Stopping(NamedTuple):
    """How a worker ends."""

    delay_seconds: float
    """From the signal until the listener closes."""
    drain_seconds: int
    """From then until what is still under way is cut."""


class Worker(uvicorn.Server):
    """`ear` is the Unix socket on which it tells its state, as a line of JSON, to whoever connects; the application
    has its `standing` in it, and `reads_again` on a SIGHUP."""

    def __init__(
        self,
        app: ASGIApp,
        number: int,
        ear: Path,
        stopping: Stopping,
        standing: Callable[[], dict[str, Any]] = dict,
        reads_again: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=ServerProtocol,
                ws="none",
                loop="uvloop",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=stopping.drain_seconds,
                backlog=BACKLOG,
            )
        )
        self._standing = standing
        self._reads_again = reads_again
        self._number = number
        self._ear = ear
        self._delay_seconds = stopping.delay_seconds
        self._began = time.monotonic()

    def state(self) -> dict[str, Any]:
        return {
            "worker": self._number,
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - self._began, 1),
            "is_draining": self.should_exit,
            **self._standing(),
            "process": {"tasks": len(asyncio.all_tasks()), **_figures()},
        }

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, it does not die by the signal in the end: a clean stop is status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        signal.signal(signal.SIGHUP, self._read_again)
        yield

    def _read_again(self, _: int, __: FrameType | None) -> None:
        self._reads_again()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            welcome(listener)
        self._ear.unlink(missing_ok=True)  # of the worker that this one replaces
        parent = multiprocessing.parent_process()
        if parent is not None:  # without it nobody would stop this process any more
            asyncio.get_running_loop().add_reader(parent.sentinel, self._orphaned, parent.sentinel)
        self._telling = await asyncio.start_unix_server(self._tell, self._ear)
        # What is here now stays, and requests leave next to nothing in circles: looking for it twice a hundred
        # requests would cost a twentieth of the CPU.
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS)

    def _orphaned(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.should_exit = True

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(self.state()).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listeners = sockets or []
        loop = asyncio.get_running_loop()
        closes_at = loop.time() + self._delay_seconds
        while loop.time() < closes_at and not self.force_exit:
            for connection in list(self.server_state.connections):
                connection.is_last = True  # type: ignore[union-attr]
            await asyncio.sleep(STEP_SECONDS)
        for listener in listeners:
            turn_away(listener)
        await asyncio.sleep(STEP_SECONDS)  # for those whose connection has begun
        accepted_late = [accepted for listener in listeners for accepted in waiting(listener)]
        for server in self.servers:
            server.close()
        for accepted in accepted_late:
            await loop.connect_accepted_socket(self._protocol, accepted)
        await super().shutdown(sockets)
        self._telling.close()
        self._ear.unlink(missing_ok=True)

    def _protocol(self) -> ServerProtocol:
        return ServerProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _figures() -> dict[str, int | None]:
    """What the operating system says of this process; Linux tells more than others."""
    try:
        descriptors = len(os.listdir("/proc/self/fd"))
        memory = int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"descriptors": None, "memory_bytes": peak if sys.platform == "darwin" else peak * 1024}
    return {"descriptors": descriptors, "memory_bytes": memory}
