"""What a caller gets when all is well, byte for byte as the monolith sends it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from .fake_provider import DONE, END, ROLE, STOP, STREAM_HEAD, USAGE, completion, token
from .running import Running


def test_a_summary_is_answered_in_the_monoliths_bytes(service: Running) -> None:
    service.provider.will(completion("Ada’s lamp\nflickers \U0001f4a1 & dims."))

    answer = service.post("/api/tickets/7/summary")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    at = re.search(rb'"created_at": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z)"', answer.content)
    assert at
    assert answer.content == (
        b'{"id": 1, "ticket": 7, "text": "Ada\\u2019s lamp\\nflickers \\ud83d\\udca1 & dims.", '
        b'"model": "helpdesk-small", "usage": {"prompt_tokens": 812, "completion_tokens": 64}, '
        b'"created_by": 3, "created_at": "' + at[1] + b'"}'
    )


def test_a_summary_is_stored_as_django_would_have_stored_it(service: Running) -> None:
    service.provider.will(completion("Short."))

    answer = service.post("/api/tickets/7/summary").json()

    [row] = service.rows("SELECT * FROM assistant_summary")
    assert row[:5] == (answer["id"], "Short.", "helpdesk-small", 812, 64)
    assert row[6:] == (3, 7)
    stored_at = datetime.strptime(row[5], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - stored_at) < timedelta(minutes=1)


def test_a_call_leaves_an_audit_row(service: Running) -> None:
    service.provider.will(completion("Short.", model="helpdesk-small-0126"))

    service.post("/api/tickets/7/summary")

    columns = "organisation_id, user_id, ticket_id, kind, model, outcome, prompt_tokens, completion_tokens"
    [row] = service.rows(f"SELECT {columns}, duration_ms, created_at FROM assistant_call")  # noqa: S608
    assert row[:8] == (1, 3, 7, "summary", "helpdesk-small-0126", "ok", 812, 64)
    assert 0 <= row[8] < 60_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", row[9])


def test_a_reply_is_streamed_in_the_monoliths_bytes(service: Running) -> None:
    service.provider.will(STREAM_HEAD + ROLE + token("Hi ") + token("é") + STOP + USAGE + DONE + END)

    answer = service.post("/api/tickets/7/reply", content=b'{"tone": "formal"}')

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers
    assert answer.content == (
        b'event: delta\ndata: {"text": "Hi "}\n\n'
        b'event: delta\ndata: {"text": "\\u00e9"}\n\n'
        b'event: done\ndata: {"finish_reason": "stop", "model": "helpdesk-small", '
        b'"usage": {"prompt_tokens": 12, "completion_tokens": 2}}\n\n'
    )
    assert service.rows("SELECT kind, outcome, prompt_tokens, completion_tokens FROM assistant_call") == [
        ("reply", "ok", 12, 2)
    ]


def test_the_audit_row_stands_before_the_caller_reads_done(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("Hi") + STOP + DONE + END)

    with service.client() as client, client.stream("POST", "/api/tickets/7/reply") as answer:
        for line in answer.iter_lines():
            if line == "event: done":
                assert service.outcomes() == ["ok"]
                return
    raise AssertionError("no done event came")


def test_the_provider_is_asked_for_a_summary_as_the_monolith_asks(service: Running) -> None:
    service.provider.will(completion("Short."))

    service.post("/api/tickets/7/summary", json={"max_words": "50"})

    [asked] = service.provider.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer sandbox-key"
    assert asked.headers["content-type"] == "application/json"
    assert list(asked.body) == ["model", "messages", "temperature", "max_tokens"]
    assert (asked.body["model"], asked.body["temperature"], asked.body["max_tokens"]) == ("helpdesk-small", 0.2, 100)
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert "It's <dim> & warm." in asked.body["messages"][1]["content"]
    assert "[2026-01-03T12:00:00Z] Maya Ortiz (internal note" in asked.body["messages"][1]["content"]


def test_the_provider_is_asked_for_a_reply_as_the_monolith_asks(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("Hi") + STOP + DONE + END)

    service.post("/api/tickets/7/reply", content=json.dumps({"instructions": "  Offer a new bulb. "}))

    [asked] = service.provider.asked
    assert list(asked.body) == ["model", "messages", "temperature", "max_tokens", "stream", "stream_options"]
    assert (asked.body["temperature"], asked.body["max_tokens"]) == (0.7, 600)
    assert (asked.body["stream"], asked.body["stream_options"]) == (True, {"include_usage": True})
    assert "Instructions of the agent:\nOffer a new bulb.\n\n" in asked.body["messages"][1]["content"]
    assert 'Sign with "Maya Ortiz, Lumen & Söhne".' in asked.body["messages"][0]["content"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream", "nonsense"],
)
def test_the_content_type_of_a_body_is_not_looked_at(service: Running, content_type: str) -> None:
    service.provider.will(completion("Short."))

    answer = service.post(
        "/api/tickets/7/summary", content=b'{"max_words": 20}', headers={"Content-Type": content_type}
    )

    assert answer.status_code == 200
    assert service.provider.asked[0].body["max_tokens"] == 40
