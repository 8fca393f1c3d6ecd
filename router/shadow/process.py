"""The shadow process as its parent sees it: started once something is to be copied, spoken to over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from .words import GATHER_SECONDS, Copy, Frames, Outcome, Setup, Tally, framed

PATIENCE_SECONDS = 15.0
"""So long a process that was asked to end may take; longer than copies and the database have (`worker.py`)."""


class Process(asyncio.Protocol):
    """One shadow process. It ends when this end of the socket does, however that comes about."""

    program: tuple[str, ...] = ("-m", __package__ or "")
    """What Python runs; it gets the descriptor of its end of the socket."""

    def __init__(self, hear: Callable[[Outcome], None], gone: Callable[[], None]) -> None:
        """Raises OSError if none can be started."""
        self._frames = Frames(hear)
        self._gone = gone
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _started(self.program, theirs.fileno())
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._reaped: asyncio.Future[None] = self._loop.create_future()
        self._connecting = asyncio.create_task(self._connect(ours))

    async def _connect(self, sock: socket.socket) -> None:
        await self._loop.create_unix_connection(lambda: self, sock=sock)

    def send(self, word: Setup | Copy | Tally) -> None:
        self._unsent.append(framed(word))
        if len(self._unsent) == 1:
            self._loop.call_later(GATHER_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._transport is not None and self._unsent and not self._transport.is_closing():
            self._transport.writelines(self._unsent)
            self._unsent = []

    def kill(self) -> None:
        self._process.kill()

    async def close(self) -> None:
        await self._connecting
        self._flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.shield(self._reaped)
        except TimeoutError:
            self.kill()
            await self._reaped

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._frames.feed(data)

    def connection_lost(self, _: Exception | None) -> None:
        reaping = self._loop.run_in_executor(None, _reap, self._process)
        reaping.add_done_callback(lambda _: self._reaped.set_result(None))
        self._gone()


def _started(program: tuple[str, ...], descriptor: int) -> subprocess.Popen[bytes]:
    package = (__package__ or "").rpartition(".")
    folder = Path(__file__).parents[2 + package[0].count(".")]
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, *program, str(descriptor)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        pass_fds=(descriptor,),
    )


def _reap(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
        return
    process.kill()
    process.wait()
