"""Every operation of the promise, as its clients use it, on every side that has to keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contract_tests.caller import Agent, Got
from contract_tests.contractkit import examples
from contract_tests.contractkit.document import Answer, Broken, Operation, load
from contract_tests.stack import Stack

CONTRACT = Path(__file__).parents[1] / "contract"
PROMISE = load(CONTRACT / "openapi.yaml")
AGENT, LEAD = "jonas", "maya"


EXAMPLES = examples.load(CONTRACT / "examples" / "helpdesk.yaml")


@pytest.fixture(scope="module")
def names(stack: Stack) -> dict[str, Any]:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)
    stack.move("legacy")
    with (
        Agent(stack.router, AGENT) as agent,
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
        yield {
            name: opened.enter_context(Agent(stack.router, name or AGENT)) for name in {each.by for each in EXAMPLES}
        }


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_answered_as_promised(
    stack: Stack, side: str, names: dict[str, Any], agents: dict[str, Agent], example: examples.Example
) -> None:
    """Clients are written against the promise, not against whoever answers today."""
    operation, request = example.of(PROMISE), example.request(names)
    if example.provider_fails:
        stack.fault(**example.provider_fails)

    got = agents[example.by].ask(operation.method, request.target, request.body)

    assert broken(operation, got) == []
    assert got.status == (example.status or operation.succeeds_with), got.body[:300]
    if side in operation.sides and not example.status:
        assert got.answered_by == ("legacy" if operation.sides == ("legacy",) or side == "legacy" else "assistant")


def test_every_operation_has_an_example_that_succeeds() -> None:
    succeeding = {each.operation for each in EXAMPLES if each.status is None}

    assert succeeding == {operation.name for operation in PROMISE.operations}


def broken(operation: Operation, got: Got) -> list[Broken]:
    headers = [(name, value) for name, values in got.headers.items() for value in values]
    return operation.broken_by(Answer(got.status, headers, got.body))
