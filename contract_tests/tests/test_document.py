"""An answer that breaks the promise is told by place; one that keeps it is not complained about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract_tests.contractkit.document import Answer, Promise, PromiseError, load

PROMISE = load(Path(__file__).parents[1] / "contract" / "openapi.yaml")
TRIAGE = {"ticket": 7, "category": "billing", "priority": "low", "reason": "It is about money."}
STREAM = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
DONE = (
    'event: done\ndata: {"finish_reason": "stop", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
)


def places(name: str, status: int, body: Any, headers: list[tuple[str, str]] | None = None) -> list[str]:
    method, path = name.split(" ")
    operation = PROMISE.operation(method, path)
    assert operation
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [
        each.place
        for each in operation.broken_by(Answer(status, headers or [("Content-Type", "application/json")], content))
    ]


def test_an_answer_as_promised_breaks_nothing() -> None:
    assert places("POST /api/tickets/7/triage", 200, {**TRIAGE, "unknown": 1}) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({**TRIAGE, "ticket": "7"}, "body /ticket"),
        ({**TRIAGE, "category": "praise"}, "body /category"),
        ({name: value for name, value in TRIAGE.items() if name != "reason"}, "body "),
        ([TRIAGE], "body "),
        (b"{", "body"),
    ],
)
def test_a_body_that_breaks_the_promise_is_named_by_its_place(body: Any, place: str) -> None:
    assert places("POST /api/tickets/7/triage", 200, body) == [place]


def test_a_status_that_nobody_promised_is_named() -> None:
    assert places("POST /api/tickets/7/triage", 422, {}) == ["status"]


def test_a_header_that_is_missing_or_wrong_is_named() -> None:
    job = {
        "id": 3,
        "status": "queued",
        "created_at": "2026-01-02T03:04:05Z",
        "finished_at": None,
        "done": 0,
        "total": 1,
        "error": "",
    }
    json_header = ("Content-Type", "application/json")

    assert places("POST /api/articles/reindex", 202, job) == ["header location"]
    assert places("POST /api/articles/reindex", 202, job, [json_header, ("location", "/jobs/3")]) == ["header location"]
    assert places("POST /api/articles/reindex", 202, job, [json_header, ("location", "/api/articles/reindex/3")]) == []
    assert places("POST /api/articles/reindex", 202, job, [("content-type", "text/html")]) == [
        "header location",
        "header content-type",
    ]


@pytest.mark.parametrize(
    ("events", "place"),
    [
        ('event: delta\ndata: {"text": "a"}\n\n' + DONE + "\n\n", None),
        (DONE + "\n\n" + 'event: delta\ndata: {"text": "a"}\n\n', "events"),
        ('event: delta\ndata: {"text": "a"}\n\n', "events"),
        (DONE + "\n", "events"),
        ('event: delta\ndata: {"text": 1}\n\n' + DONE + "\n\n", "event 0 delta /text"),
        ("event: delta\ndata: {\n\n" + DONE + "\n\n", "event 0 delta"),
        ("event: ping\ndata: {}\n\n" + DONE + "\n\n", "events"),
    ],
)
def test_a_stream_is_held_to_order_and_data_of_its_events(events: str, place: str | None) -> None:
    found = places("POST /api/tickets/7/reply", 200, events.encode(), STREAM)

    assert found[:1] == ([place] if place else [])


def test_a_fixed_path_is_not_taken_for_one_with_a_parameter() -> None:
    assert PROMISE.operation("POST", "/api/articles/reindex")
    assert PROMISE.operation("PATCH", "/api/articles/reindex") is None
    assert PROMISE.operation("GET", "/api/articles/reindex/7/8") is None


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"openapi": "3.2.0"}, r"this is OpenAPI '3.2.0'; write 3.0 or 3.1"),
        ({"info": {}}, "this is OpenAPI None; write 3.0 or 3.1"),
        ({"swagger": "2.0"}, "this is Swagger 2.0: convert it to OpenAPI 3 first"),
        ({"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {"200": {"$ref": "#/no"}}}}}}, "points at nothing"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PromiseError, match=sentence):
        Promise(raw).operations[0].broken_by(Answer(200, [], b""))
