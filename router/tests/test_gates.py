"""A route advances when every rate is shown to be allowed, and is stopped when one is shown not to be."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from pydantic import ValidationError

from ..evidence.gates import Evidence, Gate, Word, gathered, in_words, verdict_of
from ..evidence.observations import Comparison, Verdict
from .evidence import history_of

GATE = Gate()


def comparison(verdict: Verdict = Verdict.MATCH, at: float = 0.0, **fields: object) -> Comparison:
    return Comparison("0" * 32, "summary", "shadow", "e1", at, "legacy", "assistant", verdict, **fields)  # type: ignore[arg-type]


def evidence_of(comparisons: Iterable[Comparison], gate: Gate = GATE) -> Evidence:
    return gathered(history_of(comparisons, gate), gate)


def matches(count: int) -> list[Comparison]:
    return [comparison(at=float(second)) for second in range(count)]


def test_enough_matches_are_a_go_and_one_fewer_is_not() -> None:
    assert verdict_of(evidence_of(matches(377)), GATE).word is Word.GO

    watching = verdict_of(evidence_of(matches(376)), GATE)
    assert watching.word is Word.KEEP_WATCHING
    assert watching.more == (1, 1)


def test_no_evidence_is_no_go_and_no_no_go() -> None:
    verdict = verdict_of(Evidence(), GATE)

    assert (verdict.word, verdict.more) == (Word.KEEP_WATCHING, (377, 377))
    assert str(verdict) == "keep watching (about 377 more)"


def test_watching_says_how_many_more_and_how_long_at_the_present_rate() -> None:
    verdict = verdict_of(evidence_of(matches(101)), GATE)

    assert str(verdict) == "keep watching (about 276 more, ≈ 4.6 min at the present rate)"
    assert verdict.reasons[0] == "mismatches: 0 of 101, between 0.00% and 3.68%; 1.00% are allowed"


def test_a_rate_that_changed_is_said_to_have_changed() -> None:
    """Two bounds that hold for one rate cannot cross: the rate was not one."""
    seen = [*matches(400), *(comparison(Verdict.MISMATCH, at=400.0 + second) for second in range(200))]

    verdict = verdict_of(evidence_of(seen), GATE)

    assert verdict.word is Word.NO_GO
    assert "mismatches: 200 of 600, at times below 0.9" in verdict.reasons[0]
    assert ", at times above 2" in verdict.reasons[0]


def test_more_is_a_range_if_there_were_mismatches() -> None:
    seen = [*matches(400), comparison(Verdict.MISMATCH, at=401.0)]

    verdict = verdict_of(evidence_of(seen), GATE)

    assert verdict.more.at_best == 663 - 401
    assert str(verdict).startswith("keep watching (about 262 to ")


def test_a_candidate_that_always_fails_is_stopped_after_three() -> None:
    failed = [comparison(Verdict.MISMATCH, candidate_failed=True)] * 3

    verdict = verdict_of(evidence_of(failed), GATE)

    assert str(verdict) == "no-go"
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["mismatches", "errors"]


def test_errors_count_even_where_nothing_can_be_compared() -> None:
    seen = [*matches(1000), *[comparison(Verdict.INCONCLUSIVE, candidate_failed=True)] * 60]

    assert verdict_of(evidence_of(seen), GATE).word is Word.NO_GO


def test_failures_of_both_sides_are_no_errors_of_the_candidate_but_block_a_go() -> None:
    both = comparison(Verdict.INCONCLUSIVE, reason="both failed", control_failed=True, candidate_failed=True)
    seen = evidence_of([*matches(400), *[both] * 50])

    verdict = verdict_of(seen, GATE)

    assert seen.rates["errors"].hits == 0
    assert verdict.word is Word.KEEP_WATCHING
    assert verdict.reasons == ("inconclusive: 11.1% of the comparisons; 10.0% are allowed",)
    assert verdict.more == (50, None)
    assert str(verdict) == "keep watching (at least 50 more, ≈ 44 s at the present rate)"


def test_a_candidate_that_is_slower_than_allowed_is_stopped() -> None:
    slow = comparison(control_seconds=0.1, candidate_seconds=0.2)

    verdict = verdict_of(evidence_of([slow] * 20), GATE)

    assert verdict.word is Word.NO_GO
    assert verdict.reasons[0].startswith("slower: 20 of 20")


@pytest.mark.parametrize("seconds", [(0.001, 0.05), (1.0, 1.29)], ids=["below the floor", "within the factor"])
def test_a_little_slower_is_allowed(seconds: tuple[float, float]) -> None:
    control, candidate = seconds

    seen = evidence_of([comparison(control_seconds=control, candidate_seconds=candidate)] * 377)

    assert verdict_of(seen, GATE).word is Word.GO


def test_of_a_failed_answer_nobody_says_that_it_was_slow() -> None:
    seen = evidence_of([comparison(Verdict.MISMATCH, candidate_failed=True, candidate_seconds=9.0)])

    assert seen.rates["slower"].seen == 0


def test_go_needs_every_gate_and_the_strictest_says_how_long() -> None:
    strict = Gate(errors=0.005)

    verdict = verdict_of(evidence_of(matches(377), strict), strict)

    assert verdict.more == (756 - 377, 756 - 377)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["errors"]


def test_a_gate_is_written_as_in_the_file() -> None:
    gate = Gate.model_validate({"mismatches": 0.01, "errors": 0.005, "slower": 1.25, "confidence": 0.95})

    assert gate.limits()["errors"].alpha == 0.05
    with pytest.raises(ValidationError):
        Gate.model_validate({"mismatch": 0.01})


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (180, "3 min"), (9_000, "2.5 h"), (345_600, "4 days"), (1e9, "11,574 days")]
)
def test_a_length_of_time_is_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_share_outside_its_bounds_is_not_said_to_lie_between_them() -> None:
    more_lately = [*matches(100), *(comparison(Verdict.MISMATCH) for _ in range(10))]
    fewer_lately = [*(comparison(Verdict.MISMATCH) for _ in range(20)), *matches(20)]

    more, fewer = (verdict_of(evidence_of(seen), GATE).reasons[0] for seen in (more_lately, fewer_lately))

    assert more == "mismatches: 10 of 110, above 1.86%, at times below 3.72%; 1.00% are allowed"
    assert fewer.startswith("mismatches: 20 of 40, below ")
    assert ", at times above 7" in fewer
