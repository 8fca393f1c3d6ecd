"""Structured output is checked, repaired once, and only then written to the ticket."""

import json

import httpx
import pytest

from legacy_app.assistant.models import Call
from legacy_app.assistant.prompts import CATEGORIES, PRIORITIES
from legacy_app.assistant.tests.conftest import completed
from legacy_app.assistant.triage import Unusable, Verdict, verdict_of
from legacy_app.tickets.models import Ticket

pytestmark = pytest.mark.django_db

GOOD = {"category": "billing", "priority": "high", "reason": "Charged twice."}


@pytest.fixture
def triage(lumen, sign_in, provider):
    provider["chat"].mock(return_value=said(GOOD))
    client = sign_in(lumen.agent)
    return lambda: client.post(f"/api/tickets/{lumen.ticket.pk}/triage", {}, content_type="application/json")


def said(value):
    return completed(value if isinstance(value, str) else json.dumps(value))


def sent(provider, call):
    return json.loads(provider["chat"].calls[call].request.content)


def test_the_verdict_is_told_and_written_to_the_ticket(triage, lumen):
    before = lumen.ticket.updated_at

    response = triage()

    assert response.json() == {"ticket": lumen.ticket.pk, **GOOD}
    lumen.ticket.refresh_from_db()
    assert (lumen.ticket.category, lumen.ticket.priority) == ("billing", "high")
    assert lumen.ticket.updated_at > before


def test_the_model_is_held_to_a_schema(triage, provider):
    triage()

    body = sent(provider, 0)
    assert (body["temperature"], body["max_tokens"]) == (0, 300)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["category"]["enum"] == list(CATEGORIES)
    assert list(body)[-1] == "response_format"


def test_every_category_and_priority_of_a_ticket_is_offered():
    assert set(CATEGORIES) == {value for value in Ticket.Category.values if value}
    assert set(PRIORITIES) == set(Ticket.Priority.values)


def test_an_unusable_answer_is_repaired_once(triage, provider, lumen):
    provider["chat"].mock(side_effect=[said({**GOOD, "priority": "asap"}), said(GOOD)])

    assert triage().status_code == 200

    second = sent(provider, 1)["messages"]
    assert [message["role"] for message in second] == ["system", "user"]
    assert '"priority": "asap"' in second[1]["content"]
    assert "priority must be one of: low, normal, high, urgent." in second[1]["content"]
    assert [row.outcome for row in Call.objects.all()] == ["ok", "ok"]


def test_a_second_unusable_answer_is_a_failure_that_changes_nothing(triage, provider, lumen):
    provider["chat"].mock(return_value=said("It is about money."))

    response = triage()

    assert (response.status_code, response.json()["code"]) == (502, "assistant_failed")
    assert provider["chat"].call_count == 2
    lumen.ticket.refresh_from_db()
    assert (lumen.ticket.category, lumen.ticket.priority) == ("", "normal")


def test_a_failing_repair_is_told_as_what_it_is(triage, provider):
    provider["chat"].mock(side_effect=[said("nonsense"), httpx.Response(429)])

    assert triage().status_code == 503
    assert sorted(row.outcome for row in Call.objects.all()) == ["busy", "ok"]


def test_what_colleagues_changed_meanwhile_is_not_overwritten(triage, provider, lumen):
    def answer(_request):
        Ticket.objects.filter(pk=lumen.ticket.pk).update(status="solved", subject="Solved by phone")
        return said(GOOD)

    provider["chat"].mock(side_effect=answer)

    triage()

    lumen.ticket.refresh_from_db()
    assert (lumen.ticket.status, lumen.ticket.subject) == ("solved", "Solved by phone")


@pytest.mark.parametrize(
    ("answer", "mistake"),
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
)
def test_each_mistake_is_named_to_the_model(answer, mistake):
    with pytest.raises(Unusable, match=mistake):
        verdict_of(answer)


def test_more_than_was_asked_for_does_no_harm():
    assert verdict_of(json.dumps({**GOOD, "mood": "angry"})) == Verdict("billing", "high", "Charged twice.")
