"""What may be said of a rate after n pairs with k hits, however often one looks: the statistics of every gate.

A gate allows a rate p0 (of mismatches, of errors, of answers slower than allowed). After each comparable pair one asks
again whether the evidence is enough. A test for a fixed number of pairs, asked again and again, is wrong far more
often than it says; these are made to be asked after every pair.

With the beta function B, the regularised incomplete beta function I and a prior Beta(a, b):

    below:  E⁻(p) = B(a+k, b+n−k) · I_p(a+k, b+n−k)       / [ B(a, b) · I_p(a, b)       · pᵏ · (1−p)ⁿ⁻ᵏ ]
    above:  E⁺(p) = B(a+k, b+n−k) · (1 − I_p(a+k, b+n−k)) / [ B(a, b) · (1 − I_p(a, b)) · pᵏ · (1−p)ⁿ⁻ᵏ ]

E⁻(p) is the likelihood of what was seen, averaged over the rates below p, against its likelihood at p. If the true
rate is p or more it is a non-negative supermartingale that begins at 1, so by Ville's inequality the chance that it
*ever* reaches 1/α is at most α; E⁺ likewise if the true rate is p or less. Hence

    go      when E⁻(p0) ≥ 1/α
    no-go   once E⁺(p0) ≥ 1/α′ with k ≥ 3   (one hit in the first pair would do without that: valid, and useless)
    bounds  U = sup{p : E⁻(p) < 1/α},  L = inf{p : E⁺(p) < 1/α′};  their running minimum and maximum hold together

The average must be over one side of p only: over all rates, one hit at n = 1 would be evidence *against* p0 = 1 %
that reads as `go`. The prior changes how soon an answer comes, not whether it may be trusted.

Assumed: α and the rules are fixed beforehand (p0 need not be: the bounds hold for every rate at once); one route, one
build of each side, one set of rules (an epoch); given the past, a pair is a hit with a chance on one side of p0. `go`
must hold now: where later hits have weakened a proof, it is not used; that only makes it rarer. `no-go`, once proven,
stays for the epoch.

Sources: J. Ville, Étude critique de la notion de collectif (1939); H. Robbins, Statistical methods related to the law
of the iterated logarithm, Ann. Math. Statist. 41 (1970), for the mixture; S. R. Howard, A. Ramdas, J. McAuliffe and
J. Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Ann. Statist. 49 (2021), for the
beta-binomial mixture and its one-sided form. The continued fraction of I is DLMF 8.17.22, evaluated by Lentz's method.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

FEWEST_HITS = 3
"""Fewer prove nothing against a candidate, whatever their share."""
CLOSEST = 1_000
"""Beyond so many pairs not each of them is a moment at which bounds are taken, but one in a thousandth more."""
MOST_PAIRS = 100_000_000
"""Where "how many more" stops counting and says: never."""
_FRACTION_STEPS = 20_000
_BISECTIONS = 60


class Prior(NamedTuple):
    """Beta(a, b) over the rate. (½, ½) suits whatever comes; (1, 10/p0) is a little sooner if no hit is expected."""

    a: float = 0.5
    b: float = 0.5


HALVES = Prior()


@dataclass(frozen=True, slots=True)
class Limit:
    """The rate that is allowed, and how sure one has to be."""

    rate: float
    """p0, between 0 and 1."""
    alpha: float = 0.05
    """At most so often a candidate at the limit or above it ever gets `go`."""
    alpha_trip: float = 0.01
    """α′: at most so often a candidate at the limit or below it ever gets `no-go`."""
    prior: Prior = HALVES


@dataclass(frozen=True, slots=True)
class Rate:
    """What was counted, with the bounds of every moment so far."""

    seen: int = 0
    hits: int = 0
    upper: float = 1.0
    """The running minimum of U."""
    lower: float = 0.0
    """The running maximum of L, from the third hit on."""
    is_over: bool = False
    """It was proven, once, that the rate is above the limit."""


Runs = Iterable[tuple[bool, int]]
"""Comparable pairs in their order: hits or not, and how many of them in a row."""


def rate_of(runs: Runs, limit: Limit) -> Rate:
    """What they amount to. The bounds are the tightest of all moments, whichever comes first: gone through by chance,
    most moments only have to be seen not to be tighter."""
    seen = hits = 0
    moments = []
    next_at = {False: 0, True: 0}
    for is_hit, times in runs:
        seen, hits = seen + times, hits + is_hit * times
        # U only falls while there are no hits, and L only rises with them; and one moment in a thousand is enough.
        if seen >= next_at[is_hit]:
            moments.append((is_hit, seen, hits))
            next_at[is_hit] = seen + 1 + seen // CLOSEST
    random.Random(0).shuffle(moments)  # noqa: S311  (no secret)
    upper, lower = 1.0, 0.0
    for is_hit, pairs, so_far in moments:
        if not is_hit and evidence_below(pairs, so_far, upper, limit.prior) >= -math.log(limit.alpha):
            upper = upper_bound(pairs, so_far, limit.alpha, limit.prior)
        is_enough = is_hit and so_far >= FEWEST_HITS
        if is_enough and evidence_above(pairs, so_far, lower, limit.prior) >= -math.log(limit.alpha_trip):
            lower = lower_bound(pairs, so_far, limit.alpha_trip, limit.prior)
    return Rate(seen, hits, upper, lower, lower >= limit.rate)


def is_below(seen: int, hits: float, limit: Limit) -> bool:
    """Whether it is proven that the rate is below the limit."""
    return evidence_below(seen, hits, limit.rate, limit.prior) >= -math.log(limit.alpha)


class More(NamedTuple):
    """How many more pairs until `go`."""

    at_best: int | None
    """If there is no further hit. None: not within any number worth waiting for."""
    at_this_rate: int | None
    """If hits go on as so far. None: it never comes."""


def more_needed(rate: Rate, limit: Limit) -> More:
    """The price of an answer, from the kindest future to one like the past."""
    share = rate.hits / rate.seen if rate.seen else 0.0
    at_best = first_enough(lambda more: is_below(rate.seen + more, rate.hits, limit))
    if share >= limit.rate:
        return More(at_best, None)
    return More(at_best, first_enough(lambda more: is_below(rate.seen + more, rate.hits + more * share, limit)))


def first_enough(is_enough: Callable[[int], bool]) -> int | None:
    """The smallest number that is enough, where every larger one is too."""
    high = 1
    if is_enough(0):
        return 0
    while not is_enough(high):
        high *= 2
        if high > MOST_PAIRS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def upper_bound(seen: int, hits: float, alpha: float, prior: Prior = HALVES) -> float:
    """U of this moment alone."""
    low, high = hits / seen if seen else 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if evidence_below(seen, hits, middle, prior) < -math.log(alpha):
            low = middle
        else:
            high = middle
    return high


def lower_bound(seen: int, hits: float, alpha: float, prior: Prior = HALVES) -> float:
    """L of this moment alone."""
    low, high = 0.0, hits / seen if seen else 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if evidence_above(seen, hits, middle, prior) < -math.log(alpha):
            high = middle
        else:
            low = middle
    return low


def evidence_below(seen: int, hits: float, rate: float, prior: Prior) -> float:
    """log E⁻(rate): how strongly the pairs speak for a rate below this one."""
    if rate >= 1:
        return math.inf if hits < seen else -math.inf
    a, b = prior.a + hits, prior.b + seen - hits
    averaged = _log_beta(a, b) + _log_tails(rate, a, b).below
    return averaged - _log_beta(*prior) - _log_tails(rate, *prior).below - _log_likelihood(seen, hits, rate)


def evidence_above(seen: int, hits: float, rate: float, prior: Prior) -> float:
    """log E⁺(rate): how strongly the pairs speak for a rate above this one."""
    if rate <= 0:
        return math.inf if hits else -math.inf
    a, b = prior.a + hits, prior.b + seen - hits
    averaged = _log_beta(a, b) + _log_tails(rate, a, b).above
    return averaged - _log_beta(*prior) - _log_tails(rate, *prior).above - _log_likelihood(seen, hits, rate)


def _log_likelihood(seen: int, hits: float, rate: float) -> float:
    return hits * math.log(rate) + (seen - hits) * math.log1p(-rate)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


class _Tails(NamedTuple):
    """log I_x(a, b) and log(1 − I_x(a, b))."""

    below: float
    above: float


def _log_tails(x: float, a: float, b: float) -> _Tails:
    """The fraction converges fast on the near side of the mean; the other tail is what is left of 1."""
    front = a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)
    if x < (a + 1) / (a + b + 2):
        below = front + math.log(_fraction(x, a, b) / a)
        return _Tails(below, _log_rest(below))
    above = front + math.log(_fraction(1 - x, b, a) / b)
    return _Tails(_log_rest(above), above)


def _log_rest(log_share: float) -> float:
    """log(1 − share)."""
    return math.log(-math.expm1(log_share)) if log_share < 0 else -math.inf


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, about √max(a, b) steps."""
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, _FRACTION_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
