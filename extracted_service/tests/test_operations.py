"""What operators and contract tests ask of the service."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from extracted_service.app import create_app
from extracted_service.settings import Settings

from .running import Running


def get(service: Running, path: str) -> httpx.Response:
    return httpx.get(service.url + path, trust_env=False)


def test_a_healthy_service_is_alive_and_ready(service: Running) -> None:
    assert get(service, "/health").text == '{"status": "ok"}'
    assert get(service, "/ready").text == '{"status": "ready"}'


def test_head_is_answered_where_get_is(service: Running) -> None:
    said = httpx.head(f"{service.url}/health", trust_env=False)

    assert (said.status_code, said.content) == (200, b"")


def test_a_wrong_method_needs_no_identity_there(service: Running) -> None:
    refused = httpx.post(f"{service.url}/health", trust_env=False)

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_service_without_database_is_alive_but_not_ready(start: Callable[..., Running], tmp_path: Path) -> None:
    service = start(database_url=f"sqlite:///{tmp_path}/missing.sqlite3")

    refused = get(service, "/ready")

    assert get(service, "/health").status_code == 200
    assert refused.status_code == 503
    assert refused.json() == {
        "detail": "The database cannot be read: unable to open database file.",
        "code": "not_ready",
    }


def test_a_service_whose_keys_are_gone_is_not_ready(start: Callable[..., Running], jwks_file: Path) -> None:
    service = start()
    jwks_file.unlink()

    refused = get(service, "/ready")

    assert refused.status_code == 503
    assert refused.json()["detail"] == f"IDENTITY_JWKS_FILE {jwks_file} cannot be read: No such file or directory."


@pytest.fixture
def openapi(jwks_file: Path) -> dict[str, object]:
    described: dict[str, object] = create_app(Settings(identity_jwks_file=jwks_file)).openapi()
    return json.loads(json.dumps(described))  # type: ignore[no-any-return]


STREAMED = {"/api/tickets/{ticket_id}/reply", "/api/ask"}
STATUSES = {
    "/api/tickets/{ticket_id}/summary": "200 400 401 403 404 429 502 503 504",
    "/api/tickets/{ticket_id}/reply": "200 400 401 403 404 429 502 503 504",
    "/api/tickets/{ticket_id}/triage": "200 400 401 403 404 429 502 503 504",
    "/api/search": "200 400 401 403 502 503 504",
    "/api/ask": "200 400 401 403 429 502 503 504",
    "/api/articles/reindex": "202 400 401 403",
    "/api/articles/reindex/{job_id}": "200 401 403 404",
}


def test_openapi_names_every_status_with_its_media_type(
    openapi: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]],
) -> None:
    assert set(openapi["paths"]) == set(STATUSES)
    for path, statuses in STATUSES.items():
        [operation] = openapi["paths"][path].values()
        responses = operation["responses"]
        assert set(responses) == {*statuses.split(), "default"}
        for status in responses:
            media_type = "text/event-stream" if status == "200" and path in STREAMED else "application/json"
            assert list(responses[status]["content"]) == [media_type]  # type: ignore[index]


def test_openapi_describes_the_bodies(openapi: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]]) -> None:
    body = openapi["paths"]["/api/tickets/{ticket_id}/summary"]["post"]["requestBody"]

    assert body["required"] is False
    schema = body["content"]["application/json"]["schema"]  # type: ignore[index]
    assert schema["properties"]["max_words"] == {
        "default": 80,
        "maximum": 300,
        "minimum": 20,
        "title": "Max Words",
        "type": ["integer", "null"],
    }


def test_openapi_describes_the_query(
    openapi: dict[str, dict[str, dict[str, dict[str, list[dict[str, object]]]]]],
) -> None:
    q, limit = openapi["paths"]["/api/search"]["get"]["parameters"]

    assert (q["name"], q["in"], q["required"]) == ("q", "query", True)
    assert (limit["name"], limit["in"], limit["required"]) == ("limit", "query", False)
    assert limit["schema"] == {"default": 5, "maximum": 20, "minimum": 1, "title": "Limit", "type": "integer"}
