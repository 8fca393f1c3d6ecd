"""Whoever answers, the provider is asked the same, and the same is on record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract_tests.caller import Agent
from contract_tests.cases import STAGES
from contract_tests.stack import Stack

QUESTION = "Can I return a lamp? <b>&'\" é\u2028"


@pytest.fixture(scope="module", autouse=True)
def _in_a_hurry(stack: Stack) -> None:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)


@pytest.fixture(scope="module")
def tickets(stack: Stack) -> list[int]:
    """The same ones for every stage: a verdict changes the order of the inbox."""
    with Agent(stack.router, "jonas") as agent:
        return [ticket["id"] for ticket in agent.get("/api/tickets?page_size=8")["results"]]


def asked(stack: Stack, stage: str, *requests: tuple[str, str, bytes | None]) -> list[str]:
    """The bodies that the provider received, without those of jobs that rebuild an index meanwhile."""
    stack.move(stage)
    stack.forget_calls()
    with Agent(stack.router, "jonas") as agent:
        for request in requests:
            assert agent.ask(*request).status == 200
    return [json.dumps(call["body"]) for call in stack.calls() if len(call["body"].get("input", [1])) == 1]


def test_both_sides_ask_about_a_ticket_the_same_byte_for_byte(stack: Stack, tickets: list[int]) -> None:
    """The model's answer can only be the same if the question is."""
    reply = json.dumps({"tone": "brief", "instructions": QUESTION}).encode()
    requests: list[tuple[str, str, bytes | None]] = []
    for ticket in tickets:
        path = f"/api/tickets/{ticket}"
        requests += [("POST", f"{path}/summary", b'{"max_words": 33}'), ("POST", f"{path}/reply", reply)]
        requests += [("POST", f"{path}/triage", None)]

    legacy, extracted = (asked(stack, stage, *requests) for stage in STAGES)

    assert len(legacy) == 24
    assert extracted == legacy


def test_both_sides_repair_a_verdict_with_the_same_words(stack: Stack, tickets: list[int]) -> None:
    """The second attempt holds the first answer and what is wrong with it."""
    found = []
    for stage in STAGES:
        stack.fault("invalid_output", path="/v1/chat/completions")
        found.append(asked(stack, stage, ("POST", f"/api/tickets/{tickets[0]}/triage", None)))
    legacy, extracted = found

    assert len(legacy) == 2
    assert "Your last answer could not be used" in legacy[1]
    assert extracted == legacy


def test_both_sides_ask_about_the_knowledge_base_the_same_byte_for_byte(stack: Stack) -> None:
    """Found in the same order, cited with the same numbers, asked in the same words."""
    question = json.dumps({"question": QUESTION}).encode()
    requests = [("GET", "/api/search?q=+a+lamp+%26+%C3%A9+", None), ("POST", "/api/ask", question)]

    legacy, extracted = (asked(stack, stage, *requests) for stage in STAGES)

    assert len(legacy) == 3
    assert extracted == legacy


def test_both_sides_leave_the_same_audit_rows(stack: Stack, tickets: list[int]) -> None:
    """One row per call to the provider; all but its number, its time and its duration."""
    question = json.dumps({"question": QUESTION}).encode()
    requests = [
        ("POST", f"/api/tickets/{tickets[0]}/triage", None),
        ("GET", "/api/search?q=lamp", None),
        ("POST", "/api/ask", question),
    ]
    found: list[list[Any]] = []
    for stage in STAGES:
        [(latest,)] = stack.rows("SELECT coalesce(max(id), 0) FROM assistant_call")
        asked(stack, stage, *requests)
        found.append([row[1:] for row in rows(stack, latest)])
    legacy, extracted = found

    assert [row[0] for row in legacy] == ["triage", "search", "ask", "ask"]
    assert extracted == legacy


def rows(stack: Stack, after: int) -> list[Any]:
    columns = "kind, outcome, model, organisation_id, user_id, ticket_id, prompt_tokens, completion_tokens"
    query = f"SELECT id, {columns} FROM assistant_call WHERE id > ? AND kind <> 'reindex' ORDER BY id"  # noqa: S608
    return stack.rows(query, after)
