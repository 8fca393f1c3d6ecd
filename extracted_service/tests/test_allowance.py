"""An organisation that has used up its tokens of the day is told until when, and costs nothing more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest

from extracted_service.allowance import Allowance, midnight, seconds_until

from .fake_provider import completion
from .running import Running

SUMMARY, REPLY = "/api/tickets/7/summary", "/api/tickets/7/reply"
LIMIT = b'{"detail": "Your organisation has used up its assistant tokens for today.", "code": "token_limit"}'

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always: what is used up before midnight is not after it."""
    monkeypatch.setattr("extracted_service.app.Allowance", partial(Allowance, clock=lambda: NOON))


def used(service: Running, prompt: int, completion: int, *, days_ago: int = 0, organisation: int = 1) -> None:
    at = NOON.replace(tzinfo=None) - timedelta(days=days_ago)
    columns = "organisation_id, prompt_tokens, completion_tokens, created_at, kind, model, outcome, duration_ms"
    values = f"{organisation}, {prompt}, {completion}, '{at}', 'reply', '', 'ok', 0"
    service.change(f"INSERT INTO assistant_call ({columns}) VALUES ({values})")  # noqa: S608


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
def test_a_used_up_allowance_is_refused_until_midnight(start: Callable[..., Running], path: str) -> None:
    service = start(llm_daily_tokens=100)
    used(service, 60, 10)
    used(service, 0, 30)

    refused = service.post(path)

    assert (refused.status_code, refused.content) == (429, LIMIT)
    assert refused.headers["retry-after"] == "43200"
    assert service.provider.asked == []
    assert service.outcomes() == ["ok", "ok"]


def test_only_the_organisations_own_calls_of_today_count(start: Callable[..., Running]) -> None:
    service = start(llm_daily_tokens=100)
    used(service, 99, 0)
    used(service, 500, 500, days_ago=1)
    used(service, 500, 500, organisation=2)
    service.provider.will(completion("Short."))

    assert service.post(SUMMARY).status_code == 200
    assert service.post(SUMMARY).status_code == 429


def test_without_a_limit_nothing_is_refused(start: Callable[..., Running]) -> None:
    service = start(llm_daily_tokens=0)
    used(service, 2_000_000_000, 2_000_000_000)
    service.provider.will(completion("Short."))

    assert service.post(SUMMARY).status_code == 200


def test_a_wrong_body_is_named_before_the_limit(start: Callable[..., Running]) -> None:
    service = start(llm_daily_tokens=1)
    used(service, 1, 0)

    assert service.post(SUMMARY, content=b"{").status_code == 400
    assert service.post(REPLY, json={"tone": "rude"}).status_code == 400


@pytest.mark.parametrize(
    ("now", "start", "left"),
    [
        (datetime(2026, 1, 5, 0, 0, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC), 86_400),
        (datetime(2026, 1, 5, 23, 59, 59, 999_999, UTC), datetime(2026, 1, 5, tzinfo=UTC), 1),
        (datetime(2026, 1, 5, 1, 0, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 4, tzinfo=UTC), 3600),
    ],
)
def test_the_day_is_that_of_utc(now: datetime, start: datetime, left: int) -> None:
    assert midnight(now) == start
    assert seconds_until(start + timedelta(days=1), now) == left
