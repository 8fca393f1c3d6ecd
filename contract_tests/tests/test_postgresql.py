"""The whole stack on PostgreSQL, where the service has a role of its own: both sides do what they do on SQLite.

All contract tests run there with CONTRACT_DB=postgres; these few always do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from contract_tests import loopback
from contract_tests.caller import Agent, Got
from contract_tests.stack import Stack, on_postgresql, stack_on_postgresql

STAGES = ("legacy", "extracted")
ANSWERED_BY = {"legacy": "legacy", "extracted": "assistant"}
QUESTION = b'{"question": "Can I return a lamp?"}'
ORIGINAL, MARKED = {"Baggage": "strangler.role=primary"}, {"Baggage": "strangler.role=shadow"}


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The one of all tests, if that is on PostgreSQL already."""
    if on_postgresql():
        yield request.getfixturevalue("stack_of_all")
        return
    with stack_on_postgresql() as own:
        yield own


@pytest.fixture(scope="module")
def ticket(stack: Stack) -> int:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)
    with Agent(stack.router, "jonas") as agent:
        return int(agent.get("/api/tickets?page_size=1")["results"][0]["id"])


def answers(stack: Stack, stage: str, method: str, path: str, body: bytes | None = None) -> Got:
    stack.move(stage)
    with Agent(stack.router, "jonas") as agent:
        got = agent.ask(method, path, body)
    assert (got.status, got.answered_by) == (200, ANSWERED_BY[stage])
    return got


def test_both_sides_keep_a_summary(stack: Stack, ticket: int) -> None:
    for stage in STAGES:
        told: dict[str, Any] = answers(stack, stage, "POST", f"/api/tickets/{ticket}/summary").json()

        kept = stack.rows("SELECT ticket_id, text, created_at FROM assistant_summary WHERE id = ?", told["id"])
        assert [(row[0], row[1]) for row in kept] == [(ticket, told["text"])]
        assert kept[0][2].isoformat()[:23] == told["created_at"].removesuffix("Z")


def test_both_sides_stream_a_reply(stack: Stack, ticket: int) -> None:
    legacy, extracted = (answers(stack, stage, "POST", f"/api/tickets/{ticket}/reply").events() for stage in STAGES)

    assert legacy == extracted
    assert legacy[-1][0] == "done"


def test_both_sides_find_the_same_articles_with_the_same_scores(stack: Stack) -> None:
    legacy, extracted = (answers(stack, stage, "GET", "/api/search?q=dimmer&limit=20").body for stage in STAGES)

    assert legacy == extracted
    assert b'"score": 0.' in legacy


def test_both_sides_answer_from_the_knowledge_base(stack: Stack) -> None:
    legacy, extracted = (answers(stack, stage, "POST", "/api/ask", QUESTION).events() for stage in STAGES)

    assert legacy == extracted
    assert [legacy[0][0], legacy[-1][0]] == ["citations", "done"]


def test_a_copy_that_the_monolith_streams_leaves_no_row(stack: Stack, ticket: int) -> None:
    """Put to the monolith itself: the router lets no caller mark a request. The original's call is on the tape."""
    exchange = {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}
    with Agent(stack.legacy, "jonas") as agent, loopback.client(cookies=agent.cookies) as client:
        headers = exchange | {"X-CSRFToken": agent.csrf_token}
        client.post(f"{stack.legacy}/api/tickets/{ticket}/reply", headers=headers | ORIGINAL).raise_for_status()
        before = stack.rows("SELECT count(*) FROM assistant_call")
        copy = client.post(f"{stack.legacy}/api/tickets/{ticket}/reply", headers=headers | MARKED)

    assert copy.headers["x-shadow-writes"] == "assistant_call=1"
    assert b"event: done" in copy.content
    assert stack.rows("SELECT count(*) FROM assistant_call") == before
