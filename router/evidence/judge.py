"""From two observations to a comparison: match, mismatch, or why nothing can be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from .bodies import header, is_readable
from .compare import compare, failure
from .digests import HIDDEN, Values
from .observations import NOT_ON_TAPE, Comparison, Difference, Kind, Observation, Second, Verdict
from .rules import Rules
from .timing import first_seconds, longest_gap_seconds, own_seconds

SHADOW_WRITES = b"x-shadow-writes"
"""With it an upstream says that it knew the request for a copy, and what it would have written."""


BOTH_DIFFER = "control's second answer differs as well: a rule can say what may differ"


class Exchange(NamedTuple):
    """What is known of an exchange before its answers are compared."""

    id: str
    route: str
    stage: str
    epoch: str
    at: float
    writes_are_rolled_back: bool = False
    """The candidate was to take back what it wrote, and to say so in `X-Shadow-Writes`."""


def judged(
    exchange: Exchange,
    control: Observation,
    candidate: Observation,
    rules: Rules,
    values: Values = HIDDEN,
    is_noise: Callable[[Difference], bool] = lambda _: False,
) -> Comparison:
    """The comparison, as it is kept. Differences that are noise (`noise.py`) are not counted and not kept."""
    differences = tuple(one for one in compare(control, candidate, rules, values) if not is_noise(one))
    without = _why_without_control(control, candidate)
    if without:  # there was nothing to differ from
        differences = ()
    reason = without or _why_inconclusive(exchange, control, candidate, differences)
    verdict = Verdict.INCONCLUSIVE if reason else Verdict.MISMATCH if differences else Verdict.MATCH
    comparison = Comparison(
        exchange_id=exchange.id,
        route=exchange.route,
        stage=exchange.stage,
        epoch=exchange.epoch,
        at=exchange.at,
        control=control.upstream,
        candidate=candidate.upstream,
        verdict=verdict,
        reason=reason,
        differences=differences,
        control_failed=has_failed(control),
        candidate_failed=has_failed(candidate),
        control_seconds=own_seconds(control),
        candidate_seconds=own_seconds(candidate),
        control_first_seconds=first_seconds(control),
        candidate_first_seconds=first_seconds(candidate),
        control_gap_seconds=longest_gap_seconds(control),
        candidate_gap_seconds=longest_gap_seconds(candidate),
        effects=len(control.effects),
    )
    lost = "" if without else _why_without_tape(control, candidate, differences)
    return untold(comparison, lost) if lost else comparison


def untold(comparison: Comparison, reason: str) -> Comparison:
    """What stands between the sides failed: what the candidate made of that, and how long it took, is not its own."""
    return replace(comparison, verdict=Verdict.INCONCLUSIVE, reason=reason, differences=(), control_failed=True)


def paired(comparison: Comparison, second: Comparison) -> Comparison:
    """A comparison of live answers, beside control's own second answer: `second` compares that with the first."""
    if comparison.verdict is Verdict.INCONCLUSIVE:
        return comparison
    if second.verdict is Verdict.INCONCLUSIVE:
        reason = f"control's second answer: {second.reason}"
        return replace(comparison, verdict=Verdict.INCONCLUSIVE, reason=reason)
    how = Second.FAILED if second.candidate_failed else Second(second.verdict.value)
    if Verdict.MISMATCH is comparison.verdict is second.verdict:
        return replace(comparison, verdict=Verdict.INCONCLUSIVE, reason=BOTH_DIFFER, second=how)
    return replace(comparison, second=how)


def has_failed(observation: Observation) -> bool:
    """It came to no answer, or to one that says that the server failed."""
    return bool(failure(observation)) or observation.status >= 500


def _why_without_control(control: Observation, candidate: Observation) -> str:
    """Empty if there is a control to compare with."""
    if control.error == "CallerLeft":
        return "the caller left"
    if has_failed(control) and not _was_given_a_failure(control):
        return "both failed" if has_failed(candidate) else "the control failed"
    return ""


def _why_inconclusive(
    exchange: Exchange, control: Observation, candidate: Observation, differences: tuple[Difference, ...]
) -> str:
    """Empty if something can be said."""
    places = {one.place for one in differences}
    if {"answer", "status"} & places:
        return ""
    if exchange.writes_are_rolled_back and not header(candidate, SHADOW_WRITES):
        return 'the copy\'s answer does not say X-Shadow-Writes, "none" or what it took back: it may have written'
    if control.is_cut_off or candidate.is_cut_off:
        return "" if differences else "longer than what is recorded"
    if not (is_readable(control) and is_readable(candidate)) and "body" in places:
        return "an encoding of the body that cannot be read"
    return ""


def _why_without_tape(control: Observation, candidate: Observation, differences: tuple[Difference, ...]) -> str:
    """Empty if the candidate's calls were answered as control's were."""
    gaps = [effect.status for effect in (*control.effects, *candidate.effects) if not effect.is_whole]
    if NOT_ON_TAPE in gaps:
        return "an outgoing call was not sent: the budget is used up, or there is no tape: see the egress's log"
    if gaps:
        return "the recording of an outgoing call is incomplete"
    if any(one.kind is Kind.FAILED and one.candidate == "not on the tape" for one in differences):
        return "the tape has lost an answer"
    return ""


def _was_given_a_failure(observation: Observation) -> bool:
    """One of its own calls failed. The other side was given the same from the tape, so what it makes of it counts."""
    return (
        bool(observation.status)
        and not observation.error
        and any(effect.status == 0 or effect.status >= 400 for effect in observation.effects)
    )
