"""A comparison says match or mismatch only if something can be said, and otherwise why not."""

from __future__ import annotations

from typing import Any

import pytest

from ..evidence.judge import Exchange, judged
from ..evidence.observations import Comparison, Observation, Verdict
from .observing import NO_RULES, answer, call

COPY = Exchange("0af7651916cd43dd8448eb211c80319c", "summary", "shadow", "e1", 1_000.0)
WRITES = COPY._replace(writes_are_rolled_back=True)
HONOURED = [(b"x-shadow-writes", b"assistant_call=1")]


def judge(control: Observation, candidate: Observation, exchange: Exchange = COPY) -> Comparison:
    return judged(exchange, control, candidate, NO_RULES)


def failed(status: int = 0, error: str = "", **fields: Any) -> Observation:
    return answer({"error": "x"}, status=status, error=error, **fields)


def test_equal_answers_match_and_others_do_not() -> None:
    assert judge(answer({"a": 1}), answer({"a": 1})).verdict is Verdict.MATCH

    mismatch = judge(answer({"a": 1}), answer({"a": 2}))
    assert mismatch.verdict is Verdict.MISMATCH
    assert [one.place for one in mismatch.differences] == ["body /a"]


@pytest.mark.parametrize(
    ("control", "candidate", "verdict", "reason"),
    [
        (failed(200, "CallerLeft"), answer({}), Verdict.INCONCLUSIVE, "the caller left"),
        (failed(502), failed(500), Verdict.INCONCLUSIVE, "both failed"),
        (failed(0, "ConnectFailed"), failed(0, "ConnectFailed"), Verdict.INCONCLUSIVE, "both failed"),
        (failed(500), answer({}), Verdict.INCONCLUSIVE, "the control failed"),
        (failed(200, "AnswerCut"), answer({}), Verdict.INCONCLUSIVE, "the control failed"),
        (answer({}), failed(500), Verdict.MISMATCH, ""),
        (answer({}), failed(0, "AnswerTimeout"), Verdict.MISMATCH, ""),
        (answer({}), failed(200, "AnswerCut"), Verdict.MISMATCH, ""),
        (answer({}, status=404), answer({}, status=404), Verdict.MATCH, ""),
    ],
)
def test_failures_are_told_apart_by_whose_they_are(
    control: Observation, candidate: Observation, verdict: Verdict, reason: str
) -> None:
    comparison = judge(control, candidate)

    assert (comparison.verdict, comparison.reason) == (verdict, reason)
    assert bool(comparison.differences) == (verdict is Verdict.MISMATCH)
    assert comparison.control_failed == (bool(control.error) or control.status >= 500 or not control.status)
    assert comparison.candidate_failed == (bool(candidate.error) or candidate.status >= 500 or not candidate.status)


def test_what_a_side_makes_of_a_failure_on_the_tape_counts() -> None:
    refused = call({}, status=429)
    control, alike = failed(502, effects=(refused,)), failed(502, effects=(refused,))

    assert judge(control, alike).verdict is Verdict.MATCH
    assert judge(control, failed(500, effects=(refused,))).verdict is Verdict.MISMATCH


def test_an_answer_longer_than_what_is_recorded_says_nothing_unless_it_differs_before() -> None:
    control, candidate = answer(b"{", is_cut_off=True), answer(b"{", is_cut_off=True)

    comparison = judge(control, candidate)

    assert (comparison.verdict, comparison.reason) == (Verdict.INCONCLUSIVE, "longer than what is recorded")
    assert judge(control, answer(b"{", status=201, is_cut_off=True)).verdict is Verdict.MISMATCH
    assert judge(answer({}), answer(b"x" * 1_000, is_cut_off=True)).verdict is Verdict.MISMATCH


def test_a_candidate_that_may_have_written_says_nothing() -> None:
    silent, honoured = answer({}), answer({}, headers=HONOURED)

    assert judge(answer({}), honoured, WRITES).verdict is Verdict.MATCH
    comparison = judge(answer({}), silent, WRITES)
    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert (
        comparison.reason
        == 'the copy\'s answer does not say X-Shadow-Writes, "none" or what it took back: it may have written'
    )


def test_a_candidate_that_does_not_even_know_the_route_is_wrong_marked_or_not() -> None:
    assert judge(answer({}), answer({}, status=404), WRITES).verdict is Verdict.MISMATCH


def test_a_tape_that_has_lost_an_answer_says_nothing_about_the_candidate() -> None:
    asked = answer({}, effects=(call({"a": 1}),))
    lost = failed(502, effects=(call({"a": 1}, is_on_tape=False, status=599),))
    other = failed(502, effects=(call({"a": 2}, is_on_tape=False, status=599),))

    assert judge(asked, lost).reason == "the tape has lost an answer"
    assert judge(asked, other).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("side", ["control", "candidate"])
def test_a_call_that_is_not_recorded_whole_says_nothing(side: str) -> None:
    whole, part = (answer({"a": is_whole}, effects=(call({}, is_whole=is_whole),)) for is_whole in (True, False))

    comparison = judge(part, whole) if side == "control" else judge(whole, part)

    assert comparison.reason == "the recording of an outgoing call is incomplete"


def test_a_real_call_over_the_budget_says_nothing_of_the_candidate() -> None:
    refused = answer({"error": "no answer"}, status=502, effects=(call({}, status=599, is_whole=False),))

    comparison = judge(answer({"a": 1}, effects=(call({}),)), refused)

    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert comparison.reason.startswith("an outgoing call was not sent: the budget is used up")


def test_an_encoding_that_cannot_be_read_says_nothing_unless_the_bytes_are_equal() -> None:
    one, other = (answer(body, headers=[(b"content-encoding", b"br")]) for body in (b"\x01\x02", b"\x01\x03"))

    assert judge(one, one).verdict is Verdict.MATCH
    assert judge(one, other).reason == "an encoding of the body that cannot be read"


def test_noise_neither_counts_nor_is_kept() -> None:
    comparison = judged(
        COPY,
        answer({"a": 1, "b": 1}),
        answer({"a": 2, "b": 1}),
        NO_RULES,
        is_noise=lambda difference: difference.place == "body /a",
    )

    assert (comparison.verdict, comparison.differences) == (Verdict.MATCH, ())


def test_a_comparison_keeps_who_when_and_how_long() -> None:
    control = answer({}, seconds=1.0, effects=(call({}, seconds=0.75),))
    candidate = answer({}, upstream="assistant", seconds=0.5, effects=(call({}, seconds=0.25),))

    comparison = judge(control, candidate)

    assert comparison.exchange_id == COPY.id
    assert (comparison.route, comparison.stage, comparison.epoch, comparison.at) == ("summary", "shadow", "e1", 1_000.0)
    assert (comparison.control, comparison.candidate, comparison.effects) == ("legacy", "assistant", 1)
    assert (comparison.control_seconds, comparison.candidate_seconds) == (0.25, 0.25)


def test_a_failure_for_want_of_the_tape_is_not_the_candidates() -> None:
    asked, unanswered = call({"model": "small"}), call({"model": "small"}, status=599, is_whole=False)

    comparison = judge(answer({}, effects=(asked,)), failed(502, effects=(unanswered,)))

    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert (comparison.control_failed, comparison.differences) == (True, ())  # it counts neither as error nor as slow
