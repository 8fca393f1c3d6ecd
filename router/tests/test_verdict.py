"""The verdict may be asked for after every pair, and errs no more often than it says."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import accumulate, groupby
from pathlib import Path

import pytest

from ..evidence.characteristics import SVG, boundaries, drawing, run, simulated, table
from ..evidence.verdict import (
    Limit,
    More,
    Prior,
    Rate,
    evidence_above,
    evidence_below,
    is_below,
    lower_bound,
    more_needed,
    rate_of,
    upper_bound,
)

README = Path(__file__).parents[1] / "evidence" / "README.md"
RUNS = 4_000
HALF = Prior()


@pytest.mark.parametrize(
    ("rate", "alpha", "pairs_for_go"),
    [
        (0.01, 0.05, {0: (377, 327), 1: (663, 625), 2: (883, 878), 3: (1079, 1107), 5: (1436, 1525)}),
        (0.005, 0.05, {0: (756, 655), 1: (1329, 1252), 2: (1769, 1758), 3: (2162, 2217), 5: (2877, 3054)}),
        (0.001, 0.05, {0: (3787, 3278), 1: (6655, 6270), 2: (8859, 8799), 3: (10825, 11095), 5: (14401, 15284)}),
        (0.01, 0.01, {0: (556, 499), 1: (862, 806), 2: (1097, 1066), 3: (1306, 1302), 5: (1683, 1732)}),
    ],
)
def test_the_pairs_needed_for_go_are_those_computed_exactly(
    rate: float, alpha: float, pairs_for_go: dict[int, tuple[int, int]]
) -> None:
    priors = (HALF, Prior(1, 10 / rate))

    for hits, expected in pairs_for_go.items():
        for prior, pairs in zip(priors, expected, strict=True):
            limit = Limit(rate, alpha, prior=prior)
            assert is_below(pairs, hits, limit)
            assert not is_below(pairs - 1, hits, limit)
            assert more_needed(Rate(100, hits), limit).at_best == pairs - 100


def integral(a: float, b: float, low: float, high: float) -> float:
    """∫ q^(a−1) (1−q)^(b−1) dq by the midpoint rule, in q = s² so that the edge at 0 does no harm."""
    steps = 200_000
    start, width = math.sqrt(low), (math.sqrt(high) - math.sqrt(low)) / steps
    middles = (start + (step + 0.5) * width for step in range(steps))
    total: float = sum(2 * s ** (2 * a - 1) * (1 - s * s) ** (b - 1) for s in middles) * width
    return total


@pytest.mark.parametrize(("seen", "hits", "rate"), [(50, 0, 0.02), (40, 3, 0.02), (30, 9, 0.4), (20, 1, 0.5)])
def test_the_evidence_is_the_averaged_likelihood_on_one_side_as_an_integral_has_it(
    seen: int, hits: int, rate: float
) -> None:
    prior, likelihood = Prior(0.5, 2), rate**hits * (1 - rate) ** (seen - hits)

    for evidence, low, high in ((evidence_below, 0.0, rate), (evidence_above, rate, 1.0)):
        averaged = integral(prior.a + hits, prior.b + seen - hits, low, high) / integral(*prior, low, high)
        assert math.exp(evidence(seen, hits, rate, prior)) == pytest.approx(averaged / likelihood, rel=1e-4)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.3])
@pytest.mark.parametrize(("evidence", "side"), [(evidence_below, 1), (evidence_above, -1)])
def test_at_the_limit_one_more_pair_changes_the_evidence_by_nothing_on_average(
    rate: float, evidence: type, side: int
) -> None:
    for seen, hits in ((0, 0), (1, 1), (500, 4), (100_000, 1_003)):
        now = evidence(seen, hits, rate, HALF)
        after = [math.exp(evidence(seen + 1, hits + hit, rate, HALF) - now) for hit in (0, 1)]
        beyond = min(1.0, max(0.0, rate + side * rate / 2))

        assert (1 - rate) * after[0] + rate * after[1] == pytest.approx(1, abs=1e-6)
        assert (1 - beyond) * after[0] + beyond * after[1] <= 1 + 1e-6


def counted(outcomes: Iterable[bool], limit: Limit) -> Rate:
    return rate_of(((hit, 1) for hit in outcomes), limit)


def test_one_mismatch_at_the_start_speaks_neither_for_nor_fatally_against() -> None:
    assert not is_below(1, 1, Limit(0.01))
    assert not counted([True], Limit(0.01)).is_over


def test_a_dead_candidate_is_found_after_three_pairs() -> None:
    assert [counted([True] * pairs, Limit(0.01)).is_over for pairs in (1, 2, 3)] == [False, False, True]


def test_the_bounds_are_the_tightest_of_every_moment_so_far() -> None:
    limit, draw = Limit(0.02), random.Random(7)
    outcomes: list[bool] = []
    upper, lower = 1.0, 0.0
    for _ in range(400):
        outcomes.append(draw.random() < 0.05)
        seen, hits = len(outcomes), sum(outcomes)
        upper = min(upper, upper_bound(seen, hits, limit.alpha))
        if hits >= 3:
            lower = max(lower, lower_bound(seen, hits, limit.alpha_trip))

        if seen % 40 == 0 or (outcomes[-1] and hits % 3 == 0):
            now = counted(outcomes, limit)
            assert now.upper == pytest.approx(upper, abs=1e-12)
            assert now.lower == pytest.approx(lower, abs=1e-12)
            assert now.is_over == (lower >= limit.rate)


def test_pairs_in_a_row_may_be_told_at_once() -> None:
    limit, draw = Limit(0.02), random.Random(8)
    outcomes = [draw.random() < 0.3 for _ in range(400)]
    runs = [(hit, len(list(run))) for hit, run in groupby(outcomes)]

    told, counted_one_by_one = rate_of(runs, limit), counted(outcomes, limit)

    assert (told.seen, told.hits, told.is_over) == (400, sum(outcomes), True)
    assert told.upper == pytest.approx(counted_one_by_one.upper, abs=1e-12)
    assert told.lower == pytest.approx(counted_one_by_one.lower, abs=1e-12)


def test_of_very_many_pairs_one_moment_in_a_thousand_is_enough() -> None:
    """Fewer moments make bounds that are not as tight, by next to nothing, and hold as well."""
    limit, draw = Limit(0.02), random.Random(9)
    outcomes = [draw.random() < 0.015 for _ in range(10_000)]
    moments = [0, *accumulate(outcomes)]
    tightest = min(
        upper_bound(seen, moments[seen], limit.alpha) for seen in range(2_000, 10_001, 17) if not outcomes[seen - 1]
    )

    found = counted(outcomes, limit)

    assert found.upper == pytest.approx(tightest, rel=0.01)


def test_a_proof_that_later_mismatches_weaken_is_no_go_any_more_and_has_a_price_again() -> None:
    limit = Limit(0.01)

    before, after = (counted([False] * 377 + [True] * hits, limit) for hits in (0, 2))

    assert is_below(before.seen, before.hits, limit)
    assert not is_below(after.seen, after.hits, limit)
    assert more_needed(after, limit).at_best == 883 - 379


def test_how_many_more_is_a_range_from_no_further_mismatch_to_the_same_rate() -> None:
    limit = Limit(0.01)

    assert more_needed(Rate(), limit) == More(377, 377)
    best, likely = more_needed(Rate(500, 1), limit)
    assert best == 163
    assert likely is not None
    assert is_below(500 + likely, 1 + likely / 500, limit)
    assert not is_below(500 + likely - 1, 1 + (likely - 1) / 500, limit)
    assert more_needed(Rate(100, 2), limit).at_this_rate is None


def test_ten_million_pairs_are_no_trouble() -> None:
    assert upper_bound(10_000_000, 100_000, 0.05) == pytest.approx(0.01, rel=0.02)
    assert lower_bound(10_000_000, 100_000, 0.05) == pytest.approx(0.01, rel=0.02)
    assert is_below(10_000_000, 98_000, Limit(0.01))


def test_the_simulation_decides_as_the_verdict_does_pair_by_pair() -> None:
    limit, pairs = Limit(0.05), 600
    lines = boundaries(limit, pairs)
    for hits, seen in enumerate(lines.go_from):
        assert is_below(seen, hits, limit)
        assert not is_below(seen - 1, hits, limit)

    for seed in range(10):
        draw = random.Random(seed)
        truth = draw.choice([0.01, 0.05, 0.1])
        gaps = random.Random(seed)
        gaps.choice([0.01, 0.05, 0.1])
        word, after = run(truth, lines, gaps, pairs)

        expected, seen, outcomes = "watching", 0, []
        until_hit = 1 + int(math.log(1 - draw.random()) / math.log1p(-truth))
        for seen in range(1, pairs + 1):
            until_hit -= 1
            outcomes.append(until_hit == 0)
            if until_hit == 0:
                until_hit = 1 + int(math.log(1 - draw.random()) / math.log1p(-truth))
            is_over = outcomes[-1] and counted(outcomes, limit).is_over
            if is_over or is_below(seen, sum(outcomes), limit):
                expected = "no-go" if is_over else "go"
                break
        assert (word, after) == (expected, seen)


@pytest.mark.parametrize(("alpha", "alpha_trip"), [(0.05, 0.05), (0.05, 0.01)])
def test_watched_after_every_pair_false_go_and_false_no_go_stay_within_what_was_promised(
    alpha: float, alpha_trip: float
) -> None:
    limit = Limit(0.01, alpha, alpha_trip)
    never_go = Limit(0.01, 1e-300, alpha_trip)

    at_the_limit = simulated(0.01, limit, RUNS)
    watched_on = simulated(0.01, never_go, RUNS)

    assert at_the_limit.go <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / RUNS)
    assert watched_on.no_go <= alpha_trip + 3 * math.sqrt(alpha_trip * (1 - alpha_trip) / RUNS)


def test_a_candidate_without_fault_gets_go_within_four_hundred_pairs_and_a_bad_one_is_stopped() -> None:
    limit = Limit(0.01)

    flawless, good, bad = (simulated(rate, limit, RUNS) for rate in (0.0, 0.002, 0.03))

    assert (flawless.go, flawless.go_after) == (1.0, 377)
    assert good.go >= 0.99
    assert bad.no_go >= 0.99
    assert bad.no_go_after is not None
    assert bad.no_go_after <= 600


def test_the_readme_shows_what_the_simulation_gives() -> None:
    assert table(Limit(0.01)) in README.read_text("utf-8")
    assert SVG.read_text("utf-8") == drawing(Limit(0.01))
