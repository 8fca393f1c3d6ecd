"""What the callers saw, request by request, and the figures made of it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .wire import Json

MAX_RECORDED = 200_000
READS = frozenset({"inbox", "ticket page", "ticket list", "ticket"})
ASSISTANT = frozenset({"summary", "reply"})


@dataclass(frozen=True)
class Seen:
    """One request from its caller's side; times by time.monotonic()."""

    kind: str
    caller: int
    began: float
    seconds: float
    status: int | None  # None: no answer at all
    first_event_seconds: float | None = None  # of a stream
    answered_by: str | None = None
    problem: str | None = None  # None: all is as it should be

    @property
    def ok(self) -> bool:
        return self.problem is None


@dataclass
class Recording:
    """All requests of all callers, in the order in which they ended."""

    seen: list[Seen] = field(default_factory=list)

    def add(self, seen: Seen) -> None:
        if len(self.seen) < MAX_RECORDED:
            self.seen.append(seen)

    def of(self, kinds: Iterable[str], since: float = 0.0, before: float = math.inf) -> list[Seen]:
        """The requests of some kinds that began in a span of time."""
        return [seen for seen in self.seen if seen.kind in kinds and since <= seen.began < before]


def percentile(values: Iterable[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def figures(seen: list[Seen], value: Callable[[Seen], float | None] = lambda one: one.seconds) -> Json:
    """Count, failures, and the median and 95th percentile in seconds of those that went well."""
    values = [number for one in seen if one.ok and (number := value(one)) is not None]
    return {
        "count": len(seen),
        "failed": sum(not one.ok for one in seen),
        "p50": percentile(values, 0.50),
        "p95": percentile(values, 0.95),
    }


def share_of(seen: list[Seen], upstream: str) -> float | None:
    """Which share of the answers came from an upstream, 0 to 1."""
    answered = [one for one in seen if one.answered_by]
    return sum(one.answered_by == upstream for one in answered) / len(answered) if answered else None
