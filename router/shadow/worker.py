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

from ..config import COPYING, LEGACY, Config
from ..evidence.observations import Comparison, Observation
from ..evidence.store import Store
from ..evidence.tape import Tape
from ..identity import Exchange
from .asking import Side, Upstreams
from .counts import Dropped
from .judging import Judge, Noises, Sides
from .words import GATHER_SECONDS, KEPT_SETUPS, Copy, Frames, Outcome, Setup, Tally, framed

DRAIN_SECONDS = 5.0
"""So long copies that are on their way may take once nobody waits for them any more."""
NICENESS = 10
"""Whoever serves callers goes first."""
READ_BYTES = 1_048_576
KEY_ENV = "EVIDENCE_KEY"
"""The environment variable with the key of digests; without it each shadow process takes one of its own."""

_log = logging.getLogger(__name__)


class Under:
    """What copies of one routes.toml need."""

    def __init__(self, setup: Setup, upstreams: Upstreams, kept: Kept) -> None:
        config = self.config = setup.config
        self.kept = kept
        self._upstreams = upstreams
        self._judges = {
            route.name: Judge(config, route, kept.tape, kept.noises, kept.key, away_at=lambda: kept.store.away_at)
            for route in config.routes
            if route.stage in COPYING
        }
        self._identity: Exchange | None = None
        if config.identity is not None:
            self._identity = Exchange(config.identity, setup.secret, upstreams.pool(config, config.identity.upstream))

    async def judged(self, copy: Copy) -> tuple[Comparison, Observation]:
        copies = self.config.copies
        deadline = asyncio.get_running_loop().time() + copies.timeout_seconds
        sides = Sides(self._side(copy.control.upstream), self._side(copy.candidate), copies.body_bytes, deadline)
        return await self._judges[copy.route].judged(copy, sides)

    def _side(self, name: str) -> Side:
        """As `app.go_live` has it: the monolith under any of its names gets cookies, all others a token."""
        identity, upstream = self.config.identity, self.config.upstreams[name]
        monolith = (LEGACY, identity.upstream if identity else LEGACY)
        is_identified = upstream.identity and name not in monolith
        return Side(self._upstreams.pool(self.config, name), self._identity if is_identified else None)


class Kept:
    """The evidence database, and what this process knows for it."""

    def __init__(self, config: Config, noises: Noises, key: bytes) -> None:
        """Raises EvidenceError if the URL can never be used."""
        self.evidence = config.evidence
        self.store = Store(config.evidence)
        self.tape = Tape(config.evidence.url)
        self.noises = noises
        self.key = key

    def close(self) -> None:
        """Waits for the database, for seconds."""
        self.store.close()
        self.tape.close()


class Worker:
    """Makes copies; `tell` hears what became of each. `key` is that of the digests of what differs."""

    def __init__(self, tell: Callable[[Outcome], None], key: bytes) -> None:
        self._tell = tell
        self._key = key
        self._noises: Noises = {}
        self._under: dict[int, Under] = {}
        self._kept: Kept | None = None
        self._upstreams = Upstreams()
        self._queue: asyncio.Queue[Copy] = asyncio.Queue()  # its length is the parent's to limit: see copier.py
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = 0

    def hear(self, word: Setup | Copy | Tally) -> None:
        match word:
            case Copy():
                self._queue.put_nowait(word)
            case Tally():
                if self._kept is not None:
                    for (route, name), number in word.counts.items():
                        self._kept.store.count(route, name, number)
            case Setup():
                self._go_by(word)

    def _go_by(self, word: Setup) -> None:
        if self._kept is None or self._kept.evidence != word.config.evidence:
            before, self._kept = self._kept, Kept(word.config, self._noises, self._key)
            if before is not None:
                asyncio.get_running_loop().run_in_executor(None, before.close)
        self._under[word.number] = Under(word, self._upstreams, self._kept)
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
            except Exception:  # no copy may end the others
                _log.exception("A copy of the route %s failed", copy.route)
                outcome = Outcome(copy.number, sent=True, error="ShadowFailed")
            self._tell(outcome)
            self._queue.task_done()

    async def _made(self, copy: Copy) -> Outcome:
        under = self._under.get(copy.setup)
        if under is None:
            return Outcome(copy.number, dropped=Dropped.NOT_COMPARABLE)
        comparison, candidate = await under.judged(copy)
        if self._kept is not None:
            self._kept.store.add(comparison)
        misses = sum(not effect.is_on_tape for effect in candidate.effects)
        return Outcome(copy.number, True, "", candidate.error, comparison.verdict, misses)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Finish what is there, if it takes no longer; then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._upstreams.close()
        if self._kept is not None:
            await asyncio.to_thread(self._kept.close)


async def serve(sock: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    loop = asyncio.get_running_loop()
    untold: list[bytes] = []

    def tell_all() -> None:
        if untold:
            writer.writelines(untold)
            untold.clear()

    def tell(outcome: Outcome) -> None:
        untold.append(framed(outcome))
        if len(untold) == 1:
            loop.call_later(GATHER_SECONDS, tell_all)

    worker = Worker(tell, os.environ.get(KEY_ENV, "").encode() or os.urandom(32))
    frames = Frames(worker.hear)
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            frames.feed(data)
    await worker.drain()
    tell_all()
    writer.close()


def give_way() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
        # Linux: whoever serves callers takes the processor from it at once. From a process that is only nice they would
        # get it after its turn, which is milliseconds.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Whoever ends the parent's whole group ends this process by its socket: what is under way has seconds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s shadow %(message)s")
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(sock))
    else:
        uvloop.run(serve(sock))
