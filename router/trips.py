"""Trips: a route whose extracted upstream fails, or is slow, goes back to legacy by itself and probes its way back.

    closed ──a limit is broken──▶ open ──probe_seconds──▶ probing ──all rounds are passed──▶ closed
                                   ▲                         │
                                   └────a limit is broken────┘

While a trip is open, legacy answers. A probing one lets a few requests through, in rounds of a doubling share; the
same limits hold in each. Counted is what the extracted upstream made of the requests that it was asked: a failure
or a 5xx is an error; an answer whose head has not come within `slow_seconds` is slow from that moment, not only when
it comes. Every process decides for itself. A request costs the same few steps however many there are.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from .config import Route
from .limits import Trip

BUCKETS = 10
"""Pieces in which a window forgets."""
ROUNDS = 4
"""Of probing: one request of 16, of 8, of 4, of 2; then all."""
PROBES = 5
"""Answers that a round needs. So many may be under way in the first round, twice as many in each further one."""
ROUND_SECONDS = 1.0
"""A round lasts at least so long, however many requests there are."""
PROBE_GAP_SECONDS = 0.2
"""After so long without a probe the next request is one: on a quiet route a sixteenth would take for ever."""

State = Literal["closed", "open", "probing"]
Clock = Callable[[], float]
Tell = Callable[[str, str, str], None]
"""Counts: the name of the counter, of the route, and the state that its trip has come to."""

_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What the extracted upstream made of some requests."""

    answers: int = 0
    errors: int = 0
    slow: int = 0


class TripState(NamedTuple):
    """What `status` says of one trip, in this process."""

    route: str
    state: State
    since: float
    """Seconds since the epoch."""
    why: str
    """Which limit was broken when it last opened; empty if it never did."""


def broken(limits: Trip, counts: Counts, at_least: int) -> str:
    """Which limit the counts break, in words; empty if none, or if there are too few answers to say."""
    answers, errors, slow = counts
    if answers < at_least:
        return ""
    if errors > limits.errors * answers:
        return f"{errors} of {answers} answers failed, more than {limits.errors * 100:g} %"
    if slow > limits.slow * answers:
        return f"{slow} of {answers} answers took over {limits.slow_seconds:g} s, more than {limits.slow * 100:g} %"
    return ""


def is_probe(turn: int, seen: int, under_way: int, quiet_seconds: float) -> bool:
    """Whether a request is let through in round `turn`, `seen` others of which came before it."""
    if under_way >= PROBES << turn:
        return False
    return seen % (1 << (ROUNDS - turn)) == 0 or quiet_seconds >= PROBE_GAP_SECONDS


class Window:
    """Counts of the last seconds: a ring of buckets, the oldest of which is forgotten as time goes on."""

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._ring = [Counts()] * BUCKETS
        self._newest = 0
        self._sum = Counts()

    def add(self, now: float, more: Counts) -> Counts:
        """All counts of the window, with these. `now` never goes back."""
        newest = int(now / self._width)
        for step in range(self._newest + 1, min(newest, self._newest + BUCKETS) + 1):
            self._sum = _less(self._sum, self._ring[step % BUCKETS])
            self._ring[step % BUCKETS] = Counts()
        self._newest = newest
        self._ring[newest % BUCKETS] = _plus(self._ring[newest % BUCKETS], more)
        self._sum = _plus(self._sum, more)
        return self._sum


class Attempt:
    """One request to the extracted upstream of a route that may trip: tell what came of it, then that it is over."""

    __slots__ = ("began", "epoch", "is_counted", "is_over", "trip")

    def __init__(self, trip: RouteTrip, epoch: int, began: float) -> None:
        self.trip = trip
        self.epoch = epoch
        self.began = began
        self.is_counted = False
        self.is_over = False

    def answered(self, status: int) -> None:
        """The head of an answer is there."""
        self.trip.heard(self, is_error=status >= 500)

    def failed(self) -> None:
        """There will be no answer, or no more of it."""
        self.trip.heard(self, is_error=True)

    def over(self) -> None:
        """However it ended: a caller who leaves says nothing about the upstream."""
        self.trip.leave(self)


class RouteTrip:
    """The trip of one route."""

    def __init__(self, route: Route, limits: Trip, clock: Clock, tell: Tell) -> None:
        self.route = route
        self._limits = limits
        self._clock = clock
        self._tell = tell
        self._why = ""
        self._under_way = 0
        self._last_probe = 0.0
        self._epoch = 0
        """Counts the states: an answer to a request of an earlier one says nothing about this one."""
        self._overdue_next: deque[Attempt] = deque()
        """Attempts in the order in which they become slow."""
        self._enter("closed", clock())

    def state(self) -> TripState:
        since = time.time() - (self._clock() - self._since)
        return TripState(self.route.name, self._state, since, self._why)

    def admit(self) -> Attempt | None:
        """Let a request through to the extracted upstream; None if legacy has to answer it."""
        now = self._clock()
        self._count_overdue(now)
        if self._state == "open":
            if now - self._since < self._limits.probe_seconds:
                return None
            self._enter("probing", now)
            _log.warning("Route %s probes %s", self.route.name, self.route.to)
        if self._state == "probing":
            self._seen += 1
            if not is_probe(self._turn, self._seen - 1, self._under_way, now - self._last_probe):
                return None
            self._last_probe = now
        self._under_way += 1
        attempt = Attempt(self, self._epoch, now)
        if self._limits.slow_seconds is not None:
            self._overdue_next.append(attempt)
        return attempt

    def heard(self, attempt: Attempt, *, is_error: bool) -> None:
        now = self._clock()
        self._count_overdue(now)
        if attempt.epoch == self._epoch and (is_error or not attempt.is_counted):
            answers = 0 if attempt.is_counted else 1  # a cut within an answer makes an error of what was counted
            attempt.is_counted = True
            self._count(now, Counts(answers, int(is_error), 0))

    def leave(self, attempt: Attempt) -> None:
        if attempt.is_over:
            return
        self._count_overdue(self._clock())
        attempt.is_over = True
        if attempt.epoch == self._epoch:
            self._under_way -= 1

    def _count_overdue(self, now: float) -> None:
        """Each attempt is looked at once, when it is the oldest."""
        waiting, limit = self._overdue_next, self._limits.slow_seconds
        while waiting and limit is not None:
            attempt = waiting[0]
            if not attempt.is_counted and not attempt.is_over:
                if now - attempt.began < limit:
                    return
                if attempt.epoch == self._epoch:
                    attempt.is_counted = True
                    self._count(now, Counts(1, 0, 1))
            waiting.popleft()

    def _count(self, now: float, more: Counts) -> None:
        counts = self._window.add(now, more)
        is_probing = self._state == "probing"
        why = broken(self._limits, counts, PROBES if is_probing else self._limits.at_least)
        if why:
            self._why = why
            self._enter("open", now)
            seconds = self._limits.probe_seconds
            _log.error("Route %s trips, legacy answers: %s; it probes in %g s", self.route.name, why, seconds)
        elif is_probing and counts.answers >= PROBES and now - self._round_began >= ROUND_SECONDS:
            if self._turn + 1 < ROUNDS:
                self._begin_round(self._turn + 1, now)
            else:
                self._enter("closed", now)
                _log.warning("Route %s is back at %s", self.route.name, self.route.to)

    def _enter(self, state: State, now: float) -> None:
        self._state: State = state
        self._since = now
        self._epoch += 1
        self._begin_round(0, now)
        if self._epoch > 1:
            self._tell("strangler.trips", self.route.name, state)

    def _begin_round(self, turn: int, now: float) -> None:
        self._turn = turn
        self._round_began = now
        self._window = Window(self._limits.window_seconds)
        self._seen = 0
        self._last_probe = now
        if turn == 0:
            self._under_way = 0


Trips = Mapping[str, RouteTrip]
"""By the names of the routes that may trip."""


def trips_of(routes: Iterable[Route], tell: Tell, before: Trips, clock: Clock = time.monotonic) -> Trips:
    """The trips of these routes; one whose route did not move keeps its state."""
    found = {}
    for route in routes:
        if route.trip is not None:
            kept = before.get(route.name)
            is_same = kept is not None and _what_matters(kept.route) == _what_matters(route)
            found[route.name] = kept if kept and is_same else RouteTrip(route, route.trip, clock, tell)
    return found


def _what_matters(route: Route) -> tuple[object, ...]:
    return route.to, route.stage, route.trip


def _plus(one: Counts, other: Counts) -> Counts:
    return Counts(one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _less(one: Counts, other: Counts) -> Counts:
    return Counts(one[0] - other[0], one[1] - other[1], one[2] - other[2])
