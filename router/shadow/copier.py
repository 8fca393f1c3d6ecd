"""Takes recordings from the exchanges and hands them to the shadow process; never waits, and counts what it drops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any, NamedTuple, Protocol

from ..config import COPYING, Config, Copies, Route
from ..headers import Headers, forwarded_of
from ..stages import Copied, Decision
from .counts import Counts, Dropped
from .recording import Recording, Room
from .words import KEPT_SETUPS, Copy, Outcome, Setup, Tally

DOWN_SECONDS = 1.0
"""So long nothing is copied to an upstream that could not be reached; then one copy tries again."""
LOOK_SECONDS = 60.0
"""How often silent routes are looked for."""
TALLY_SECONDS = 2.0
"""How often what was counted is told to the evidence."""
START_AGAIN_SECONDS = (1.0, 30.0)
"""After a shadow process has ended: at first, and at the most."""

# A condition or a range was made with what one side said before: the other one would have to answer differently.
# And another protocol is no answer.
_NOT_COMPARABLE = frozenset(
    (b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"upgrade")
)

_log = logging.getLogger(__name__)


class Link(Protocol):
    """A shadow process."""

    def send(self, word: Setup | Copy | Tally) -> None: ...

    def kill(self) -> None: ...

    async def close(self) -> None:
        """Let it finish what it has, for seconds."""


Start = Callable[[Callable[[Outcome], None], Callable[[], None]], Link]
"""Starts a shadow process, which tells what became of each copy, and that it is gone."""


class Exchange(Protocol):
    """What the telemetry knows of an exchange."""

    exchange_id: int
    flags: bytes
    upstream: str


class _Waiting(NamedTuple):
    """A copy that the shadow process has."""

    route: str
    candidate: str
    size: int


class _Rate:
    """So many a second, and as many at once after a pause."""

    def __init__(self, per_second: float) -> None:
        self.left = max(per_second, 1.0)
        self.at = monotonic()

    def take(self, per_second: float) -> bool:
        now = monotonic()
        self.left = min(max(per_second, 1.0), self.left + (now - self.at) * per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Shadowing:
    """How exchanges are copied under one routes.toml: a part of what is live."""

    def __init__(self, copier: Copier, number: int, copies: Copies) -> None:
        self._copier = copier
        self._number = number
        self._copies = copies

    @property
    def counts(self) -> Counts:
        """Of all routes, since this process began."""
        return self._copier.counts

    def begin(
        self, exchange: Exchange, scope: Any, route: Route, decision: Decision, target: bytes
    ) -> Recording | None:
        """Record this exchange, if it is to be copied and nothing stands against it."""
        copier, headers = self._copier, scope["headers"]
        counts = copier.counts[route.name]
        if decision.copied is Copied.SAMPLED_OUT:
            counts.sampled_out += 1
        if decision.copied is not Copied.YES:
            return None
        counts.offered += 1
        dropped = copier.refusal(route, decision, headers, self._copies)
        if dropped:
            counts.dropped[dropped] += 1
            return None

        def ended(recording: Recording, dropped: str) -> None:
            if dropped or (dropped := copier.refusal_now(exchange.upstream, decision, self._copies)):
                copier.drop(route.name, dropped, recording)
                return
            copy = Copy(
                copier.number(),
                self._number,
                route.name,
                exchange.exchange_id,
                exchange.flags,
                decision.shadow,
                forwarded_of(scope),
                scope["method"],
                target,
                headers,
                recording.body,
                recording.observation(decision.primary),
                recording.sent_at,
            )
            copier.offer(copy, recording.size)

        return Recording(copier.room, self._copies.body_bytes, headers, ended)


class Copier:
    """Of one process that serves callers; outlives every reload."""

    def __init__(self, start: Start) -> None:
        self.counts = Counts()
        self.room = Room()
        self._start_process = start
        self._link: Link | None = None
        self._is_closing = False
        self._numbers = count(1)
        self._setups: dict[int, Setup] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._rates: dict[str, _Rate] = {}
        self._down: dict[str, float] = {}
        self._failures = 0
        self._again: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._before: dict[str, tuple[int, int]] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._tallying: asyncio.TimerHandle | None = None
        self._told: dict[tuple[str, str], int] = {}

    def under(self, config: Config, secret: bytes) -> Shadowing:
        """For a routes.toml that becomes live. The first that copies anything starts the shadow process."""
        setup = Setup(next(self._numbers), config, secret)
        self.room.limit = config.copies.total_bytes
        self._setups[setup.number] = setup
        if len(self._setups) > KEPT_SETUPS:
            del self._setups[next(iter(self._setups))]
        if self._link is not None:
            self._link.send(setup)
        elif self._again is None and self._is_needed():
            self._start()
        return Shadowing(self, setup.number, config.copies)

    def refusal(self, route: Route, decision: Decision, headers: Headers, copies: Copies) -> str:
        """Why an exchange is not even recorded; empty if it is."""
        if any(name in _NOT_COMPARABLE for name, _ in headers):
            return Dropped.NOT_COMPARABLE
        if self._down.get(decision.shadow, 0.0) > monotonic():
            return Dropped.UPSTREAM_DOWN
        if dropped := self.refusal_now(decision.primary, decision, copies):
            return dropped
        if not self._rates.setdefault(route.name, _Rate(copies.per_second)).take(copies.per_second):
            return Dropped.RATE_LIMITED
        return ""

    def refusal_now(self, answered_by: str, decision: Decision, copies: Copies) -> str:
        """Why a recording is not copied at this moment; empty if it is."""
        if answered_by != decision.primary:
            return Dropped.NOT_COMPARABLE
        if self._link is None:
            return Dropped.NO_PROCESS
        return Dropped.QUEUE_FULL if len(self._waiting) >= copies.queue + copies.workers else ""

    def number(self) -> int:
        return next(self._numbers)

    def drop(self, route: str, dropped: str, recording: Recording) -> None:
        self.counts[route].dropped[dropped] += 1
        self.room.give_back(recording.size)

    def offer(self, copy: Copy, size: int) -> None:
        """Hand a copy over. What the socket does not take at once waits in this process, within the room."""
        if not self._waiting:
            self._heard = monotonic()
        self._waiting[copy.number] = _Waiting(copy.route, copy.candidate, size)
        if self._link is not None:
            self._link.send(copy)

    async def close(self) -> None:
        """Copies that are on their way have seconds to end."""
        self._is_closing = True
        for timer in (self._again, self._looking, self._tallying):
            if timer is not None:
                timer.cancel()
        self._tell()
        if self._link is not None:
            await self._link.close()

    # --- the shadow process

    def _is_needed(self) -> bool:
        setup = next(reversed(self._setups.values()))
        return any(route.stage in COPYING and route.shadow.percent for route in setup.config.routes)

    def _start(self) -> None:
        self._again = None
        try:
            self._link = self._start_process(self._hear, self._gone)
        except OSError:
            _log.exception("No shadow process could be started")
            self._gone()
            return
        for setup in self._setups.values():
            self._link.send(setup)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
            self._tally()

    def _tally(self) -> None:
        self._tallying = asyncio.get_running_loop().call_later(TALLY_SECONDS, self._tally)
        self._tell()

    def _tell(self) -> None:
        """Have the evidence add up what was counted since the last time."""
        if self._link is None:
            return
        now = self.counts.totals()
        more = {at: number - self._told.get(at, 0) for at, number in now.items() if number != self._told.get(at, 0)}
        if more:
            self._told = now
            self._link.send(Tally(more))

    def _hear(self, outcome: Outcome) -> None:
        self._heard = monotonic()
        self._failures = 0
        waiting = self._waiting.pop(outcome.number)
        self.room.give_back(waiting.size)
        self.counts[waiting.route].add(outcome)
        if outcome.error in ("ConnectFailed", "ConnectTimeout"):
            self._down[waiting.candidate] = monotonic() + DOWN_SECONDS

    def _gone(self) -> None:
        self._link = None
        for waiting in self._waiting.values():
            self.room.give_back(waiting.size)
            self.counts[waiting.route].dropped[Dropped.NO_PROCESS] += 1
        self._waiting.clear()
        if self._is_closing:
            return
        first, last = START_AGAIN_SECONDS
        seconds = min(last, first * 2**self._failures)
        self._failures += 1
        _log.error("The shadow process ended. Nothing is copied until the next one starts, in %g s", seconds)
        self._again = asyncio.get_running_loop().call_later(seconds, self._start)

    def _look(self) -> None:
        """Say loudly of each route whether it should have been shadowed and was not; end a process that hangs."""
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        for route, counts in self.counts.items():
            offered, sent = self._before.get(route, (0, 0))
            self._before[route] = counts.offered, counts.sent
            counts.is_silent = counts.offered > offered and counts.sent == sent
            if counts.is_silent:
                _log.error(
                    'The route "%s" should be shadowed, and of the last %d requests 0 were. In all were dropped: %s',
                    route,
                    counts.offered - offered,
                    ", ".join(f"{reason} {number}" for reason, number in counts.dropped.items()) or "none",
                )
        patience = LOOK_SECONDS + max(setup.config.copies.timeout_seconds for setup in self._setups.values())
        if self._link is not None and self._waiting and monotonic() - self._heard > patience:
            _log.error("The shadow process does not answer: it is ended")
            self._link.kill()
