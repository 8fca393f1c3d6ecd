"""The faulty candidate passes on what it gets, and spoils what its fault is about, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import respx
from starlette.testclient import TestClient

from ..candidate import create_app
from ..planted import ASKED, FAULTS, Fault, planted

SERVICE, PROVIDER = "http://service.test", "http://provider.test"
PATHS = {
    "summary": "/api/tickets/7/summary",
    "reply": "/api/tickets/7/reply",
    "triage": "/api/tickets/7/triage",
    "search": "/api/search?q=lamp",
    "ask": "/api/ask",
}
RESULT = {"slug": "dim", "title": "Dim a lamp", "url": "/knowledge/dim/", "excerpt": "Turn it.", "score": 0.123456}
ANSWERS: dict[str, Any] = {
    "summary": {"id": 3, "ticket": 7, "text": "It is about money.", "model": "m", "created_at": "2026-01-02T03:04:05Z",
                "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    "triage": {"ticket": 7, "category": "bug", "priority": "low", "reason": "It hums."},
    "search": {"query": "lamp", "results": [{**RESULT, "slug": f"dim-{number}"} for number in range(5)]},
}  # fmt: skip
DELTAS = "".join(f'event: delta\ndata: {{"text": "word{number} "}}\n\n' for number in range(6))
DONE = 'event: done\ndata: {"finish_reason": "stop"}\n\n'
STREAMS = {
    "reply": DELTAS + DONE,
    "ask": 'event: citations\ndata: {"citations": [{"number": 1}]}\n\n' + DELTAS + DONE,
}
CALL = {
    "model": "m",
    "temperature": 0.2,
    "max_tokens": 600,
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "A lamp\nhums\nhere."},
    ],
}
OF_QUESTIONS = [each for each in FAULTS if each.call or each.calls > 1]
OF_ANSWERS = [each for each in FAULTS if each not in OF_QUESTIONS]


@pytest.fixture
def upstreams() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as mock:
        for name, path in PATHS.items():
            route = mock.route(url=f"{SERVICE}{path}")
            if name in STREAMS:
                headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
                route.respond(200, headers=headers, content=STREAMS[name])
            else:
                route.respond(200, json=ANSWERS[name])
        mock.post(f"{PROVIDER}/v1/chat/completions").respond(200, json={"choices": []})
        mock.post(f"{PROVIDER}/v1/embeddings").respond(200, json={"data": []})
        yield mock


def client(fault: Fault | None) -> TestClient:
    return TestClient(create_app(SERVICE, PROVIDER, fault), raise_server_exceptions=False)


def asked(fault: Fault | None, name: str) -> Any:
    with client(fault) as caller:
        return caller.request("GET" if name == "search" else "POST", PATHS[name])


@pytest.mark.parametrize("name", PATHS)
def test_without_a_fault_an_answer_passes_as_it_is(upstreams: respx.MockRouter, name: str) -> None:
    plain = asked(None, name)

    assert plain.status_code == 200
    assert plain.text == STREAMS[name] if name in STREAMS else plain.json() == ANSWERS[name]


@pytest.mark.parametrize("fault", OF_ANSWERS, ids=lambda each: each.name)
def test_a_fault_of_the_answer_changes_the_endpoint_that_shows_it_and_no_other(
    upstreams: respx.MockRouter, fault: Fault
) -> None:
    plain, spoiled = asked(None, fault.shown_by), asked(fault, fault.shown_by)

    timed = fault.later_seconds > 0 or fault.at_once  # what these change is no byte
    changed = (plain.status_code, dict(plain.headers), plain.content) != (
        spoiled.status_code,
        dict(spoiled.headers),
        spoiled.content,
    )
    assert changed or timed
    other = next(name for name in PATHS if name != fault.shown_by)
    assert asked(fault, other).content == asked(None, other).content


@pytest.mark.parametrize("fault", OF_QUESTIONS, ids=lambda each: each.name)
def test_a_fault_of_the_question_changes_what_the_provider_hears(upstreams: respx.MockRouter, fault: Fault) -> None:
    path = "/v1/embeddings" if "input" in fault.place else "/v1/chat/completions"
    sent = {"model": "e", "input": ["a lamp"]} if "input" in fault.place else CALL

    with client(fault) as service:
        answered = service.post(path, json=sent)

    heard = [json.loads(call.request.content) for call in upstreams.calls]
    assert answered.status_code == 200
    assert len(heard) == fault.calls
    assert (heard[0] != sent) is (fault.call is not None)


def test_every_fault_has_a_name_of_its_own_and_an_endpoint_that_exists() -> None:
    assert len({each.name for each in FAULTS}) == len(FAULTS)
    assert {each.shown_by for each in FAULTS} <= set(ASKED)
    for name, path in PATHS.items():
        assert [each for each, pattern in ASKED.items() if pattern.fullmatch(path.partition("?")[0])] == [name]


def test_another_fault_is_planted_while_it_runs() -> None:
    with client(None) as caller:
        assert caller.get("/sandbox/fault").json()["planted"] == "none"
        assert caller.put("/sandbox/fault", json={"fault": "no-end"}).status_code == 200
        assert caller.get("/sandbox/fault").json()["planted"] == "no-end"
        refused = caller.put("/sandbox/fault", json={"fault": "no-such"})

    assert refused.status_code == 400
    assert "dropped-field" in refused.json()["detail"]


def test_a_name_that_is_no_faults_is_told_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="there are none, dropped-field"):
        planted("everything")
