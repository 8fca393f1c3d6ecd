"""An organisation that has used up its tokens of the day is refused alike by both sides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from contract_tests.caller import Agent, Got
from contract_tests.stack import Stack

BODY = b'{"detail": "Your organisation has used up its assistant tokens for today.", "code": "token_limit"}'
PATHS = ["/api/tickets/{own}/summary", "/api/tickets/{own}/reply", "/api/tickets/{own}/triage", "/api/ask"]
USED = 1_000_000_000
"""The limit of a stack that was told nothing else."""


@pytest.fixture(scope="module", autouse=True)
def _used_up(stack: Stack) -> Iterator[None]:
    """Of kwame's organisation alone, and only while this module runs; noted as today's, and as tomorrow's."""
    for day in (0, 1):
        stack.rows(
            "INSERT INTO assistant_call (kind, model, outcome, completion_tokens, duration_ms, prompt_tokens,"
            " created_at, organisation_id) VALUES ('reply', 'used up', 'ok', 1, 0, ?, ?,"
            " (SELECT organisation_id FROM accounts_user WHERE username = 'kwame'))",
            USED,
            datetime.now(UTC) + timedelta(days=day),
        )
    yield
    stack.rows("DELETE FROM assistant_call WHERE model = 'used up'")


@pytest.fixture(scope="module")
def refusals(stack: Stack, _used_up: None) -> dict[str, dict[str, Got]]:
    found: dict[str, dict[str, Got]] = {}
    for stage in ("legacy", "extracted"):
        stack.move(stage)
        with Agent(stack.router, "kwame") as agent:
            own = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
            found[stage] = {path: agent.ask("POST", path.format(own=own), b'{"question": "Why?"}') for path in PATHS}
    return found


@pytest.mark.parametrize("path", PATHS)
def test_both_sides_refuse_until_midnight(refusals: dict[str, dict[str, Got]], path: str) -> None:
    """The same status and bytes; the seconds that are left differ by those between the two requests."""
    legacy, extracted = refusals["legacy"][path], refusals["extracted"][path]

    assert legacy.status == extracted.status == 429
    assert legacy.body == extracted.body == BODY
    [legacy_wait], [extracted_wait] = legacy.headers.pop("retry-after"), extracted.headers.pop("retry-after")
    assert legacy.headers == extracted.headers
    assert 0 < int(legacy_wait) <= 86_400
    assert (int(legacy_wait) - int(extracted_wait)) % 86_400 < 60
