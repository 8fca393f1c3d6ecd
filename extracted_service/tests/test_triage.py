"""Structured output is checked, repaired once, and only then written: by the monolith, on a command."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from extracted_service.prompts import CATEGORIES, PRIORITIES
from extracted_service.triage import Unusable, Verdict, verdict_of

from .fake_provider import Gate, answer, completion
from .running import DEADLINE_SECONDS, Running

TRIAGE = "/api/tickets/7/triage"
PERMISSIONS = ["assistant.use_assistant", "tickets.change_ticket"]
GOOD = {"category": "billing", "priority": "high", "reason": "Charged twice."}
WRITTEN = b"HTTP/1.1 204 No Content\r\n\r\n"
FAILED = b'{"detail": "The assistant could not answer.", "code": "assistant_failed"}'
SERVER_ERROR = b'{"detail": "Server error.", "code": "server_error"}'


def said(verdict: Any) -> bytes:
    return completion(verdict if isinstance(verdict, str) else json.dumps(verdict))


def triage(service: Running, path: str = TRIAGE, **request: Any) -> Any:
    with service.client(perms=PERMISSIONS) as client:
        return client.post(path, **request)


def test_the_verdict_is_told_and_sent_to_the_monolith_with_the_callers_identity(service: Running) -> None:
    service.provider.will(said({**GOOD, "reason": "  Ada’s “lamp”. "}))
    service.monolith.will(WRITTEN)

    with service.client(perms=PERMISSIONS) as client:
        found = client.post(TRIAGE)
        identity = client.headers["X-Internal-Identity"]

    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert found.content == (
        b'{"ticket": 7, "category": "billing", "priority": "high", "reason": "Ada\\u2019s \\u201clamp\\u201d."}'
    )
    [command] = service.monolith.asked
    assert command.path == "/internal/tickets/7/triage"
    assert command.headers["x-internal-identity"] == identity
    assert command.body == {"category": "billing", "priority": "high"}


def test_the_provider_is_asked_as_the_monolith_asks(service: Running) -> None:
    service.provider.will(said(GOOD))
    service.monolith.will(WRITTEN)

    triage(service)

    [asked] = service.provider.asked
    assert list(asked.body) == ["model", "messages", "temperature", "max_tokens", "response_format"]
    assert (json.dumps(asked.body["temperature"]), asked.body["max_tokens"]) == ("0", 300)
    schema = asked.body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["category"]["enum"] == list(CATEGORIES)
    assert schema["properties"]["priority"]["enum"] == list(PRIORITIES)
    assert service.rows("SELECT kind, outcome, ticket_id, prompt_tokens FROM assistant_call") == [
        ("triage", "ok", 7, 812)
    ]


def test_an_unusable_answer_is_repaired_once(service: Running) -> None:
    service.provider.will(said({**GOOD, "priority": "asap"}))
    service.provider.will(said(GOOD))
    service.monolith.will(WRITTEN)

    assert triage(service).json() == {"ticket": 7, **GOOD}

    [system, user] = service.provider.asked[1].body["messages"]
    assert system == service.provider.asked[0].body["messages"][0]
    assert '"priority": "asap"' in user["content"]
    assert "priority must be one of: low, normal, high, urgent." in user["content"]
    assert service.outcomes() == ["ok", "ok"]


def test_a_second_unusable_answer_is_a_failure_that_changes_nothing(service: Running) -> None:
    service.provider.will(said("It is about money."))
    service.provider.will(said("[]"))

    refused = triage(service)

    assert (refused.status_code, refused.content) == (502, FAILED)
    assert service.monolith.asked == []
    assert service.outcomes() == ["ok", "ok"]


def test_a_failing_repair_is_told_as_what_it_is(service: Running) -> None:
    service.provider.will(said("nonsense"))
    service.provider.will(answer("429 Too Many Requests", b"{}", "Retry-After: 9"))

    refused = triage(service)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "9")
    assert service.outcomes() == ["ok", "busy"]


def test_both_attempts_share_the_time_of_one(start: Callable[..., Running]) -> None:
    service = start(llm_timeout_seconds=2, llm_connect_seconds=2)
    service.provider.will(said("nonsense"))
    service.provider.will(Gate())

    assert triage(service).status_code == 504

    durations = [row[0] for row in service.rows("SELECT duration_ms FROM assistant_call ORDER BY id")]
    assert sum(durations) < 4000  # one deadline, and not one for each
    assert service.outcomes() == ["ok", "timeout"]


@pytest.mark.parametrize(
    ("permissions", "path", "status"),
    [
        (["assistant.use_assistant"], "/api/tickets/999/triage", 403),
        (["tickets.change_ticket"], "/api/tickets/999/triage", 403),
        (PERMISSIONS, "/api/tickets/999/triage", 404),
        (PERMISSIONS, "/api/tickets/8/triage", 404),
        (PERMISSIONS, TRIAGE, 400),
    ],
)
def test_permissions_come_before_the_ticket_and_the_ticket_before_the_body(
    service: Running, permissions: list[str], path: str, status: int
) -> None:
    with service.client(perms=permissions) as client:
        assert client.post(path, content=b"{").status_code == status


@pytest.mark.parametrize(
    "script",
    [
        answer("401 Unauthorized", b"{}"),
        answer("404 Not Found", b"{}"),
        answer("500 Internal Server Error", b"oops"),
        answer("302 Found", b"", "Location: http://127.0.0.1:1/"),
        answer("200 OK", b"{}"),
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=range(7),
)
def test_a_command_that_fails_is_an_error_as_it_would_be_inside_the_monolith(
    service: Running, caplog: pytest.LogCaptureFixture, script: bytes
) -> None:
    service.provider.will(said(GOOD))
    service.monolith.will(script)

    refused = triage(service)

    assert (refused.status_code, refused.content) == (500, SERVER_ERROR)
    assert "The monolith did not carry a command out: " in caplog.text


def test_a_monolith_that_does_not_answer_is_not_waited_for_for_ever(start: Callable[..., Running]) -> None:
    service = start(legacy_timeout_seconds=1)
    service.provider.will(said(GOOD))
    service.monolith.will(Gate())

    assert triage(service).status_code == 500
    assert service.monolith.hung_up.wait(DEADLINE_SECONDS)


def test_a_caller_who_leaves_before_the_verdict_ends_the_call_and_nothing_is_written(service: Running) -> None:
    gate = Gate()
    service.provider.will(gate, said(GOOD))

    with service.connection() as connection:
        connection.sendall(service.request_bytes(TRIAGE, perms=PERMISSIONS))
        assert gate.reached.wait(DEADLINE_SECONDS)

    assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    assert service.monolith.asked == []


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ("no JSON", "It was not one JSON object."),
        ("[]", "It was not one JSON object."),
        ("[" * 100_000, "It was not one JSON object."),
        ('{"category": ""}', "category must be one of"),
        ('{"category": ["billing"]}', "category must be one of"),
        ('{"category": "billing", "priority": null}', "priority must be one of"),
        ('{"category": "billing", "priority": "low"}', "reason must be a sentence."),
        ('{"category": "billing", "priority": "low", "reason": " "}', "reason must be a sentence."),
    ],
    ids=range(8),
)
def test_each_mistake_is_named_to_the_model(said: str, mistake: str) -> None:
    with pytest.raises(Unusable, match=mistake):
        verdict_of(said)


def test_more_than_was_asked_for_does_no_harm() -> None:
    assert verdict_of(json.dumps({**GOOD, "mood": "angry"})) == Verdict("billing", "high", "Charged twice.")
