"""Searching by meaning, answering with citations, and having the index rebuilt."""

import json
import re
from typing import Any

import httpx
import pytest

from .articles import NEAREST_TO_THE_FIRST_AXIS, towards
from .fake_provider import DONE, END, ROLE, STOP, STREAM_HEAD, USAGE, Gate, answer, embeddings, token
from .running import Running

SEARCH, ASK, REINDEX = "/api/search?q=lamps", "/api/ask", "/api/articles/reindex"
MEANT = embeddings(towards(2))
WELL = STREAM_HEAD + ROLE + token("Bulbs ") + token("[1].") + STOP + USAGE + DONE + END
EVERYTHING = ["assistant.use_assistant", "knowledge.view_article", "knowledge.reindex"]
CALLS = (
    "SELECT kind, outcome, model, user_id, ticket_id, prompt_tokens, completion_tokens FROM assistant_call ORDER BY id"
)
FAILED = b'{"detail": "The assistant could not answer.", "code": "assistant_failed"}'


def request(service: Running, method: str, path: str, org: int = 1, **request: Any) -> httpx.Response:
    with service.client(perms=EVERYTHING, org=org) as client:
        return client.request(method, path, **request)


def ask(service: Running, question: str = "lamps?") -> httpx.Response:
    return request(service, "POST", ASK, json={"question": question})


def test_the_nearest_articles_are_told_in_the_monoliths_bytes(service: Running) -> None:
    service.provider.will(MEANT)

    found = request(service, "GET", "/api/search?q=+lamps+%C3%A9+&limit=2")

    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert found.content == (
        b'{"query": "lamps \\u00e9", "results": ['
        b'{"slug": "bulbs", "title": "Bulbs", "url": "/knowledge/bulbs/", "excerpt": "bulbs <0>", "score": 1.0}, '
        b'{"slug": "zinc", "title": "Zinc", "url": "/knowledge/zinc/", "excerpt": "zinc <1>", "score": 1.0}]}'
    )


def test_five_are_told_if_nothing_is_said(service: Running) -> None:
    service.provider.will(MEANT)

    results = request(service, "GET", SEARCH).json()["results"]

    assert [(hit["slug"], hit["score"]) for hit in results] == NEAREST_TO_THE_FIRST_AXIS


def test_another_organisation_finds_its_own(service: Running) -> None:
    service.provider.will(MEANT)

    results = request(service, "GET", SEARCH, org=2).json()["results"]

    assert [hit["slug"] for hit in results] == ["theirs"]


def test_a_search_is_one_embedding_call(service: Running) -> None:
    service.provider.will(MEANT)

    request(service, "GET", SEARCH)

    [asked] = service.provider.asked
    assert asked.path == "/v1/embeddings"
    assert json.dumps(asked.body) == '{"model": "helpdesk-embed", "input": ["lamps"], "dimensions": 256}'
    assert service.rows(CALLS) == [("search", "ok", "helpdesk-embed-2", 3, None, 3, 0)]


def test_head_is_answered_like_get_without_the_body(service: Running) -> None:
    service.provider.will(MEANT)
    service.provider.will(MEANT)

    whole, head = (request(service, method, SEARCH) for method in ("GET", "HEAD"))

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/search", "GET, HEAD"),
        ("GET", ASK, "POST"),
        ("HEAD", ASK, "POST"),
        ("DELETE", REINDEX, "POST"),
        ("POST", f"{REINDEX}/1", "GET, HEAD"),
        ("OPTIONS", f"{REINDEX}/1", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_named_with_the_right_ones(service: Running, method: str, path: str, allowed: str) -> None:
    refused = request(service, method, path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/api/search", "knowledge.view_article"),
        ("POST", ASK, "assistant.use_assistant"),
        ("POST", REINDEX, "knowledge.reindex"),
        ("GET", f"{REINDEX}/999", "knowledge.reindex"),
    ],
)
def test_a_permission_comes_before_anything_that_is_said(
    service: Running, method: str, path: str, permission: str
) -> None:
    with service.client(perms=sorted({*EVERYTHING} - {permission})) as client:
        assert client.request(method, path, content=b"{").status_code == 403


@pytest.mark.parametrize(
    ("script", "status", "outcome"),
    [
        (answer("429 Too Many Requests", b"{}"), 503, "busy"),
        (answer("500 Internal Server Error", b"oops"), 502, "failed"),
        (answer("200 OK", b"<html>"), 502, "failed"),
        (embeddings(), 502, "failed"),
        (embeddings([1.0, 2.0]), 502, "failed"),
        (embeddings(towards(float("nan"))), 502, "failed"),
        (embeddings(towards(1), data={"0": []}), 502, "failed"),
        (embeddings(towards(1), data=None), 502, "failed"),
        (embeddings(towards(1), data=[{"index": 0}]), 502, "failed"),
        (embeddings(towards(1), data=[{"index": 0, "embedding": "AAAA"}]), 502, "failed"),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("kind", ["search", "ask"])
def test_an_embedding_that_fails_is_a_status(
    service: Running, kind: str, script: bytes, status: int, outcome: str
) -> None:
    service.provider.will(script)

    refused = request(service, "GET", SEARCH) if kind == "search" else ask(service)

    assert refused.status_code == status
    assert service.rows("SELECT kind, outcome FROM assistant_call") == [(kind, outcome)]


def test_an_answer_begins_with_its_citations(service: Running) -> None:
    service.provider.will(embeddings(towards(2)))
    service.provider.will(WELL)

    found = ask(service)

    assert (found.status_code, found.headers["content-type"]) == (200, "text/event-stream")
    assert (found.headers["cache-control"], found.headers["x-accel-buffering"]) == ("no-cache", "no")
    first, *rest = found.content.split(b"\n\n")
    assert first.startswith(
        b'event: citations\ndata: {"citations": [{"number": 1, "slug": "bulbs", "title": "Bulbs", '
        b'"url": "/knowledge/bulbs/", "score": 1.0}, {"number": 2, "slug": "zinc", '
    )
    assert rest == [
        b'event: delta\ndata: {"text": "Bulbs "}',
        b'event: delta\ndata: {"text": "[1]."}',
        (
            b'event: done\ndata: {"finish_reason": "stop", "model": "helpdesk-small", '
            b'"usage": {"prompt_tokens": 12, "completion_tokens": 2}}'
        ),
        b"",
    ]


def test_an_answer_is_an_embedding_a_search_and_a_completion(service: Running) -> None:
    service.provider.will(MEANT)
    service.provider.will(WELL)

    ask(service, "  lamps & {{ bulbs }}? ")

    meaning, asked = service.provider.asked
    assert meaning.body["input"] == ["lamps & {{ bulbs }}?"]
    assert list(asked.body) == ["model", "messages", "temperature", "max_tokens", "stream", "stream_options"]
    assert (asked.body["temperature"], asked.body["max_tokens"]) == (0.2, 600)
    [system, user] = [message["content"] for message in asked.body["messages"]]
    assert "support agents of Lumen & Söhne" in system
    assert "[1] Bulbs\nbulbs <0>\n\n[2] Zinc\nzinc <1>\n" in user
    assert user.endswith("Question: lamps & {{ bulbs }}?")
    assert "theirs" not in user
    assert service.rows(CALLS) == [
        ("ask", "ok", "helpdesk-embed-2", 3, None, 3, 0),
        ("ask", "ok", "helpdesk-small", 3, None, 12, 2),
    ]


def test_an_organisation_without_articles_is_answered_without_citations(service: Running) -> None:
    service.change(
        "INSERT INTO accounts_organisation (id, name, slug, created_at) VALUES (3, 'New', 'new', '2026-01-01')"
    )
    service.provider.will(MEANT)
    service.provider.will(WELL)
    try:
        found = request(service, "POST", ASK, org=3, json={"question": "lamps?"})
    finally:
        service.change("DELETE FROM assistant_call WHERE organisation_id = 3")
        service.change("DELETE FROM accounts_organisation WHERE id = 3")

    assert found.content.startswith(b'event: citations\ndata: {"citations": []}\n\nevent: delta\n')
    assert "holds no passage" in service.provider.asked[1].body["messages"][1]["content"]


def test_a_completion_that_fails_at_once_is_a_status_without_citations(service: Running) -> None:
    service.provider.will(MEANT)
    service.provider.will(answer("429 Too Many Requests", b"{}", "Retry-After: 9"))

    refused = ask(service)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "9")
    assert service.outcomes() == ["ok", "busy"]


def test_an_answer_that_breaks_off_says_so_and_is_cut(service: Running) -> None:
    service.provider.will(MEANT)
    service.provider.will(STREAM_HEAD + token("Bulbs") + END)

    with service.connection() as connection:
        connection.sendall(service.request_bytes(ASK, b'{"question": "lamps?"}', perms=EVERYTHING))
        received = b""
        while piece := connection.recv(65536):
            received += piece

    assert re.findall(rb"event: (\w+)", received) == [b"citations", b"delta", b"error"]
    assert FAILED in received
    assert not received.endswith(b"0\r\n\r\n")
    assert service.outcomes() == ["ok", "failed"]


def test_the_citations_come_with_the_first_chunk_and_not_with_the_last(service: Running) -> None:
    gate = Gate()
    service.provider.will(MEANT)
    service.provider.will(STREAM_HEAD + ROLE, gate, token("Bulbs") + STOP + DONE + END)

    with service.client(perms=EVERYTHING) as client, client.stream("POST", ASK, json={"question": "?"}) as found:
        pieces = found.iter_raw()
        assert next(pieces).startswith(b"event: citations\n")
        gate.open()
        assert b"event: done" in b"".join(pieces)


@pytest.mark.parametrize("question", [None, "", " \n", [], "x" * 2001])
def test_a_question_is_needed(service: Running, question: Any) -> None:
    refused = request(service, "POST", ASK, json={"question": question})

    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["question"])
    assert service.provider.asked == []


def test_a_rebuild_is_queued_as_the_monolith_queues_it(service: Running) -> None:
    queued = request(service, "POST", REINDEX)

    at = queued.json()["created_at"].encode()
    assert (queued.status_code, queued.headers["location"]) == (202, f"{REINDEX}/1")
    assert queued.content == (
        b'{"id": 1, "status": "queued", "created_at": "' + at + b'", "finished_at": null, '
        b'"done": 0, "total": 6, "error": ""}'
    )
    [row] = service.rows(
        "SELECT organisation_id, created_by_id, status, done, total, error, started_at, finished_at FROM assistant_job"
    )
    assert row == (1, 3, "queued", 0, 6, "", None, None)
    assert service.provider.asked == []
    assert service.outcomes() == []


def test_a_rebuild_can_be_looked_at_by_its_organisation_alone(service: Running) -> None:
    queued = request(service, "POST", REINDEX)
    service.change("UPDATE assistant_job SET status = 'done', done = 6, finished_at = '2026-01-05 09:30:12.123456'")

    found = request(service, "GET", queued.headers["location"])

    assert found.json() == {
        **queued.json(),
        "status": "done",
        "done": 6,
        "finished_at": "2026-01-05T09:30:12.123Z",
    }
    assert request(service, "GET", queued.headers["location"], org=2).status_code == 404


@pytest.mark.parametrize("job", ["999", "9" * 30, "9" * 5000, "seven", "-1", "1/"])
def test_a_rebuild_that_is_not_there_is_not_found(service: Running, job: str) -> None:
    assert request(service, "GET", f"{REINDEX}/{job}").status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b"null"])
def test_a_rebuilds_body_is_read_though_it_says_nothing(service: Running, body: bytes) -> None:
    assert request(service, "POST", REINDEX, content=body).status_code == 400
    assert service.rows("SELECT id FROM assistant_job") == []
