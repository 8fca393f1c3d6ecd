"""A request is one trace through all processes; callers have no say in it, and it tells no secret."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from contract_tests.caller import PASSWORD, Agent
from contract_tests.cases import STAGES
from contract_tests.stack import Stack

MARKER = "words-that-nobody-may-read-in-a-trace"
THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736"
HOPS = {"legacy": ["legacy", "router"], "extracted": ["extracted", "identity", "router"]}
"""The processes that a request passes in each stage."""
WRITTEN_SECONDS = 60

Span = dict[str, Any]


@dataclass(frozen=True)
class Trace:
    spans: list[Span]

    def named(self, name: str) -> Span:
        (span,) = (span for span in self.spans if span["name"] == name)
        return span

    def server(self, service: str) -> Span:
        (span,) = (span for span in self.spans if span["service"] == service and span["kind"] == "SERVER")
        return span

    def is_under(self, span: Span, above: Span) -> bool:
        by_id = {each["span_id"]: each for each in self.spans}
        while span["parent_id"] is not None:
            span = by_id[span["parent_id"]]
            if span["span_id"] == above["span_id"]:
                return True
        return False


@pytest.fixture(scope="module", autouse=True)
def _in_a_hurry(stack: Stack) -> None:
    stack.pace(latency_seconds=0.1, tokens_per_second=500)


@pytest.fixture(scope="module")
def agent(stack: Stack) -> Iterator[Agent]:
    with Agent(stack.router, "jonas") as agent:
        yield agent


@pytest.fixture(scope="module")
def ticket(agent: Agent) -> str:
    found: int = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
    return f"/api/tickets/{found}"


Traced = Callable[..., tuple[Trace, list[Span]]]


@pytest.fixture
def traced(stack: Stack, agent: Agent) -> Traced:
    def of(
        stage: str, path: str, body: bytes = b"{}", headers: dict[str, str] | None = None
    ) -> tuple[Trace, list[Span]]:
        """The trace of a request, and what the provider received for it."""
        stack.move(stage)
        stack.forget_calls()
        before = stack.traces.stat().st_size
        assert agent.ask("POST", path, body, headers).status == 200
        calls = stack.ended_calls()
        trace_id = calls[-1]["headers"]["traceparent"].split("-")[1]
        return Trace(_written(stack, before, trace_id, HOPS[stage])), calls

    return of


def _written(stack: Stack, before: int, trace_id: str, hops: list[str]) -> list[Span]:
    """All spans, as soon as those of the servers, which end last, are there. What the file held before is of others."""
    deadline = time.monotonic() + WRITTEN_SECONDS
    while True:
        with stack.traces.open("rb") as file:
            file.seek(before)
            *lines, _ = file.read().split(b"\n")  # a line without its end is just being written
        spans = [span for span in map(json.loads, lines) if span["trace_id"] == trace_id]
        servers = sorted(span["service"] for span in spans if span["kind"] == "SERVER")
        if servers == hops:
            return spans
        assert time.monotonic() < deadline, f"SERVER spans of {servers} instead of {hops}"
        time.sleep(0.05)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("endpoint", ["summary", "reply"])
def test_a_request_is_one_trace_with_one_server_span_per_hop(
    traced: Traced, ticket: str, stage: str, endpoint: str
) -> None:
    trace, (call,) = traced(stage, f"{ticket}/{endpoint}")

    chat, router = trace.named("chat helpdesk-small"), trace.server("router")
    assert trace.is_under(chat, trace.server(stage))
    assert all(trace.is_under(span, router) for span in trace.spans if span is not router)
    assert call["headers"]["traceparent"].split("-")[2] in {span["span_id"] for span in trace.spans}
    assert router["attributes"] == {
        "http.request.method": "POST",
        "http.route": f"/api/tickets/{{id:int}}/{endpoint}",
        "http.response.status_code": 200,
        "strangler.route": f"ticket-{endpoint}",
        "strangler.stage": stage,
        "strangler.upstream": "assistant" if stage == "extracted" else "legacy",
    }
    assert chat["attributes"]["gen_ai.usage.output_tokens"] > 0
    assert chat["attributes"]["gen_ai.response.finish_reasons"] == ["stop"]
    assert trace.server(stage)["attributes"]["http.route"].endswith(f"/{endpoint}")


@pytest.mark.parametrize("stage", STAGES)
def test_the_spans_of_a_stream_last_as_long_as_the_stream(traced: Traced, ticket: str, stage: str) -> None:
    trace, (call,) = traced(stage, f"{ticket}/reply")

    chat = trace.named("chat helpdesk-small")
    for span in (chat, trace.server(stage), trace.server("router")):
        assert seconds(span) >= call["seconds"] * 0.9
    assert 0.1 <= chat["attributes"]["gen_ai.response.time_to_first_chunk"] < seconds(chat)


def seconds(span: Span) -> float:
    return float(span["end"] - span["start"]) / 1e9


@pytest.mark.parametrize("stage", STAGES)
def test_an_ask_has_the_embedding_the_search_and_the_completion_under_it(traced: Traced, stage: str) -> None:
    trace, calls = traced(stage, "/api/ask", b'{"question": "How do I return a lamp?"}')

    names = ("embeddings helpdesk-embed", "search knowledge_passage", "chat helpdesk-small")
    spans = [trace.named(name) for name in names]
    assert all(trace.is_under(span, trace.server(stage)) for span in spans)
    assert spans == sorted(spans, key=lambda span: span["start"])
    assert {call["headers"]["traceparent"].split("-")[1] for call in calls} == {spans[0]["trace_id"]}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "traceparent", [f"00-{THEIRS}-00f067aa0ba902b7-00", f"00-{THEIRS}-00f067aa0ba902b7-01", "garbage"]
)
def test_what_callers_say_of_traces_changes_nothing(traced: Traced, ticket: str, stage: str, traceparent: str) -> None:
    plain, _ = traced(stage, f"{ticket}/summary")
    said = {"traceparent": traceparent, "tracestate": "acme=1", "baggage": f"secret={MARKER}"}
    trace, (call,) = traced(stage, f"{ticket}/summary", headers=said)

    assert sorted(span["name"] for span in trace.spans) == sorted(span["name"] for span in plain.spans)
    assert THEIRS not in {span["trace_id"] for span in trace.spans}
    assert not {"baggage", "tracestate"} & set(call["headers"])


@pytest.mark.parametrize("stage", STAGES)
def test_no_secret_is_in_the_file(stack: Stack, agent: Agent, traced: Traced, ticket: str, stage: str) -> None:
    body = json.dumps({"tone": "brief", "instructions": MARKER}).encode()
    _, (call,) = traced(stage, f"{ticket}/reply?q={MARKER}", body, {"baggage": f"secret={MARKER}"})

    assert MARKER in json.dumps(call["body"])
    text = stack.traces.read_text()
    cookies = [cookie.value for cookie in agent.cookies.jar if cookie.value]
    assert len(cookies) == 2
    secrets = [MARKER, PASSWORD + '"', agent.csrf_token, *cookies, "sandbox-key", "eyJ"]  # tokens begin with eyJ
    assert [secret for secret in secrets if secret in text] == []
