"""What the token says of a session, and when there is none."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import OKPKey

from legacy_app.accounts.models import User
from legacy_app.identity.tests.conftest import Browser, write_key

NOT_AUTHENTICATED = {"detail": "Authentication credentials were not provided.", "code": "not_authenticated"}


def claims(response, key):
    assert response.status_code == 200, response.content
    # "EdDSA" on the wire is what RFC 9864 calls "Ed25519"; joserfc warns at the old name.
    token = jws.deserialize_compact(response.json()["token"], key, registry=_Registry())
    return json.loads(token.payload)


class _Registry(jws.JWSRegistry):
    def get_alg(self, name):
        assert name == "EdDSA"
        return self.algorithms["Ed25519"]


def header(response):
    return jws.extract_compact(response.json()["token"].encode()).headers()


def test_a_session_becomes_a_token_for_one_service(browser, maya, key):
    response = browser.log_in(maya).exchange("GET")

    told = claims(response, key)
    assert (told["iss"], told["aud"], told["sub"]) == ("helpdesk", "assistant", str(maya.pk))
    assert told["org"] == maya.organisation_id
    assert told["csrf_checked"] is False
    assert response.json()["expires_in"] == told["exp"] - told["iat"] == 60


def test_the_token_of_a_copy_says_so(browser, maya, key):
    original = browser.log_in(maya).exchange("GET")
    copy = browser.exchange("GET", baggage="strangler.role=shadow")

    assert claims(original, key)["shadow"] is False
    assert claims(copy, key)["shadow"] is True


def test_the_token_names_its_key_and_algorithm(browser, maya):
    response = browser.log_in(maya).exchange("GET")

    assert header(response) == {"typ": "JWT", "alg": "EdDSA", "kid": "2026-01"}


def test_a_key_file_may_state_the_algorithm_by_its_old_name(browser, maya, key, settings):
    """Key sets in use say `"alg": "EdDSA"`, which joserfc holds against a key of its newer name."""
    stated = json.loads(Path(settings.IDENTITY_PRIVATE_KEY_FILE).read_text()) | {"alg": "EdDSA", "use": "sig"}
    Path(settings.IDENTITY_PRIVATE_KEY_FILE).write_text(json.dumps(stated))

    assert claims(browser.log_in(maya).exchange("GET"), key)["sub"] == str(maya.pk)


def test_only_permissions_that_a_service_may_need_are_told(browser, maya, key):
    response = browser.log_in(maya).exchange("GET")

    told = claims(response, key)["perms"]
    assert {"assistant.use_assistant", "tickets.view_ticket", "knowledge.view_article"} <= set(told)
    assert "accounts.add_user" not in told


def test_the_token_knows_the_session_but_not_its_key(browser, maya, key):
    response = browser.log_in(maya).exchange("GET")

    session_key = browser.client.cookies["sessionid"].value
    assert claims(response, key)["sid"] == hashlib.sha256(session_key.encode()).hexdigest()


def test_every_token_has_its_own_id(browser, maya, key):
    browser.log_in(maya)

    first, second = (claims(browser.exchange("GET"), key)["jti"] for _ in range(2))

    assert first != second


def test_a_token_may_not_be_cached_and_a_refusal_is_what_any_view_would_say(browser, maya):
    refused = browser.exchange("GET")
    granted = browser.log_in(maya).exchange("GET")

    assert "no-store" in granted["Cache-Control"]
    assert "Cache-Control" not in refused
    assert "Cookie" in granted["Vary"]
    assert "Cookie" in refused["Vary"]


def test_a_new_key_is_used_as_soon_as_it_is_written(browser, maya, settings, tmp_path):
    browser.log_in(maya).exchange("GET")
    write_key(tmp_path / "next.json", OKPKey.generate_key("Ed25519", {"kid": "2026-02"}))
    (tmp_path / "next.json").replace(settings.IDENTITY_PRIVATE_KEY_FILE)

    response = browser.exchange("GET")

    assert header(response)["kid"] == "2026-02"


@pytest.mark.django_db
def test_an_anonymous_caller_is_told_so(browser):
    response = browser.exchange("GET")

    assert (response.status_code, response.json()) == (401, NOT_AUTHENTICATED)


@pytest.mark.django_db
def test_a_dead_session_cookie_is_taken_away(browser):
    browser.client.cookies["sessionid"] = "gone" * 8

    response = browser.exchange("GET")

    assert response.status_code == 401
    assert response.cookies["sessionid"].value == ""
    assert response.cookies["sessionid"]["max-age"] == 0


def test_after_logging_out_elsewhere_the_session_is_nobodys(browser, maya):
    browser.log_in(maya)
    copied = Browser()
    copied.client.cookies["sessionid"] = browser.client.cookies["sessionid"].value
    browser.client.logout()

    response = copied.exchange("GET")

    assert (response.status_code, response.json()) == (401, NOT_AUTHENTICATED)


def test_a_changed_password_ends_the_session(browser, maya):
    browser.log_in(maya)
    maya.set_password("another one")
    maya.save()

    response = browser.exchange("GET")

    assert response.status_code == 401
    assert response.cookies["sessionid"].value == ""


def test_a_deactivated_user_is_anonymous(browser, maya):
    browser.log_in(maya)
    User.objects.update(is_active=False)

    assert browser.exchange("GET").status_code == 401


def test_an_expired_session_is_anonymous(browser, maya):
    browser.log_in(maya)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))

    assert browser.exchange("GET").status_code == 401


def test_a_lost_permission_is_gone_at_once(browser, maya, key):
    browser.log_in(maya).exchange("GET")
    maya.groups.clear()

    assert claims(browser.exchange("GET"), key)["perms"] == []


def test_staff_without_an_organisation_are_refused(browser, admin):
    response = browser.log_in(admin).exchange("GET")

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"


def test_a_login_under_an_old_secret_key_moves_to_a_new_session(browser, maya, settings, key):
    browser.log_in(maya)
    old = browser.client.cookies["sessionid"].value
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, " * 5

    response = browser.exchange("GET")

    new = response.cookies["sessionid"].value
    assert new not in ("", old)
    assert claims(response, key)["sid"] == hashlib.sha256(new.encode()).hexdigest()
    assert not Session.objects.filter(session_key=old).exists()
    assert browser.exchange("GET").status_code == 200
