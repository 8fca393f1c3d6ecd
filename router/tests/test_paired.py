"""Of live answers the verdict is about how much worse the candidate is than control with itself, at every look."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from ..evidence import verdict
from ..evidence.characteristics import TRUE_PAIRS, run_pairs, simulated_pairs, table_of_pairs
from ..evidence.gates import Evidence, Gate, Word, gathered, verdict_of
from ..evidence.observations import Second, Verdict
from ..evidence.paired import Pairs, bounds, counted, evidence_above, evidence_below, is_below, more_needed
from ..evidence.verdict import HALVES, Limit
from .conftest import DEEP_ENV
from .evidence import comparison, history_of

README = Path(__file__).parents[1] / "evidence" / "README.md"
RUNS = 300
GATE = Gate(mismatches=0.05, errors=0.05)


@pytest.mark.parametrize("limit", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize(("evidence", "side"), [(evidence_below, 1), (evidence_above, -1)])
def test_at_the_limit_one_more_pair_changes_the_evidence_by_nothing_on_average(
    limit: float, evidence: type, side: int
) -> None:
    for seen, hits, control_hits in ((0, 0, 0), (1, 1, 0), (50, 9, 7), (100_000, 6_003, 5_000)):
        now = evidence(seen, hits, control_hits, limit)
        after = {
            outcome: math.exp(evidence(seen + 1, hits + (outcome > 0), control_hits + (outcome < 0), limit) - now)
            for outcome in (1, 0, -1)
        }
        for noise in (0.0, 0.1, 0.3):
            chances = {1: noise + limit, -1: noise, 0: 1 - limit - 2 * noise}
            assert sum(chances[each] * after[each] for each in after) == pytest.approx(1, abs=1e-6)
            beyond = {1: noise + limit + side * 0.05, -1: noise, 0: 1 - limit - 2 * noise - side * 0.05}
            assert sum(beyond[each] * after[each] for each in after) <= 1 + 1e-6


def test_where_control_always_agrees_with_itself_it_takes_about_as_many_pairs_as_with_the_tape() -> None:
    needed = [more_needed(Pairs(0, hits), Limit(0.01)).at_best or 0 for hits in (0, 1, 2, 3, 5)]

    for paired, plain in zip(needed, (377, 663, 883, 1079, 1436), strict=True):
        assert plain <= paired <= 1.12 * plain


def test_with_nothing_allowed_it_is_mcnemars_test_and_concordant_pairs_say_nothing() -> None:
    needed = [next(b for b in count() if evidence_above(b + c, b, c, 0) >= math.log(20)) for c in (0, 1, 2, 3, 5)]

    assert needed == [6, 10, 13, 15, 19]
    assert evidence_above(10_000, 9, 2, 0) == pytest.approx(evidence_above(11, 9, 2, 0))
    assert verdict.evidence_above(11, 9, 0.5, HALVES) == pytest.approx(evidence_above(11, 9, 2, 0), rel=0.1)


def test_differences_of_control_with_itself_are_held_against_nobody() -> None:
    limit = Limit(0.05)

    assert not is_below(Pairs(1_000, 100, 0), limit)
    assert is_below(Pairs(1_000, 100, 100), limit)


def test_the_bounds_are_where_a_rate_begins_to_be_refuted() -> None:
    limit, pairs = Limit(0.05), Pairs(1_000, 130, 50)

    lower, upper = bounds(pairs, limit)

    assert lower < 0.08 < upper
    assert evidence_below(1_000, 130, 50, upper) == pytest.approx(-math.log(limit.alpha), abs=1e-3)
    assert evidence_above(1_000, 130, 50, lower) == pytest.approx(-math.log(limit.alpha_trip), abs=1e-3)
    assert bounds(Pairs(), limit) == (-1, 1)


def test_how_many_more_is_a_range_from_no_further_difference_to_the_same_rates() -> None:
    limit, pairs = Limit(0.05), Pairs(100, 6, 4)

    best, likely = more_needed(pairs, limit)

    assert best is not None
    assert likely is not None
    assert best < likely
    assert is_below(Pairs(100 + best, 6, 4), limit)
    assert not is_below(Pairs(100 + best - 1, 6, 4), limit)
    assert more_needed(Pairs(100, 9, 4), limit).at_this_rate is None


def test_one_or_two_failures_at_the_start_prove_nothing_against_the_candidate() -> None:
    pairs = counted(counted(Pairs(), 1, Limit(0.001)), 1, Limit(0.001))

    assert not pairs.is_over


@pytest.mark.parametrize(("noise", "limit"), [(0.0, 0.05), (0.1, 0.05), (0.3, 0.1)])
def test_watched_after_every_pair_false_go_and_false_no_go_stay_within_what_was_promised(
    noise: float, limit: float
) -> None:
    alpha, allowed = 0.05, 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)

    go = simulated_pairs(noise, limit, Limit(limit, alpha, alpha_trip=1e-300), RUNS, pairs=400).go
    no_go = simulated_pairs(noise, limit, Limit(limit, 1e-300, alpha_trip=alpha), RUNS, pairs=400).no_go

    assert 0.001 < go <= allowed
    assert 0.001 < no_go <= allowed


def test_the_simulation_decides_as_the_verdict_does_pair_by_pair() -> None:
    limit = Limit(0.05, alpha_trip=0.05)
    for seed in range(40):
        noise, worse = random.Random(seed).choice([(0.0, 0.02), (0.05, 0.0), (0.05, 0.15)])
        draw, gaps = random.Random(seed), random.Random(seed)
        end = run_pairs(noise, worse, limit, gaps, pairs=400)

        pairs, expected = Pairs(), "watching"
        while pairs.seen < 400 and expected == "watching":
            gap = 1 + int(math.log(1 - draw.random()) / math.log1p(-2 * noise - worse))
            outcome = 1 if draw.random() * (2 * noise + worse) < noise + worse else -1
            for each in [*[0] * (gap - 1), outcome][: 400 - pairs.seen]:
                pairs = counted(pairs, each, limit)
                if pairs.is_over or is_below(pairs, limit):
                    expected = "no-go" if pairs.is_over else "go"
                    break
        assert end == (expected, pairs.seen)


def test_the_readme_shows_what_the_simulation_gives() -> None:
    slow = () if DEEP_ENV in os.environ else ((0.1, 0.05), (0.1, 0.1))  # an answer takes long: so do the runs
    truths = [each for each in TRUE_PAIRS if each not in slow]

    table = table_of_pairs(Limit(0.05, alpha_trip=0.01 / 3), truths=truths)

    assert set(table.splitlines()) <= set(README.read_text("utf-8").splitlines())


def evidence_of(outcomes: Iterable[tuple[Verdict, Second]]) -> Evidence:
    given = [comparison(number, verdict=word, second=second) for number, (word, second) in enumerate(outcomes)]
    return gathered(history_of(given, GATE), GATE, is_live=True)


SAME = (Verdict.MATCH, Second.MATCH)


def test_of_a_live_route_a_hundred_pairs_that_agree_are_a_go_at_five_in_a_hundred() -> None:
    assert verdict_of(evidence_of([SAME] * 100), GATE).word is Word.GO


def test_a_candidate_that_differs_where_control_does_not_is_stopped_and_the_reverse_is_not() -> None:
    worse = verdict_of(evidence_of([*[SAME] * 20, *[(Verdict.MISMATCH, Second.MATCH)] * 15]), GATE)
    better = verdict_of(evidence_of([*[SAME] * 20, *[(Verdict.MATCH, Second.MISMATCH)] * 15]), GATE)

    assert worse.word is Word.NO_GO
    assert worse.reasons[0].startswith("mismatches: 15 of 35 by the candidate alone and 0 by control's second answer")
    assert better.word is not Word.NO_GO


def test_a_provider_that_fails_both_alike_is_nobodys_fault() -> None:
    given = []
    for number in range(600):
        second = Second.FAILED if number % 20 == 0 else Second.MATCH
        failed = number % 20 == 10
        word = Verdict.MISMATCH if failed else Verdict.MATCH
        given.append(comparison(number, verdict=word, second=second, candidate_failed=failed))

    evidence = gathered(history_of(given, GATE), GATE, is_live=True)

    assert verdict_of(evidence, GATE).word is Word.GO
    assert evidence.rates["errors"] == Pairs(600, 30, 30)


def test_without_a_second_answer_of_control_there_is_nothing_to_go_by_and_the_cure_is_said() -> None:
    found = verdict_of(evidence_of([(Verdict.MISMATCH, Second.NONE)] * 300), GATE)

    assert found.word is Word.KEEP_WATCHING
    assert found.reasons[0].startswith("mismatches: live answers differ by nature, and control gave no second one")


def test_texts_that_never_agree_are_no_go_ahead() -> None:
    """Both differ from what the caller got: without a rule nothing can be said."""
    both = [(Verdict.INCONCLUSIVE, Second.MISMATCH)]

    found = verdict_of(evidence_of([*[SAME] * 200, *both * 50]), GATE)

    assert found.word is Word.KEEP_WATCHING
    assert found.reasons == ("inconclusive: 20.0% of the comparisons; 10.0% are allowed",)
