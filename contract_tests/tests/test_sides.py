"""Whatever is sent, every side keeps the promise, and answers as the monolith does, or as a deviation says.

Every request is sent to the monolith itself, to the router before it, and to the router before the extracted service.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from contract_tests.contractkit.corpus import corpus
from contract_tests.contractkit.document import Operation
from contract_tests.contractkit.drawing import drawn
from contract_tests.contractkit.examples import Example
from contract_tests.contractkit.holding import Report, Terms, finished, hold, never_seen
from contract_tests.contractkit.messages import text
from contract_tests.contractkit.targets import Request, Target
from contract_tests.sides import Sides
from contract_tests.terms import (
    AGENT,
    LEAD,
    NOBODY,
    STRANGER,
    TODAY,
    VIEWER,
    good_request,
    helpdesk,
    helpdesk_examples,
    known_names,
    path_values,
)

EXAMPLES = helpdesk_examples()
OPERATIONS = helpdesk().promise.operations
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
RARE = {"429", "503", "504"}
"""Answers that other tests arrange: a token limit, a provider at its limit, a deadline."""


@pytest.fixture(scope="module")
def names(sides: Sides) -> dict[str, Any]:
    if sides.stack:
        sides.stack.pace(latency_seconds=0.002, tokens_per_second=50_000)
    return known_names(sides.urls["legacy"])


@pytest.fixture(scope="module")
def whole() -> Report:
    """What all tests of this file have tried."""
    return Report()


@pytest.fixture
def held(request: pytest.FixtureRequest, terms: Terms, whole: Report) -> Held:
    return Held(terms, whole, f"pytest '{request.node.nodeid}'")


class Held:
    """Holds targets to the terms, and remembers what was tried."""

    def __init__(self, terms: Terms, whole: Report, repeat: str) -> None:
        self.terms, self.whole, self.repeat = terms, whole, repeat

    def __call__(self, targets: Sequence[Target], requests: Iterable[Request]) -> Report:
        report = hold(self.terms, targets, requests, self.repeat)
        self.whole.add(report)
        assert not report.findings, "\n" + text(report.findings)
        return report


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_answered_alike(held: Held, sides: Sides, names: dict[str, Any], example: Example) -> None:
    """What clients are known to send."""
    if example.provider_fails:
        if sides.stack is None:
            pytest.skip("nobody here can tell the provider to fail: all sides were given with --target")
        sides.stack.fault(**example.provider_fails, count=len(sides.urls))

    report = held(sides.targets(example.by or AGENT), [example.request(names)])

    due = example.status or example.of(held.terms.promise).succeeds_with
    assert {status for _, _, status in report.exercised} == {due}


@EVERY_OPERATION
def test_whatever_http_allows_is_answered_alike(
    held: Held, sides: Sides, names: dict[str, Any], operation: Operation
) -> None:
    """Broken bodies, odd paths, methods, headers: what frameworks disagree about."""
    good = good_request(operation, EXAMPLES).request(names)
    cases = corpus(operation, good.target, json.loads(good.body) if good.body else None)

    report = held(sides.targets(LEAD), [request for _, request in cases])

    assert report.requests >= 40


@EVERY_OPERATION
@pytest.mark.timeout(900)  # with --deep there are many
def test_whatever_is_drawn_from_the_promise_is_answered_alike(
    held: Held, sides: Sides, names: dict[str, Any], operation: Operation, drawing: tuple[int, int | None]
) -> None:
    """Good and bad requests that nobody thought of. With --deep the seed stands in the message."""
    each, seed = drawing
    held.repeat += f" --seed {seed}" if seed is not None else ""
    requests = drawn(held.terms.promise, [operation], each, path_values(operation, names), seed)

    report = held(sides.targets(LEAD), requests)

    assert report.requests >= each


@EVERY_OPERATION
@pytest.mark.parametrize("caller", [NOBODY, "admin", VIEWER, STRANGER], ids=str)
def test_callers_who_may_not_are_refused_alike(
    held: Held, sides: Sides, names: dict[str, Any], operation: Operation, caller: str | None
) -> None:
    """Nobody, somebody of no organisation, a viewer, and an agent of another organisation."""
    request = good_request(operation, EXAMPLES).request(names)

    report = held(sides.targets(caller), [request])

    statuses = {status for _, _, status in report.exercised}
    if caller == NOBODY:
        assert statuses <= {401, 403}
    elif caller == STRANGER and "{" in operation.path:
        assert statuses <= {403, 404}, "another organisation's data"
    else:
        assert len(statuses) == 1


@EVERY_OPERATION
def test_whoever_is_signed_out_while_a_page_is_open_is_told_so(
    held: Held, sides: Sides, names: dict[str, Any], operation: Operation
) -> None:
    """The page's CSRF token is still good, so it is not CSRF that is complained about."""
    token = "a" * 32
    request = good_request(operation, EXAMPLES).request(names)
    request = request.by({"Cookie": f"csrftoken={token}", "X-CSRFToken": token})

    report = held(sides.targets(NOBODY), [request])

    assert {status for _, _, status in report.exercised} == {401}


@pytest.mark.parametrize("path", ["/", "/tickets/", "/ask/", "/admin/", "/login/?next=/ask/", "/nothing-is-here"])
def test_pages_send_whoever_is_not_signed_in_to_the_same_login(held: Held, sides: Sides, path: str) -> None:
    """Pages stay with the monolith; the router must not change where they lead."""
    held(sides.targets(NOBODY), [Request("HEAD", path), *([Request("GET", path)] if "login" not in path else [])])


def test_a_query_too_long_for_the_monoliths_server_is_answered_by_the_service(held: Held, sides: Sides) -> None:
    held(sides.targets(LEAD), [Request("GET", f"/api/search?q={'%F0%9F%92%A1' * 500}")])


def test_a_failure_of_the_provider_that_passes_is_seen_by_callers_of_the_monolith_only(
    held: Held, sides: Sides, names: dict[str, Any]
) -> None:
    if sides.stack is None:
        pytest.skip("nobody here can tell the provider to fail: all sides were given with --target")
    sides.stack.fault("500", path="/v1/chat/completions", count=len(sides.urls))

    held(
        sides.targets(LEAD), [Request("POST", f"/api/tickets/{names['own']}/summary", (("X-Provider-Fails", "once"),))]
    )


def test_the_socket_is_where_it_was_declared_to_be(held: Held, sides: Sides) -> None:
    held(sides.targets(LEAD), [Request("GET", "/ws/assistant")])


def test_everything_promised_was_exercised_and_every_deviation_seen(
    request: pytest.FixtureRequest, terms: Terms, whole: Report
) -> None:
    """An entry that excuses nothing any more hides the next difference at its place."""
    of_this_file = {item.nodeid for item in request.session.items if item.path == request.node.path}
    if len(of_this_file) < 7 * len(OPERATIONS):
        pytest.skip("only a part of this file was chosen, so nothing can be said about the whole")

    report = finished(terms, whole, TODAY(), tried_all=True)

    assert not report.findings, "\n" + text(report.findings)
    unseen = {name: set(statuses) - RARE for name, statuses in never_seen(terms, whole).items()}
    assert {name: statuses for name, statuses in unseen.items() if statuses} == {}
