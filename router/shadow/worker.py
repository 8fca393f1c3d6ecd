"""The shadow process: takes copies from its socket, makes so many of them at once, and tells what became of each.

It ends when the other end of the socket does, which is when its parent ends, however that comes about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable

from ..config import LEGACY, Config
from ..identity import Exchange
from .asking import Side, Upstreams, ask
from .counts import Dropped
from .words import KEPT_SETUPS, Copy, Frames, Outcome, Setup, framed

DRAIN_SECONDS = 5.0
"""So long copies that are on their way may take once nobody waits for them any more."""
NICENESS = 10
"""Whoever serves callers goes first."""
READ_BYTES = 1_048_576

_log = logging.getLogger(__name__)


class Under:
    """What copies of one routes.toml need."""

    def __init__(self, setup: Setup, upstreams: Upstreams) -> None:
        self.config: Config = setup.config
        self._upstreams = upstreams
        self._identity: Exchange | None = None
        identity = setup.config.identity
        if identity is not None:
            self._identity = Exchange(identity, setup.secret, upstreams.pool(setup.config, identity.upstream))

    def side(self, name: str) -> Side:
        """As `app.go_live` has it: the monolith under any of its names gets cookies, all others a token."""
        identity, upstream = self.config.identity, self.config.upstreams[name]
        monolith = (LEGACY, identity.upstream if identity else LEGACY)
        is_identified = upstream.identity and name not in monolith
        return Side(self._upstreams.pool(self.config, name), self._identity if is_identified else None)


class Worker:
    """Makes copies; `tell` hears what became of each."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        self._tell = tell
        self._under: dict[int, Under] = {}
        self._upstreams = Upstreams()
        self._queue: asyncio.Queue[Copy] = asyncio.Queue()  # its length is the parent's to limit: see copier.py
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = 0

    def hear(self, word: Setup | Copy) -> None:
        if isinstance(word, Copy):
            self._queue.put_nowait(word)
            return
        self._under[word.number] = Under(word, self._upstreams)
        if len(self._under) > KEPT_SETUPS:
            del self._under[next(iter(self._under))]
        self._upstreams.take_over(each.config for each in self._under.values())
        self._wanted = word.config.copies.workers
        while len(self._tasks) < self._wanted:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        while len(self._tasks) <= self._wanted:
            copy = await self._queue.get()
            try:
                outcome = await self._made(copy)
            except Exception:  # the one place that catches everything: no copy may end the others
                _log.exception("A copy of the route %s failed", copy.route)
                outcome = Outcome(copy.number, sent=True, error="ShadowFailed")
            self._tell(outcome)
            self._queue.task_done()

    async def _made(self, copy: Copy) -> Outcome:
        under = self._under.get(copy.setup)
        if under is None:
            return Outcome(copy.number, dropped=Dropped.NOT_COMPARABLE)
        copies = under.config.copies
        deadline = asyncio.get_running_loop().time() + copies.timeout_seconds
        candidate = await ask(copy, copy.candidate, under.side(copy.candidate), copies.body_bytes, deadline)
        return Outcome(copy.number, sent=True, error=candidate.error)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Finish what is there, if it takes no longer; then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._upstreams.close()


async def serve(sock: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    worker = Worker(lambda outcome: writer.write(framed(outcome)))
    frames = Frames(worker.hear)
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            frames.feed(data)
    await worker.drain()
    writer.close()


def main() -> None:
    """Whoever ends the parent's whole group ends this process by its socket: what is under way has seconds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s shadow %(message)s")
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(sock))
    else:
        uvloop.run(serve(sock))
