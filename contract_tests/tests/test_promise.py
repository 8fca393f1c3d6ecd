"""Every operation of the promise, as its clients use it, on every side that has to keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contract_tests.caller import Agent, Got
from contract_tests.cases import put_to_both_sides
from contract_tests.contractkit.document import Answer, Broken, Operation, load
from contract_tests.stack import Stack
from contract_tests.tests import test_same_answer, test_same_answer_knowledge

PROMISE = load(Path(__file__).parents[1] / "contract" / "openapi.yaml")
LEAD = "maya"


@dataclass(frozen=True)
class Example:
    """One request as a client sends it. Names in braces are filled in, in path and body."""

    operation: str
    path: str
    body: Any = None
    username: str = "jonas"
    fails: dict[str, Any] = field(default_factory=dict)
    """How the provider is told to fail, for an answer that is not the one asked for."""
    status: int | None = None


EXAMPLES = [
    Example("GET /api/tickets", "/api/tickets?status=open&priority=high&assignee=none&page_size=2"),
    Example("GET /api/tickets", "/api/tickets?page_size=1&page=2&q=e"),
    Example("GET /api/tickets", "/api/tickets?page=999999", status=404),
    Example("GET /api/tickets", "/api/tickets?page_size=101", status=400),
    Example(
        "POST /api/tickets", "/api/tickets", {"subject": "A lamp hums", "body": "All night.", "customer": "{customer}"}
    ),
    Example("POST /api/tickets", "/api/tickets", {"subject": ""}, status=400),
    Example("POST /api/tickets", "/api/tickets", {}, username="otto", status=403),
    Example("GET /api/tickets/{id}", "/api/tickets/{own}"),
    Example("GET /api/tickets/{id}", "/api/tickets/{other}", status=404),
    Example("PATCH /api/tickets/{id}", "/api/tickets/{own}", {"priority": "low", "assignee": None}),
    Example("PATCH /api/tickets/{id}", "/api/tickets/{own}", {"priority": "whenever"}, status=400),
    Example("GET /api/tickets/{id}/comments", "/api/tickets/{own}/comments?page_size=3"),
    Example(
        "POST /api/tickets/{id}/comments", "/api/tickets/{own}/comments", {"body": "We look into it.", "internal": True}
    ),
    Example("POST /api/tickets/{id}/summary", "/api/tickets/{own}/summary", {"max_words": 40}),
    Example("POST /api/tickets/{id}/summary", "/api/tickets/{own}/summary", fails={"kind": "401"}, status=502),
    Example(
        "POST /api/tickets/{id}/summary", "/api/tickets/{own}/summary", fails={"kind": "insufficient_quota"}, status=503
    ),
    Example(
        "POST /api/tickets/{id}/reply",
        "/api/tickets/{own}/reply",
        {"tone": "formal", "instructions": "Offer a refund."},
    ),
    Example("POST /api/tickets/{id}/reply", "/api/tickets/{own}/reply", fails={"kind": "401"}, status=502),
    Example("POST /api/tickets/{id}/triage", "/api/tickets/{own}/triage", {}),
    Example("GET /api/articles", "/api/articles?q=e&page_size=2"),
    Example("GET /api/articles/{slug}", "/api/articles/{article}"),
    Example("GET /api/articles/{slug}", "/api/articles/no-such-article", status=404),
    Example("POST /api/articles/reindex", "/api/articles/reindex", {}, username=LEAD),
    Example("GET /api/articles/reindex/{id}", "/api/articles/reindex/{job}", username=LEAD),
    Example("GET /api/articles/reindex/{id}", "/api/articles/reindex/{job}", status=403),
    Example("GET /api/search", "/api/search?q=a%20lamp%20that%20hums&limit=3"),
    Example("GET /api/search", "/api/search?q=", status=400),
    Example("POST /api/ask", "/api/ask", {"question": "How do I return a lamp?"}),
    Example(
        "POST /api/ask", "/api/ask", {"question": "x"}, fails={"kind": "401", "path": "/v1/embeddings"}, status=502
    ),
]


@pytest.fixture(scope="module")
def names(stack: Stack) -> dict[str, Any]:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)
    stack.move("legacy")
    with (
        Agent(stack.router, "jonas") as agent,
        Agent(stack.router, "kwame") as stranger,
        Agent(stack.router, LEAD) as lead,
    ):
        own = agent.get("/api/tickets?page_size=1")["results"][0]
        return {
            "own": own["id"],
            "customer": own["customer"]["id"],
            "other": stranger.get("/api/tickets?page_size=1")["results"][0]["id"],
            "article": agent.get("/api/articles?page_size=1")["results"][0]["slug"],
            "job": lead.ask("POST", "/api/articles/reindex").json()["id"],
        }


@pytest.fixture(scope="module", params=["legacy", "extracted"])
def side(request: pytest.FixtureRequest, stack: Stack, names: dict[str, Any]) -> Iterator[str]:
    stack.move(request.param)
    yield request.param
    stack.move("legacy")


@pytest.fixture(scope="module")
def agents(stack: Stack) -> Iterator[dict[str, Agent]]:
    with ExitStack() as opened:
        yield {name: opened.enter_context(Agent(stack.router, name)) for name in {each.username for each in EXAMPLES}}


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda each: f"{each.operation} {each.status or ''} {each.path[-40:]}"
)
def test_an_example_is_answered_as_promised(
    stack: Stack, side: str, names: dict[str, Any], agents: dict[str, Agent], example: Example
) -> None:
    """Clients are written against the promise, not against whoever answers today."""
    operation = operation_named(example.operation)
    if example.fails:
        stack.fault(**example.fails)
    body = None if example.body is None else filled(json.dumps(example.body), names).encode()

    got = agents[example.username].ask(operation.method, filled(example.path, names), body)

    assert broken(operation, got) == []
    assert got.status == (example.status or operation.succeeds_with), got.body[:300]
    if side in operation.sides and not example.status:
        assert got.answered_by == ("legacy" if operation.sides == ("legacy",) or side == "legacy" else "assistant")


def test_every_operation_has_an_example_that_succeeds() -> None:
    succeeding = {each.operation for each in EXAMPLES if each.status is None}

    assert succeeding == {operation.name for operation in PROMISE.operations}


@pytest.mark.parametrize("module", [test_same_answer, test_same_answer_knowledge], ids=["tickets", "knowledge"])
def test_whatever_is_sent_the_answer_is_a_promised_one(stack: Stack, names: dict[str, Any], module: Any) -> None:
    """Bodies that are broken, values that are wrong, callers who may not: refusals are promised too."""
    cases = [case for case in module.CASES if case.method in ("GET", "POST")]

    answers = put_to_both_sides(stack, cases, names)

    found = {}
    for stage, by_case in answers.items():
        for case in cases:
            operation = PROMISE.operation(case.method, filled(case.path, names).partition("?")[0])
            assert operation, case.says
            if wrong := broken(operation, by_case[case.says]):
                found[stage, case.says] = wrong
    assert found == {}


def operation_named(name: str) -> Operation:
    return next(each for each in PROMISE.operations if each.name == name)


def filled(text: str, names: dict[str, Any]) -> str:
    for name, value in names.items():
        text = text.replace(f'"{{{name}}}"', json.dumps(value)).replace(f"{{{name}}}", str(value))
    return text


def broken(operation: Operation, got: Got) -> list[Broken]:
    headers = [(name, value) for name, values in got.headers.items() for value in values]
    return operation.broken_by(Answer(got.status, headers, got.body))
