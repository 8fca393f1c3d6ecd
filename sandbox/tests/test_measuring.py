"""Figures come out of what was recorded, and a claim holds only if they say so."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.acts import switched, wavering, went_back
from sandbox.callers import Caller
from sandbox.claims import claims, faulty_claims
from sandbox.planted import planted
from sandbox.recording import Recording, Seen, figures, percentile, share_of

pytestmark = pytest.mark.anyio


def seen(**more: Any) -> Seen:
    return Seen(**{"kind": "reply", "caller": 1, "began": 0.0, "seconds": 1.0, "status": 200, **more})


def test_percentiles_are_values_that_occurred() -> None:
    assert (percentile([3.0, 1.0, 2.0], 0.5), percentile([3.0, 1.0, 2.0], 0.95)) == (2.0, 3.0)
    assert percentile([], 0.5) is None


def test_failures_are_counted_and_left_out_of_the_times() -> None:
    measured = figures([seen(seconds=1.0), seen(seconds=30.0, problem="status 502")])

    assert measured == {"count": 2, "failed": 1, "p50": 1.0, "p95": 1.0}


def test_the_share_of_a_side_counts_its_answers() -> None:
    answers = [seen(answered_by=side) for side in ("legacy", "assistant", "assistant", None)]

    assert share_of(answers, "assistant") == pytest.approx(2 / 3)


def test_a_caller_answered_by_both_sides_of_one_route_wavers_and_one_on_two_routes_does_not() -> None:
    two_routes = [seen(answered_by="legacy"), seen(kind="summary", answered_by="assistant")]
    one_route = [seen(answered_by="legacy"), seen(answered_by="assistant")]

    assert (wavering(two_routes), wavering(one_route)) == (0, 1)


def test_a_caller_who_returns_to_legacy_in_a_later_step_went_back() -> None:
    assert went_back([[seen(answered_by="assistant")], [seen(answered_by="legacy")]]) == 1
    assert went_back([[seen(answered_by="legacy")], [seen(answered_by="assistant")]]) == 0


def test_a_switch_lasts_until_the_last_new_call_that_the_old_side_got() -> None:
    started = [
        seen(began=10.4, answered_by="legacy"),
        seen(began=10.2, answered_by="assistant"),
        seen(began=10.1, answered_by="assistant"),
    ]

    assert switched(started, 10.0, "assistant") == {
        "started": 3,
        "old_side": 2,
        "last_to_old_side_seconds": pytest.approx(0.2),
    }
    assert switched(started[:1], 10.0, "assistant")["old_side"] == 0


async def events(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([b'event: delta\ndata: {"text": "a', b'"}\n\nevent: done\ndata: {}\n\n'], None),
        ([b"event: delta\ndata: {}\n\n"], "the stream ended with delta, not with done"),
        ([b"event: delta\ndata: {}\n\nevent: error\ndata: {}\n\n"], "the stream ended with error, not with done"),
        ([b"event: done\ndata: {}\n\nevent: de"], "the stream ended with done, not with done"),
        ([], "the stream ended with nothing, not with done"),
    ],
)
async def test_a_reply_is_good_only_if_its_stream_ends_with_done(parts: list[bytes], problem: str | None) -> None:
    recording = Recording()

    await called(recording, httpx.Response(200, content=events(*parts), headers={"X-Answered-By": "assistant"}))

    assert (recording.seen[0].problem, recording.seen[0].answered_by) == (problem, "assistant")


async def test_an_error_status_and_a_broken_connection_are_failures() -> None:
    recording = Recording()

    await called(recording, httpx.Response(502))
    await called(recording, httpx.ReadError("connection reset"))

    assert [one.problem for one in recording.seen] == ["status 502", "ReadError: connection reset"]


async def called(recording: Recording, answer: httpx.Response | Exception) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(base_url="http://helpdesk", transport=httpx.MockTransport(respond)) as client:
        await Caller(1, "maya", client, recording).reply(7)


LOAD = {
    "reads": {"p50": 0.02, "p95": 0.05},
    "assistant": {"p50": 2.2},
    "first_event": {"p50": 0.7},
    "assistant_per_minute": 150.0,
    "provider": {"p50": 2.1},
    "requests": 100,
    "failed": 0,
}
MEASURED: dict[str, Any] = {
    "alone": LOAD,
    "on_legacy": LOAD
    | {
        "reads": {"p50": 5.0, "p95": 6.0},
        "assistant": {"p50": 6.0},
        "first_event": {"p50": 4.0},
        "assistant_per_minute": 50.0,
    },
    "on_extracted": LOAD,
    "shadow": {
        "calls": 300,
        "compared": 300,
        "mismatches": 0,
        "provider_calls_of_copies": 0,
        "verdicts": {"ticket-reply": {"verdict": "go", "says": "go"}},
        "requests": 300,
        "failed": 0,
    },
    "move": {
        "steps": [{"stage": str(share), "by_extracted": share} for share in (0.0, 0.1, 0.5, 1.0)],
        "callers_that_changed_sides_within_a_step": 0,
        "callers_that_went_back": 0,
        "requests": 100,
        "failed": 0,
    },
    "switch": {
        "back": {"started": 20, "old_side": 1, "last_to_old_side_seconds": 0.2},
        "forward": {"started": 20, "old_side": 1, "last_to_old_side_seconds": 0.2},
        "requests": 40,
        "failed": 0,
    },
}


def test_every_claim_holds_on_good_figures() -> None:
    assert [row.what for row in claims(MEASURED) if not row.held] == []


@pytest.mark.parametrize(
    ("place", "value", "claim"),
    [
        (("on_legacy", "reads"), {"p50": 0.03, "p95": 6.0}, "median"),
        (("on_extracted", "reads"), {"p50": 0.02, "p95": 5.5}, "p95"),
        (("on_extracted", "reads"), {"p50": None, "p95": None}, "median"),
        (("on_extracted", "assistant"), {"p50": 4.0}, "an assistant call"),
        (("on_extracted", "first_event"), {"p50": 4.5}, "first words"),
        (("on_extracted", "assistant_per_minute"), 49.0, "per minute"),
        (("shadow", "mismatches"), 1, "copies answered differently"),
        (("shadow", "compared"), 299, "copies answered differently"),
        (("shadow", "provider_calls_of_copies"), 1, "provider calls of copies"),
        (("shadow", "verdicts"), {"ticket-reply": {"verdict": "no-go", "says": "no-go"}}, "verdict"),
        (("move", "steps"), [{"stage": "x", "by_extracted": None}], "share of extracted"),
        (("move", "callers_that_went_back"), 1, "changed sides"),
        (("switch", "back"), {"started": 9, "old_side": 2, "last_to_old_side_seconds": 1.5}, "rolled back"),
        (("switch", "forward"), {"started": 0, "old_side": 0, "last_to_old_side_seconds": 0.0}, "moved again"),
        (("move", "failed"), 1, "failed requests"),
    ],
)
def test_a_claim_does_not_hold_on_bad_figures(place: tuple[str, str], value: object, claim: str) -> None:
    measured = copy.deepcopy(MEASURED)
    measured[place[0]][place[1]] = value

    assert any(claim in row.what for row in claims(measured) if not row.held)


FOUND_OUT = {
    **MEASURED["shadow"],
    "verdicts": {"ticket-reply": {"verdict": "no-go", "says": "no-go"}},
    "faults": [
        {"name": "lost-token", "says": "a token is lost", "place": "event * delta /text", "kind": "value", "count": 20}
    ],
}


def test_a_faulty_candidate_is_found_out_fault_by_fault() -> None:
    assert [row.what for row in faulty_claims({"shadow": FOUND_OUT}) if not row.held] == []

    missed = copy.deepcopy(FOUND_OUT)
    missed["faults"][0] |= {"place": "", "count": 0}

    assert [row.what for row in faulty_claims({"shadow": missed}) if not row.held] == ["a token is lost"]


def test_a_fault_is_at_the_places_that_a_report_generalises() -> None:
    fault = planted("lost-token")

    assert fault is not None
    assert fault.is_at("event 1 delta /text")
    assert fault.is_at("event * delta /text")
    assert not fault.is_at("event * done")
