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
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import NamedTuple

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
        count = f"about {best}" if likely == best else f"about {best} to {likely}"
        if likely is None:
            count = f"at least {best}"
        soon = self.seconds[1] if self.seconds[1] is not None else self.seconds[0]
        time = f", ≈ {in_words(soon)} at the present rate" if soon is not None else ""
        return f"{self.word} ({count} more{time})"


class Seen(NamedTuple):
    """All that counts of one comparison."""

    verdict: Verdict
    control_failed: bool
    candidate_failed: bool
    is_slow: bool
    """The candidate's own time is above what the gate allows."""
    second: Second


SEEN = tuple(Seen(*each) for each in product(Verdict, (False, True), (False, True), (False, True), Second))
"""Whatever may count."""


@dataclass(frozen=True, slots=True)
class History:
    """The comparisons of one route in one epoch, in the order in which they were made."""

    order: bytes = b""
    """One byte for each: an index into `SEEN`."""
    first_at: float = 0.0
    last_at: float = 0.0


def gathered(history: History, gate: Gate, *, is_live: bool = False) -> Evidence:
    """What it amounts to. What comes many times in a row is counted at once."""
    limits, rates = gate.limits(), dict[str, Rate | Pairs]()
    for name in RATES:
        is_paired = is_live and name in PAIRED
        outcomes = _translated(history.order, [_outcome(name, seen, is_paired=is_paired) for seen in SEEN])
        runs = ((_OUTCOMES[run[0][0]], run.end() - run.start()) for run in _RUNS.finditer(outcomes))
        if is_paired:
            rates[name] = paired.pairs_of(runs, limits[name])
        else:
            rates[name] = verdict.rate_of(((outcome > 0, times) for outcome, times in runs), limits[name])
    inconclusive = _translated(history.order, [0 if seen.verdict is Verdict.INCONCLUSIVE else None for seen in SEEN])
    return Evidence(rates, len(history.order), len(inconclusive), history.first_at, history.last_at)


_OUTCOMES = (0, 1, -1)
_RUNS = re.compile(rb"\x00+|\x01+|\x02+")


def _translated(order: bytes, outcomes: Sequence[int | None]) -> bytes:
    """For each comparison the index of its outcome; those without one are left out."""
    table = bytes(0 if outcome is None else _OUTCOMES.index(outcome) for outcome in outcomes)
    without = bytes(index for index, outcome in enumerate(outcomes) if outcome is None)
    return order.translate(table.ljust(256, b"\0"), without)


def _outcome(name: str, seen: Seen, *, is_paired: bool) -> int | None:
    """1: a hit; −1: of a pair, control's own; None: it says nothing of this rate."""
    match name:
        case "mismatches":
            hit = None if seen.verdict is Verdict.INCONCLUSIVE else seen.verdict is Verdict.MISMATCH
        case "errors":
            hit = None if seen.control_failed else seen.candidate_failed
        case _:
            hit = None if seen.control_failed or seen.candidate_failed else seen.is_slow
    if hit is None or not is_paired:
        return hit
    if seen.second is Second.NONE:
        return None
    return hit - (seen.second is Second.FAILED or (name == "mismatches" and seen.second is Second.MISMATCH))


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
    return rate.lower, rate.upper


def in_between(rate: Rate | Pairs, limit: Limit) -> str:
    """The bounds as one says them. What was seen of all may lie outside them: then the rate has changed."""
    lower, upper = bounds(rate, limit)
    if not isinstance(rate, Pairs):
        if lower > upper:
            return f"at times below {upper:.2%}, at times above {lower:.2%}"
        if rate.hits > upper * rate.seen:
            return f"above {lower:.2%}, at times below {upper:.2%}"
        if rate.hits < lower * rate.seen:
            return f"below {upper:.2%}, at times above {lower:.2%}"
    return f"between {lower:.2%} and {upper:.2%}"


def in_short(rate: Rate | Pairs) -> str:
    """The hits, less those of control with itself, of so many."""
    if not rate.seen:
        return "–"
    less = f" − {rate.control_hits}" if isinstance(rate, Pairs) else ""
    return f"{rate.hits}{less} of {rate.seen}"


def _in_numbers(name: str, rate: Rate | Pairs, limit: Limit) -> str:
    between = in_between(rate, limit)
    if isinstance(rate, Pairs):
        if not rate.seen:
            return (
                f"{name}: live answers differ by nature, and control gave no second one to go by: shadow.twice_percent "
                "has it asked, and it has to say X-Shadow-Writes"
            )
        return (
            f"{name}: {rate.hits} of {rate.seen} by the candidate alone and {rate.control_hits} by control's second "
            f"answer alone, so it is worse by {between}; {limit.rate:.2%} are allowed"
        )
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
