"""The error table: each case has the monolith's status and the monolith's bytes, in the monolith's order."""

import json
from collections.abc import Callable

import pytest

from .fake_provider import END, STREAM_HEAD, Gate, answer, completion, data
from .running import DEADLINE_SECONDS, Running

SUMMARY, REPLY = "/api/tickets/7/summary", "/api/tickets/7/reply"
NOT_FOUND = b'{"detail": "Not found.", "code": "not_found"}'
NOT_AUTHENTICATED = b'{"detail": "Authentication credentials were not provided.", "code": "not_authenticated"}'
NOT_JSON = b'{"detail": "The request body is not valid JSON.", "code": "invalid_json"}'
NO_OBJECT = b'{"detail": "The request body must be a JSON object.", "code": "invalid_json"}'
BUSY = b'{"detail": "The assistant is busy. Try again later.", "code": "assistant_busy"}'
TIMED_OUT = b'{"detail": "The assistant took too long to answer.", "code": "assistant_timeout"}'
FAILED = b'{"detail": "The assistant could not answer.", "code": "assistant_failed"}'
LARGEST_BODY = 2_621_440


@pytest.mark.parametrize(
    "path",
    [
        "/api/tickets/8/summary",  # another organisation's
        "/api/tickets/999/summary",
        "/api/tickets/99999999999999999999999/summary",
        f"/api/tickets/{'9' * 5000}/summary",
        "/api/tickets/-7/summary",
        "/api/tickets/seven/summary",
        "/api/tickets/7/summary/",
        "/api/tickets/7/summary%0A",
        "/api/tickets//summary",
        "/api/unknown",
        "/docs",
        "/openapi.json",
    ],
)
def test_what_does_not_exist_for_the_caller_is_not_found(service: Running, path: str) -> None:
    found = service.post(path)

    assert (found.status_code, found.content) == (404, NOT_FOUND)


def test_a_wrong_method_is_named_with_the_right_ones(service: Running) -> None:
    with service.client() as client:
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
            refused = client.request(method, SUMMARY)

            assert refused.status_code == 405
            assert refused.headers["allow"] == "POST"
            detail = f'Method \\"{method}\\" not allowed.'
            assert refused.text == f'{{"detail": "{detail}", "code": "method_not_allowed"}}'


def test_head_is_refused_without_a_body(service: Running) -> None:
    with service.client() as client:
        refused = client.head(SUMMARY)

    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")


def test_a_stranger_is_not_told_which_methods_there_are(service: Running) -> None:
    with service.client() as client:
        refused = client.get(SUMMARY, headers={"X-Internal-Identity": "nonsense"})

    assert (refused.status_code, refused.content) == (401, NOT_AUTHENTICATED)


def test_permission_is_checked_before_the_ticket_and_the_ticket_before_the_body(service: Running) -> None:
    with service.client(perms=["tickets.view_ticket"]) as viewer:
        assert viewer.post("/api/tickets/999/summary", content=b"{").status_code == 403
    assert service.post("/api/tickets/999/summary", content=b"{").status_code == 404


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"max_words": 8', NOT_JSON),
        (b"  ", NOT_JSON),
        (b"\xff\xfe", NOT_JSON),
        (b'\xef\xbb\xbf{"max_words": 80}', NOT_JSON),
        ('{"max_words": 80}'.encode("utf-16"), NOT_JSON),
        (b'{"tone": "\\ud800"}', NOT_JSON),
        (b'{"max_words": NaN}', NOT_JSON),
        (b'{"max_words": -Infinity}', NOT_JSON),
        (b'{"ignored": -1e400}', NOT_JSON),
        (b'{"max_words": ' + b"9" * 5000 + b"}", NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b'{"a":' * 100_000, NOT_JSON),
        (b"\x89PNG\r\n\x1a\n\x00", NOT_JSON),
        (b"null", NO_OBJECT),
        (b"[1, 2]", NO_OBJECT),
        (b'"text"', NO_OBJECT),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_body_that_is_no_json_object_is_refused(service: Running, body: bytes, detail: bytes) -> None:
    for path in (SUMMARY, REPLY):
        refused = service.post(path, content=body)

        assert (refused.status_code, refused.content) == (400, detail)


def test_wrong_fields_are_named_in_djangos_words(service: Running) -> None:
    refused = service.post(REPLY, content=json.dumps({"tone": "rude", "instructions": "x" * 2001}))

    assert refused.status_code == 400
    assert refused.content == (
        b'{"detail": "Invalid input.", "code": "invalid", "errors": {'
        b'"tone": ["Select a valid choice. rude is not one of the available choices."], '
        b'"instructions": ["Ensure this value has at most 2000 characters (it has 2001)."]}}'
    )
    assert service.outcomes() == []


def test_a_body_of_the_largest_size_is_read(service: Running) -> None:
    service.provider.will(completion("Short."))
    body = b'{"ignored": "' + b"x" * (LARGEST_BODY - 15) + b'"}'
    assert len(body) == LARGEST_BODY

    assert service.post(SUMMARY, content=body).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_larger_body_is_a_bad_request(service: Running, chunked: bool) -> None:
    body = b'{"ignored": "' + b"x" * (LARGEST_BODY - 14) + b'"}'

    refused = service.post(SUMMARY, content=iter([body[:100], body[100:]]) if chunked else body)

    assert (refused.status_code, refused.content) == (400, b'{"detail": "Bad request.", "code": "bad_request"}')


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
@pytest.mark.parametrize(("said", "expected"), [((), "5"), (("Retry-After: 17",), "17"), (("Retry-After: soon",), "5")])
def test_a_busy_provider_makes_the_assistant_busy(
    service: Running, path: str, said: tuple[str, ...], expected: str
) -> None:
    service.provider.will(answer("429 Too Many Requests", b'{"error": {}}', *said))

    refused = service.post(path)

    assert (refused.status_code, refused.content) == (503, BUSY)
    assert refused.headers["retry-after"] == expected
    assert service.outcomes() == ["busy"]


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
@pytest.mark.parametrize(
    "script",
    [
        answer("500 Internal Server Error", b"oops"),
        answer("401 Unauthorized", b"{}"),
        answer("302 Found", b"", "Location: http://127.0.0.1:1/"),
        answer("200 OK", b"<html>", "Content-Type: text/html"),
        answer("200 OK", b'{"error": {"message": "no"}}'),
        answer("200 OK", b"[]"),
        completion("", choices=[]),
        completion("", choices=[{"index": 0, "message": {"content": "Hi"}}]),
        completion("", choices=[{"index": 0, "message": {"content": None}, "finish_reason": "stop"}]),
        completion("half a pair: \ud83d"),
        completion("nothing: \x00"),
        completion("Hello")[:-10],
        STREAM_HEAD + END,
        STREAM_HEAD + data("[DONE]") + END,
        STREAM_HEAD + data({"error": {"message": "no"}}) + END,
        STREAM_HEAD + data("{not json") + END,
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=range(18),
)
def test_a_provider_that_fails_before_its_first_chunk_is_a_bad_gateway(
    service: Running, path: str, script: bytes
) -> None:
    service.provider.will(script)

    refused = service.post(path)

    assert (refused.status_code, refused.content) == (502, FAILED)
    assert service.outcomes() == ["failed"]


def test_a_provider_that_is_not_there_is_a_bad_gateway(start: Callable[..., Running]) -> None:
    service = start(llm_base_url="http://127.0.0.1:9")

    assert service.post(SUMMARY).status_code == 502
    assert service.outcomes() == ["failed"]


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
def test_a_provider_that_is_too_slow_is_a_gateway_timeout(start: Callable[..., Running], path: str) -> None:
    service = start(llm_timeout_seconds=1, llm_connect_seconds=1)
    service.provider.will(Gate())

    refused = service.post(path)

    assert (refused.status_code, refused.content) == (504, TIMED_OUT)
    assert service.outcomes() == ["timeout"]
    assert service.provider.hung_up.wait(DEADLINE_SECONDS)


def test_every_answer_carries_djangos_headers(service: Running) -> None:
    service.provider.will(completion("Short."))
    service.provider.will(STREAM_HEAD + data("[DONE]") + END)
    with service.client() as client:
        answers = [
            client.post(SUMMARY),
            client.post(REPLY),
            client.get(SUMMARY),
            client.post("/api/unknown"),
            client.post(SUMMARY, content=b"{"),
            client.get("/health"),
        ]

    assert [said.status_code for said in answers] == [200, 502, 405, 404, 400, 200]
    for said in answers:
        assert said.headers["x-frame-options"] == "DENY"
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["referrer-policy"] == "same-origin"
        assert said.headers["cross-origin-opener-policy"] == "same-origin"
        assert said.headers["vary"] == "Cookie"
        assert "server" not in said.headers


def test_an_unexpected_error_is_the_monoliths_500_and_says_nothing(
    start: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    service = start()
    service.provider.will(completion("Short."))
    service.change("DROP TABLE assistant_summary")

    refused = service.post(SUMMARY, content=b'{"secret": "sesame"}')

    assert (refused.status_code, refused.content) == (500, b'{"detail": "Server error.", "code": "server_error"}')
    assert refused.headers["x-frame-options"] == "DENY"
    assert "Unexpected error in POST /api/tickets/7/summary." in caplog.text
    assert "sesame" not in caplog.text
