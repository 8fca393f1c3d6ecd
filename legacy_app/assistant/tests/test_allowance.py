"""An organisation that has used up its tokens of the day is told until when, and costs nothing more."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from legacy_app.assistant import allowance
from legacy_app.assistant.models import Call

pytestmark = pytest.mark.django_db

COMPLETING = {
    "summary": "/api/tickets/{}/summary",
    "reply": "/api/tickets/{}/reply",
    "triage": "/api/tickets/{}/triage",
    "ask": "/api/ask",
}
LIMIT = b'{"detail": "Your organisation has used up its assistant tokens for today.", "code": "token_limit"}'

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch):
    """Always: what is used up before midnight is not after it."""
    monkeypatch.setattr(timezone, "now", lambda: NOON)


@pytest.fixture
def post(lumen, sign_in, settings):
    settings.LLM_DAILY_TOKENS = 100
    client = sign_in(lumen.agent)

    def post(name, body=b'{"question": "Why?"}'):
        return client.post(COMPLETING[name].format(lumen.ticket.pk), body, content_type="application/json")

    return post


def used(organisation, prompt, completion, ago=timedelta(0)):
    Call.objects.create(
        organisation=organisation,
        kind=Call.Kind.SEARCH,
        outcome=Call.Outcome.OK,
        prompt_tokens=prompt,
        completion_tokens=completion,
        duration_ms=0,
        created_at=NOON - ago,
    )


@pytest.mark.parametrize("name", COMPLETING)
def test_a_used_up_allowance_is_refused_until_midnight(post, lumen, provider, name):
    used(lumen.organisation, 60, 10)
    used(lumen.organisation, 0, 30)

    response = post(name)

    assert (response.status_code, response.content) == (429, LIMIT)
    assert response["Retry-After"] == "43200"
    assert not provider.calls
    assert Call.objects.count() == 2


@pytest.mark.parametrize("name", COMPLETING)
def test_a_wrong_body_is_named_before_the_limit(post, lumen, provider, name):
    used(lumen.organisation, 100, 0)

    assert post(name, b"{").status_code == 400


def test_searching_goes_on(post, lumen, provider, sign_in):
    used(lumen.organisation, 100, 0)

    assert sign_in(lumen.agent).get("/api/search?q=lamp").status_code == 200


def test_only_the_organisations_own_calls_of_today_count(post, lumen, parcelo, provider):
    used(lumen.organisation, 99, 0)
    used(lumen.organisation, 500, 500, ago=timedelta(days=1))
    used(parcelo.organisation, 500, 500)

    assert post("summary").status_code == 200
    assert post("summary").status_code == 429


def test_the_largest_numbers_that_a_row_holds_are_counted(post, lumen, provider):
    used(lumen.organisation, 2**31 - 1, 2**31 - 1)

    assert post("summary").status_code == 429


def test_without_a_limit_nothing_is_refused(post, lumen, provider, settings):
    settings.LLM_DAILY_TOKENS = 0
    used(lumen.organisation, 2_000_000_000, 2_000_000_000)

    assert post("summary").status_code == 200


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (datetime(2026, 1, 5, 0, 0, tzinfo=UTC), 86_400),
        (datetime(2026, 1, 5, 23, 59, 59, 999_999, UTC), 1),
    ],
)
def test_the_day_is_that_of_utc(now, left):
    start = allowance.midnight(now)

    assert start == datetime(2026, 1, 5, tzinfo=UTC)
    assert allowance.seconds_until(start + timedelta(days=1), now) == left
