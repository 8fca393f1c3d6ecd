"""What the evidence of a route and epoch amounts to: `go`, `no-go`, or how many more exchanges it takes.

Three rates are watched (the statistics are in `verdict.py`):

| rate       | of                                  | a hit                                              |
| ---------- | ----------------------------------- | -------------------------------------------------- |
| mismatches | comparisons that match or do not    | a mismatch                                         |
| errors     | comparisons where control succeeded | the candidate failed                               |
| slower     | comparisons where both succeeded    | own time > `slower` × control's own + a small floor |

Of a route that is copied with real calls (`effects = "live"`) mismatches and errors are those by which the candidate is
worse than control's own second answer (`paired.py`), of the exchanges in which control was asked twice.

`go` needs all three, so each may use the whole α: the chance that a route with at least one rate at its limit gets
`go` is the chance that this one does. `no-go` comes from any of them, so each gets a third of α′. Comparisons that
say nothing are counted apart, and block `go` above a share of all: a candidate must not pass on its easy exchanges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from . import paired, verdict
from .observations import Second, Verdict
from .paired import Pairs
from .verdict import Limit, More, Rate

NO_MORE = More(0, 0)
RATES = ("mismatches", "errors", "slower")
PAIRED = ("mismatches", "errors")
"""What of a live route is compared with control's own second answer."""


class Gate(BaseModel):
    """What must be shown before a route may advance. Rates are shares of the comparisons."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mismatches: float = Field(default=0.01, gt=0, lt=1, description="the share of mismatches that is allowed")
    errors: float = Field(
        default=0.01, gt=0, lt=1, description="the share that is allowed to fail where the other side succeeds"
    )
    slower: float = Field(default=1.25, ge=1, description="an answer is slow if it takes so many times control's own")
    slower_floor_seconds: float = Field(default=0.05, ge=0, description="… and this longer, which no caller notices")
    slower_share: float = Field(default=0.1, gt=0, lt=1, description="the share of slow answers that is allowed")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="how sure a go is: 1 − α, however often asked")
    trip_confidence: float = Field(default=0.99, gt=0.5, lt=1, description="how sure a no-go is: 1 − α′")
    inconclusive: float = Field(
        default=0.1, ge=0, le=1, description="above this share of comparisons that say nothing there is no go"
    )

    def limits(self) -> dict[str, Limit]:
        """For each rate what is allowed of it."""
        alpha, alpha_trip = round(1 - self.confidence, 12), round(1 - self.trip_confidence, 12) / len(RATES)
        allowed = (self.mismatches, self.errors, self.slower_share)
        return {name: Limit(rate, alpha, alpha_trip) for name, rate in zip(RATES, allowed, strict=True)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was counted for one route in one epoch; its size does not grow with it."""

    rates: Mapping[str, Rate | Pairs] = field(default_factory=lambda: dict.fromkeys(RATES, Rate()))
    comparisons: int = 0
    inconclusive: int = 0
    first_at: float = 0.0
    last_at: float = 0.0


LIVE = Evidence({name: Pairs() if name in PAIRED else Rate() for name in RATES})
"""Nothing yet, of a route that is copied with real calls."""


class Word(StrEnum):
    """What may be said of a route."""

    GO = "go"
    NO_GO = "no-go"
    KEEP_WATCHING = "keep watching"


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """What may be said of a route, why, and what more it takes."""

    word: Word
    reasons: tuple[str, ...] = ()
    more: More = NO_MORE
    """Comparisons until `go`, if it is to be watched."""
    seconds: tuple[float | None, float | None] = (None, None)
    """The same as time, at the rate at which comparisons came so far."""

    def __str__(self) -> str:
        if self.word is not Word.KEEP_WATCHING or self.more.at_best is None:
            return self.word
        best, likely = self.more
        count = f"{best}" if likely == best else f"{best} to {likely}" if likely is not None else f"at least {best}"
        soon = self.seconds[1] if self.seconds[1] is not None else self.seconds[0]
        time = f", ≈ {in_words(soon)} at the present rate" if soon is not None else ""
        return f"{self.word} (about {count} more{time})"


class Counted(Protocol):
    """As much of a comparison as is counted."""

    @property
    def at(self) -> float: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def control_failed(self) -> bool: ...
    @property
    def candidate_failed(self) -> bool: ...
    @property
    def control_seconds(self) -> float: ...
    @property
    def candidate_seconds(self) -> float: ...
    @property
    def second(self) -> Second: ...


def added(evidence: Evidence, comparison: Counted, gate: Gate) -> Evidence:
    """The evidence with one more comparison."""
    rates, limits = dict(evidence.rates), gate.limits()
    for name, hit in _hits(comparison, gate).items():
        match rates[name]:
            case Rate() as rate:
                rates[name] = verdict.counted(rate, hit, limits[name])
            case Pairs() as pairs if comparison.second is not Second.NONE:
                rates[name] = paired.counted(pairs, hit - _control_hit(name, comparison.second), limits[name])
    return Evidence(
        rates=rates,
        comparisons=evidence.comparisons + 1,
        inconclusive=evidence.inconclusive + (comparison.verdict is Verdict.INCONCLUSIVE),
        first_at=min(evidence.first_at, comparison.at) if evidence.comparisons else comparison.at,
        last_at=max(evidence.last_at, comparison.at),
    )


def _hits(comparison: Counted, gate: Gate) -> dict[str, bool]:
    """The rates that this comparison says something about, and whether it is a hit."""
    hits = {}
    if comparison.verdict is not Verdict.INCONCLUSIVE:
        hits["mismatches"] = comparison.verdict is Verdict.MISMATCH
    if not comparison.control_failed:
        hits["errors"] = comparison.candidate_failed
        if not comparison.candidate_failed:
            allowed = gate.slower * comparison.control_seconds + gate.slower_floor_seconds
            hits["slower"] = comparison.candidate_seconds > allowed
    return hits


def _control_hit(name: str, second: Second) -> bool:
    return second is Second.FAILED or (name == "mismatches" and second is Second.MISMATCH)


def verdict_of(evidence: Evidence, gate: Gate) -> RouteVerdict:
    """What may be said of the route now."""
    limits = gate.limits()
    over = [name for name in RATES if evidence.rates[name].is_over]
    if over:
        return RouteVerdict(Word.NO_GO, tuple(_in_numbers(name, evidence.rates[name], limits[name]) for name in over))
    reasons, needed = [], []
    for name, rate in evidence.rates.items():
        if not _is_below(rate, limits[name]):
            reasons.append(_in_numbers(name, rate, limits[name]))
            needed.append(_more_needed(rate, limits[name]))
    if evidence.inconclusive > gate.inconclusive * evidence.comparisons:
        share = evidence.inconclusive / evidence.comparisons
        reasons.append(f"inconclusive: {share:.1%} of the comparisons; {gate.inconclusive:.1%} are allowed")
        needed.append(_more_conclusive(evidence, gate))
    if not reasons:
        return RouteVerdict(Word.GO)
    more = More(_most([one.at_best for one in needed]), _most([one.at_this_rate for one in needed]))
    return RouteVerdict(Word.KEEP_WATCHING, tuple(reasons), more, _as_time(more, evidence))


def _more_conclusive(evidence: Evidence, gate: Gate) -> More:
    """Until the share of those that say nothing is small enough: if no more of them come, or never."""
    if not gate.inconclusive:
        return More(None, None)
    return More(math.ceil(evidence.inconclusive / gate.inconclusive) - evidence.comparisons, None)


def _most(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


def _is_below(rate: Rate | Pairs, limit: Limit) -> bool:
    if isinstance(rate, Pairs):
        return paired.is_below(rate, limit)
    return verdict.is_below(rate.seen, rate.hits, limit)


def _more_needed(rate: Rate | Pairs, limit: Limit) -> More:
    return paired.more_needed(rate, limit) if isinstance(rate, Pairs) else verdict.more_needed(rate, limit)


def bounds(rate: Rate | Pairs, limit: Limit) -> tuple[float, float]:
    """Between what the rate lies; of pairs, by how much the candidate is worse than control with itself."""
    if isinstance(rate, Pairs):
        return paired.bounds(rate, limit)
    now = verdict.bounded(rate, limit)
    return now.lower, now.upper


def in_short(rate: Rate | Pairs) -> str:
    """The hits, less those of control with itself, of so many."""
    if not rate.seen:
        return "–"
    less = f" − {rate.control_hits}" if isinstance(rate, Pairs) else ""
    return f"{rate.hits}{less} of {rate.seen}"


def _in_numbers(name: str, rate: Rate | Pairs, limit: Limit) -> str:
    lower, upper = bounds(rate, limit)
    between = f"between {lower:.2%} and {upper:.2%}"
    if isinstance(rate, Pairs):
        if not rate.seen:
            return f"{name}: live answers differ by nature, and control was never asked twice: set shadow.twice_percent"
        return (
            f"{name}: {rate.hits} of {rate.seen} by the candidate alone and {rate.control_hits} by control's second "
            f"answer alone, so it is worse by {between}; {limit.rate:.2%} are allowed"
        )
    if lower > upper:  # no single rate explains both: it has changed
        between = f"at times below {upper:.2%}, at times above {lower:.2%}"
    return f"{name}: {rate.hits} of {rate.seen}, {between}; {limit.rate:.2%} are allowed"


def _as_time(more: More, evidence: Evidence) -> tuple[float | None, float | None]:
    passed = evidence.last_at - evidence.first_at
    if evidence.comparisons < 2 or passed <= 0:
        return None, None
    each = passed / (evidence.comparisons - 1)
    best, likely = (None if count is None else count * each for count in more)
    return best, likely


def in_words(seconds: float) -> str:
    """A length of time as one says it: `40 s`, `3 min`, `2.5 h`, `4 days`."""
    for size, unit in ((86_400 * 2, "days"), (3_600 * 1.5, "h"), (90, "min")):
        if seconds >= size:
            value = seconds / {"days": 86_400, "h": 3_600, "min": 60}[unit]
            return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
    return f"{seconds:.0f} s"
