"""One blocking completion, kept as a summary."""

import pytest
from django.utils.dateparse import parse_datetime

from legacy_app.assistant.models import Call, Summary
from legacy_app.assistant.tests.conftest import body_sent, completed

pytestmark = pytest.mark.django_db


@pytest.fixture
def summarise(lumen, sign_in, provider):
    client = sign_in(lumen.agent)

    def post(body=None, content_type="application/json"):
        return client.post(f"/api/tickets/{lumen.ticket.pk}/summary", body or "", content_type=content_type)

    return post


def test_the_answer_is_the_stored_summary(summarise, lumen):
    response = summarise()

    summary = Summary.objects.get()
    assert response.status_code == 200
    told = response.json()
    assert summary.created_at.replace(microsecond=summary.created_at.microsecond // 1000 * 1000) == parse_datetime(
        told.pop("created_at")
    )
    assert told == {
        "id": summary.pk,
        "ticket": lumen.ticket.pk,
        "text": "All is well.",
        "model": "helpdesk-small-2",
        "usage": {"prompt_tokens": 812, "completion_tokens": 64},
        "created_by": lumen.agent.pk,
    }
    assert (summary.text, summary.ticket, summary.created_by) == ("All is well.", lumen.ticket, lumen.agent)


def test_the_longest_summary_bounds_prompt_and_tokens(summarise, provider):
    summarise({"max_words": 120})

    sent = body_sent(provider["chat"])
    assert (sent["temperature"], sent["max_tokens"]) == (0.2, 240)
    assert "at most 120 words" in sent["messages"][0]["content"]


@pytest.mark.parametrize("body", [None, {}, {"max_words": None}, {"max_words": ""}, {"unknown": 7}])
def test_eighty_words_are_the_default(summarise, provider, body):
    assert summarise(body).status_code == 200

    assert body_sent(provider["chat"])["max_tokens"] == 160


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_the_content_type_is_not_looked_at(summarise, provider, content_type):
    assert summarise(b'{"max_words": 20}', content_type).status_code == 200

    assert body_sent(provider["chat"])["max_tokens"] == 40


@pytest.mark.parametrize(
    ("max_words", "message"),
    [
        (19, "Ensure this value is greater than or equal to 20."),
        (0, "Ensure this value is greater than or equal to 20."),
        (301, "Ensure this value is less than or equal to 300."),
        ("many", "Enter a whole number."),
        (20.5, "Enter a whole number."),
    ],
)
def test_a_wrong_field_is_named_before_the_provider_is_asked(summarise, provider, max_words, message):
    response = summarise({"max_words": max_words})

    assert response.status_code == 400
    assert response.json() == {
        "detail": "Invalid input.",
        "code": "invalid",
        "errors": {"max_words": [message]},
    }
    assert not provider["chat"].called


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[1]", b"null", b"NaN", b'{"a": "\\ud800"}', b"[" * 100_000, b"9" * 5000]
)
def test_a_body_that_is_no_json_object_is_refused(summarise, provider, body):
    response = summarise(body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_json")
    assert not provider["chat"].called


def test_an_empty_answer_is_not_kept(summarise, provider):
    provider["chat"].mock(return_value=completed(""))

    assert summarise().status_code == 502
    assert not Summary.objects.exists()


def test_the_call_is_audited(summarise, lumen):
    summarise()

    call = Call.objects.get()
    assert (call.kind, call.outcome, call.model) == ("summary", "ok", "helpdesk-small-2")
    assert (call.prompt_tokens, call.completion_tokens) == (812, 64)
    assert (call.user, call.organisation, call.ticket) == (lumen.agent, lumen.organisation, lumen.ticket)
