"""A service may have a verdict written for a caller whom the monolith introduced to it, and nobody else may."""

import json
import time
from pathlib import Path

import pytest
from django.test import Client
from joserfc.jwk import OKPKey

from legacy_app.identity import tokens
from legacy_app.identity.tests.conftest import HOST

VERDICT = {"category": "billing", "priority": "high"}


@pytest.fixture
def token(browser, lumen):
    """What the router got for an agent who posts."""
    answer = browser.log_in(lumen.agent).exchange("POST", X_CSRFToken=browser.csrf_token)
    return answer.json()["token"]


@pytest.fixture
def signed(key, lumen):
    """A token of the agent, with changed claims or another key."""

    def make(*, by=None, **changes):
        now = int(time.time())
        said = {
            "iss": "helpdesk",
            "aud": "assistant",
            "sub": str(lumen.agent.pk),
            "iat": now,
            "exp": now + 60,
            "org": lumen.organisation.pk,
            "perms": ["assistant.use_assistant", "tickets.change_ticket"],
            "csrf_checked": True,
        }
        return tokens.signed({**said, **changes}, by or key)

    return make


def give(ticket, token, body=VERDICT, via="post"):
    headers = {"Host": HOST} | ({"X-Internal-Identity": token} if token else {})
    client = Client(enforce_csrf_checks=True)
    address = f"/internal/tickets/{getattr(ticket, 'pk', ticket)}/triage"
    return getattr(client, via)(address, body, content_type="application/json", headers=headers)


def test_the_verdict_is_written_to_the_ticket(lumen, token):
    before = lumen.ticket.updated_at

    response = give(lumen.ticket, token)

    assert (response.status_code, response.content) == (204, b"")
    lumen.ticket.refresh_from_db()
    assert (lumen.ticket.category, lumen.ticket.priority) == ("billing", "high")
    assert lumen.ticket.updated_at > before
    assert lumen.ticket.subject == "A lamp for Lumen Lighting"


def test_a_token_may_be_older_by_the_time_that_the_provider_may_take(lumen, signed, settings):
    settings.LLM_TIMEOUT_SECONDS = 30
    now = int(time.time())

    assert give(lumen.ticket, signed(exp=now - 15)).status_code == 204
    assert give(lumen.ticket, signed(exp=now - 35)).status_code == 401


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_nothing_is_there(lumen, key, token):
    response = give(lumen.ticket, token)

    assert response.status_code == 404
    assert b"not_found" not in response.content


def test_without_a_key_nothing_is_there(lumen, token, settings):
    settings.IDENTITY_PRIVATE_KEY_FILE = ""

    assert give(lumen.ticket, token).status_code == 404


def test_a_command_is_a_post(lumen, token):
    assert give(lumen.ticket, token, via="put").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [{"iss": "other"}, {"aud": "another service"}, {"by": OKPKey.generate_key("Ed25519", {"kid": "2026-01"})}],
    ids=["issuer", "audience", "signature"],
)
def test_a_token_that_is_not_ours_is_refused(lumen, signed, changes):
    response = give(lumen.ticket, signed(**changes))

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_a_command_under_way_while_the_signing_key_is_replaced_is_carried_out(lumen, key, token, settings):
    new = OKPKey.generate_key("Ed25519", {"kid": "2026-02"})
    rotated = {"keys": [new.as_dict(private=True), key.as_dict(private=False)]}
    Path(settings.IDENTITY_PRIVATE_KEY_FILE).write_text(json.dumps(rotated))

    assert give(lumen.ticket, token).status_code == 204


def test_a_key_that_is_taken_out_of_the_file_is_believed_no_more(lumen, token, settings):
    new = OKPKey.generate_key("Ed25519", {"kid": "2026-02"})
    Path(settings.IDENTITY_PRIVATE_KEY_FILE).write_text(json.dumps({"keys": [new.as_dict(private=True)]}))

    assert give(lumen.ticket, token).status_code == 401


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "e30.e30.e30", "é"])
def test_what_is_no_token_is_refused(lumen, key, token):
    assert give(lumen.ticket, token).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"perms": ["assistant.use_assistant"]},
        {"perms": ["tickets.change_ticket"]},
        {"org": None},
        {"csrf_checked": False},
    ],
    ids=str,
)
def test_who_may_not_triage_may_not_have_it_done(lumen, signed, changes):
    response = give(lumen.ticket, signed(**changes))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    lumen.ticket.refresh_from_db()
    assert lumen.ticket.category == ""


def test_another_organisations_ticket_is_not_found(parcelo, token):
    for ticket in (parcelo.ticket, 999_999, "9" * 30):
        assert give(ticket, token).json() == {"detail": "Not found.", "code": "not_found"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, ["category", "priority"]),
        ({**VERDICT, "category": ""}, ["category"]),
        ({**VERDICT, "category": "None"}, ["category"]),
        ({**VERDICT, "priority": "asap"}, ["priority"]),
    ],
)
def test_a_verdict_names_a_category_and_a_priority_that_tickets_have(lumen, token, body, errors):
    response = give(lumen.ticket, token, body)

    assert (response.status_code, list(response.json()["errors"])) == (400, errors)


def test_the_identity_of_a_copy_gives_no_command_that_would_be_kept(lumen, signed):
    ticket = lumen.ticket
    before = (ticket.category, ticket.priority)

    answer = give(ticket, signed(shadow=True))

    ticket.refresh_from_db()
    assert answer.status_code == 401
    assert (ticket.category, ticket.priority) == before
