"""Streams stream on every side: the first event is there long before the last one, and nobody holds it back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract_tests.contractkit.document import Promise
from contract_tests.contractkit.holding import Terms, hold
from contract_tests.contractkit.messages import text
from contract_tests.contractkit.spoiling import Spoil, between
from contract_tests.contractkit.targets import Request, Target
from contract_tests.sides import Sides
from contract_tests.terms import LEAD, known_names
from router.evidence.timing import first_seconds

EARLY = 0.6
"""Of the whole time: by then the first event has come, whatever else this machine is doing."""
QUESTION = b'{"question": "How do I return a lamp?"}'


@pytest.fixture(scope="module")
def streams(sides: Sides) -> Iterator[dict[str, Request]]:
    """With a provider slow enough that a stream held back would be seen."""
    if sides.stack is None:
        pytest.skip("nobody here can set the provider's pace: all sides were given with --target")
    own = known_names(sides.urls["legacy"])["own"]
    sides.stack.pace(latency_seconds=0.05, tokens_per_second=60)
    yield {"reply": Request("POST", f"/api/tickets/{own}/reply"), "ask": Request("POST", "/api/ask", (), QUESTION)}
    sides.stack.pace(latency_seconds=0.005, tokens_per_second=5000)


@pytest.mark.parametrize("kind", ["reply", "ask"])
@pytest.mark.parametrize("side", ["legacy", "router", "extracted"])
def test_the_first_event_comes_long_before_the_last(
    sides: Sides, streams: dict[str, Request], side: str, kind: str
) -> None:
    [target] = [each for each in sides.targets(LEAD) if each.name == side]

    answer = target.send(streams[kind])

    first = first_seconds(answer)
    assert (answer.status, answer.error) == (200, "")
    assert first is not None
    assert first < EARLY * answer.seconds, (first, answer.seconds)


def test_all_sides_stream_alike(terms: Terms, sides: Sides, streams: dict[str, Request]) -> None:
    report = hold(terms, sides.targets(LEAD), streams.values())

    assert text(report.findings) == ""


def test_a_first_event_that_comes_later_than_promised_is_noticed(
    terms: Terms, sides: Sides, streams: dict[str, Request]
) -> None:
    raw = copy.deepcopy(terms.promise.raw)
    answers = raw["paths"]["/api/tickets/{id}/reply"]["post"]["responses"]
    answers["200"]["content"]["text/event-stream"]["x-first-event-within-ms"] = 1

    report = hold(replace(terms, promise=Promise(raw)), sides.targets(LEAD), [streams["reply"]])

    assert [(each.kind, each.place, *each.values) for each in report.findings] == [
        ("promise", "events", side) for side in ("legacy", "router", "extracted")
    ]
    assert all("s; x-first-event-within-ms allows 0.001 s" in each.says for each in report.findings)


def test_a_side_that_holds_a_stream_back_is_noticed(terms: Terms, sides: Sides, streams: dict[str, Request]) -> None:
    legacy, _, extracted = sides.targets(LEAD)
    with between(sides.urls["extracted"], Spoil(got=lambda _, got: got)) as url:
        report = hold(terms, [legacy, Target("extracted", url, extracted.headers)], [streams["reply"]])

    assert [(each.place, each.says) for each in report.findings] == [
        ("body", "extracted differs from legacy (buffered)")
    ]


def test_a_side_that_breaks_off_in_the_middle_is_noticed(
    terms: Terms, sides: Sides, streams: dict[str, Request]
) -> None:
    """And so is one that ends a broken stream as if it were whole."""
    assert sides.stack is not None
    legacy, _, extracted = sides.targets(LEAD)
    for spoil in (Spoil(), Spoil(ends_cut_streams=True)):
        sides.stack.fault("cut", path="/v1/chat/completions", after=5)
        with between(sides.urls["extracted"], spoil) as url:
            report = hold(terms, [Target("extracted", url, extracted.headers), legacy], [streams["reply"]])

        assert any("extracted" in each.values for each in report.findings), text(report.findings)
