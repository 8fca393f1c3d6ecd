"""What may be said where two right answers differ: the candidate against control's own second answer, at every look.

With real calls to a model (`effects = "live"`) control does not answer alike twice. So it is asked twice, and each
exchange is one of three: only the candidate differs from what the caller got (x = 1), only control's second answer
does (x = −1), or neither (x = 0). Where both do, nothing can be said. A gate allows the mean of x, by which the
candidate is worse than control is with itself, to be d. Bets are made on each pair beforehand:

    below:  E⁻(d) = mean over λ of Π (1 − λ (xₜ − d)),   λ in (0, 1/(1−d))
    above:  E⁺(d) = mean over λ of Π (1 + λ (xₜ − d)),   λ in (0, 1/(1+d))

If given the past the mean of xₜ is d or more, no factor of E⁻ is above 1 on average and none is ever negative: it is a
non-negative supermartingale that begins at 1, and by Ville's inequality it *ever* reaches 1/α with a chance of at most
α; E⁺ likewise if the mean is d or less. So `go`, `no-go` and the bounds follow as in `verdict.py`.

Without the second kind of exchange (c = 0) E⁻ and E⁺ are the likelihood ratios of `verdict.py`, over other weights:
λ = (d−q)/(d(1−d)) turns the product into (q/d)ᵇ ((1−q)/(1−d))ⁿ⁻ᵇ. At d = 0 E⁺ is McNemar's test in its sequential
form: concordant pairs have the factor 1, and λ = 2p−1 turns the rest into (2p)ᵇ (2−2p)ᶜ. Thirty-two λ are fixed
beforehand, at the quantiles of the arcsine law: that any such mean is valid needs no integral to be exact.

Assumed: as in `verdict.py`; and that of the two that are asked again neither has an easier task: which of them is asked
first is drawn.

Sources: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, J. R. Stat. Soc. B 86
(2024); Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
Psychometrika 12 (1947).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from .verdict import FEWEST_HITS, Limit, More, first_enough

_BETS = 32
_STAKES = tuple(math.sin(math.pi / 2 * (number + 0.5) / _BETS) ** 2 for number in range(_BETS))
"""Shares of the greatest λ."""
_BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was counted so far."""

    seen: int = 0
    hits: int = 0
    """The candidate's alone."""
    control_hits: int = 0
    """Those of control's second answer alone."""
    is_over: bool = False
    """It was proven, once, that the candidate is worse by more than is allowed."""


def pairs_of(runs: Iterable[tuple[int, int]], limit: Limit) -> Pairs:
    """What outcomes amount to that came so many times in a row."""
    pairs = Pairs()
    for outcome, times in runs:
        pairs = counted(pairs, outcome, limit, times)
    return pairs


def counted(pairs: Pairs, outcome: int, limit: Limit, times: int = 1) -> Pairs:
    """So many more pairs, all alike: 1 if they hit the candidate alone, −1 if control's second answer alone, else 0."""
    now = replace(
        pairs,
        seen=pairs.seen + times,
        hits=pairs.hits + (outcome > 0) * times,
        control_hits=pairs.control_hits + (outcome < 0) * times,
    )
    return replace(now, is_over=True) if outcome > 0 and not now.is_over and _proves_over(now, limit) else now


def _proves_over(pairs: Pairs, limit: Limit) -> bool:
    enough = -math.log(limit.alpha_trip)
    return pairs.hits >= FEWEST_HITS and evidence_above(*_numbers(pairs), limit.rate) >= enough


def is_below(pairs: Pairs, limit: Limit) -> bool:
    """Whether it is proven that the candidate is worse by less than the limit."""
    return _proves_below(*_numbers(pairs), limit)


def _proves_below(seen: float, hits: float, control_hits: float, limit: Limit) -> bool:
    return evidence_below(seen, hits, control_hits, limit.rate) >= -math.log(limit.alpha)


def more_needed(pairs: Pairs, limit: Limit) -> More:
    """The price of `go`, from the kindest future to one like the past."""
    seen, hits, control_hits = _numbers(pairs)
    at_best = first_enough(lambda more: _proves_below(seen + more, hits, control_hits, limit))
    if not hits and not control_hits:
        return More(at_best, at_best)
    if hits - control_hits >= limit.rate * seen:
        return More(at_best, None)

    def at_this_rate(more: int) -> bool:
        times = 1 + more / seen
        return _proves_below(seen * times, hits * times, control_hits * times, limit)

    return More(at_best, first_enough(at_this_rate))


def bounds(pairs: Pairs, limit: Limit) -> tuple[float, float]:
    """By how much the candidate is worse, at least and at most: of this moment alone, −1 to 1."""
    if not pairs.seen:
        return -1.0, 1.0
    numbers = _numbers(pairs)
    mean = (pairs.hits - pairs.control_hits) / pairs.seen
    upper = _edge(mean, 1.0, lambda rate: evidence_below(*numbers, rate) >= -math.log(limit.alpha))
    lower = _edge(mean, -1.0, lambda rate: evidence_above(*numbers, rate) >= -math.log(limit.alpha_trip))
    return lower, upper


def _edge(inside: float, outside: float, is_refuted: Callable[[float], bool]) -> float:
    """Where, on the way from the mean to ±1, a rate begins to be refuted."""
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_refuted(middle) else (middle, outside)
    return outside


def _numbers(pairs: Pairs) -> tuple[int, int, int]:
    return pairs.seen, pairs.hits, pairs.control_hits


def evidence_below(seen: float, hits: float, control_hits: float, rate: float) -> float:
    """log E⁻(rate): how strongly the pairs speak for a candidate that is worse by less than this."""
    neither = seen - hits - control_hits
    logs = [hits * one + neither * none + control_hits * other for one, none, other in _factors(rate)]
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(each - greatest) for each in logs) / _BETS)


def evidence_above(seen: float, hits: float, control_hits: float, rate: float) -> float:
    """log E⁺(rate): how strongly they speak for one that is worse by more."""
    return evidence_below(seen, control_hits, hits, -rate)


@lru_cache(256)
def _factors(rate: float) -> list[tuple[float, float, float]]:
    """For each λ, the logs of the factors of x = 1, 0 and −1."""
    return [
        (math.log1p(-stake), math.log1p(stake * rate / (1 - rate)), math.log1p(stake * (1 + rate) / (1 - rate)))
        for stake in _STAKES
    ]
