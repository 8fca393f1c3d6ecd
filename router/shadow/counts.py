"""How many requests of each route were copied, and what became of the copies; whoever was not copied, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..evidence.observations import Verdict
from .words import Outcome


class Dropped(StrEnum):
    """Why a request that was to be copied was not."""

    NOT_COMPARABLE = "not comparable"
    RATE_LIMITED = "rate limited"
    QUEUE_FULL = "queue full"
    TOO_LARGE = "too large"
    NO_ROOM = "no room"
    CALLER_LEFT = "caller left"
    UPSTREAM_DOWN = "upstream down"
    NO_PROCESS = "no shadow process"


@dataclass(slots=True)
class RouteCounts:
    """Of one route, since this process began."""

    sampled_out: int = 0
    """Requests that are not in the share that is copied."""
    offered: int = 0
    """Requests that were to be copied: they are dropped, or sent, or still on their way."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By the reasons of `Dropped`."""
    sent: int = 0
    failed: int = 0
    """Of those sent: without an answer, or without a whole one."""
    timed_out: int = 0
    """Of those that failed: because time was up."""
    matched: int = 0
    mismatched: int = 0
    inconclusive: int = 0
    tape_misses: int = 0
    """Calls to the provider that copies made and that are not on the tape."""

    is_silent: bool = False
    """Lately requests were to be copied, and none was (see `copier.LOOK_SECONDS`)."""

    def said(self) -> dict[str, int | dict[str, int]]:
        """As JSON can say it. Not by `asdict`, which makes another Counter of a Counter's pairs."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def add(self, outcome: Outcome) -> None:
        """What became of one copy."""
        if outcome.dropped:
            self.dropped[outcome.dropped] += 1
            return
        self.sent += 1
        self.failed += bool(outcome.error)
        self.timed_out += outcome.error in ("AnswerTimeout", "ConnectTimeout")
        self.tape_misses += outcome.tape_misses
        match outcome.verdict:
            case Verdict.MATCH:
                self.matched += 1
            case Verdict.MISMATCH:
                self.mismatched += 1
            case Verdict.INCONCLUSIVE:
                self.inconclusive += 1


SIMPLE = ("sampled_out", "offered", "sent", "failed", "timed_out", "matched", "mismatched", "inconclusive")


class Counts(dict[str, RouteCounts]):
    """By the route's name."""

    def __missing__(self, route: str) -> RouteCounts:
        self[route] = RouteCounts()
        return self[route]

    def totals(self) -> dict[tuple[str, str], int]:
        """By route and name, as the evidence keeps them."""
        found = {}
        for route, counts in self.items():
            for name in (*SIMPLE, "tape_misses"):
                found[route, f"shadow: {name.replace('_', ' ')}"] = int(getattr(counts, name))
            for reason, number in counts.dropped.items():
                found[route, f"shadow: dropped, {reason}"] = number
        return found

    def show(self, meter: Meter) -> None:
        """As OpenTelemetry counters `strangler.shadow.…`; read only when they are exported."""
        for name in (*SIMPLE, "tape_misses"):
            meter.create_observable_counter(f"strangler.shadow.{name}", [self._observed(name)])
        meter.create_observable_counter("strangler.shadow.dropped", [self._dropped])
        meter.create_observable_gauge("strangler.shadow.silent", [self._silent])

    def _observed(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [
            Observation(getattr(counts, name), {"strangler.route": route}) for route, counts in list(self.items())
        ]

    def _dropped(self, _: CallbackOptions) -> Iterator[Observation]:
        for route, counts in list(self.items()):
            for reason, number in list(counts.dropped.items()):
                yield Observation(number, {"strangler.route": route, "strangler.reason": reason})

    def _silent(self, _: CallbackOptions) -> Iterator[Observation]:
        for route, counts in list(self.items()):
            yield Observation(int(counts.is_silent), {"strangler.route": route})
