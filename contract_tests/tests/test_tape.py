"""While a route is shadowed, only the side that answers asks the provider, whichever it is and whatever is asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from contract_tests import database
from contract_tests.caller import Agent
from contract_tests.stack import Stack

COPIED_SECONDS = 60
ASKED = {
    "summary": ("POST", "{ticket}/summary", b"{}"),
    "reply": ("POST", "{ticket}/reply", b'{"tone": "brief"}'),
    "triage": ("POST", "{ticket}/triage", b"{}"),
    "search": ("GET", "/api/search?q=lamp", b""),
    "ask": ("POST", "/api/ask", b'{"question": "How do I return a lamp?"}'),
}


@pytest.fixture(scope="module", autouse=True)
def shadowed(stack: Stack) -> Iterator[None]:
    """The routes say themselves that their copies have the tape; each test says the stage."""
    stack.pace(latency_seconds=0.05, tokens_per_second=500)
    before = stack.routes.read_text("utf-8")
    yield
    stack.serve(before)


@pytest.fixture(scope="module")
def agent(stack: Stack) -> Iterator[Agent]:
    with Agent(stack.router, "jonas") as agent:
        yield agent


@pytest.mark.parametrize(("stage", "primary"), [("shadow", "legacy"), ("reverse", "assistant")])
@pytest.mark.parametrize("endpoint", ASKED)
def test_a_copy_is_answered_from_the_tape(stack: Stack, agent: Agent, endpoint: str, stage: str, primary: str) -> None:
    stack.move(stage)
    ticket = f"/api/tickets/{agent.get('/api/tickets?page_size=1')['results'][0]['id']}"
    method, path, body = ASKED[endpoint]
    stack.forget_calls()

    answer = agent.ask(method, path.format(ticket=ticket), body)

    assert (answer.status, answer.answered_by) == (200, primary)
    calls = stack.ended_calls()
    exchange = calls[-1]["headers"]["traceparent"].split("-")[1]
    assert copied(stack, exchange, len(calls)) == {("primary", "whole"): len(calls), ("shadow", "whole"): len(calls)}
    assert stack.calls() == calls
    assert all("baggage" not in call["headers"] for call in calls)


def copied(stack: Stack, exchange: str, number: int) -> dict[tuple[str, str], int]:
    """Roles and states of an exchange's calls on the tape, once the shadow has made as many as the primary."""
    url = stack.evidence_url
    deadline = time.monotonic() + COPIED_SECONDS
    while True:
        rows = database.rows(url, "SELECT role, state FROM tape_calls WHERE exchange_id = ?", exchange)
        found = Counter((role, state) for role, state in rows)
        if found.total() == 2 * number and not any(state == "open" for _, state in found):
            return dict(found)
        if time.monotonic() > deadline:
            return dict(found)
        time.sleep(0.05)
