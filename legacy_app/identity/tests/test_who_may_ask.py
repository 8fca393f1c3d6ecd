"""The exchange is for the router alone; for everybody else there is nothing at that address."""

import json

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from joserfc.jwk import OctKey, OKPKey

from legacy_app.identity import tokens
from legacy_app.identity.tests.conftest import write_key


@pytest.mark.parametrize("secret", [None, "", "wrong", "wröng"])
@pytest.mark.parametrize("via", ["post", "get"])
def test_without_the_secret_nothing_is_there(browser, maya, secret, via):
    response = browser.log_in(maya).exchange("GET", secret=secret, via=via)

    assert response.status_code == 404


@pytest.mark.django_db
def test_nothing_is_there_looks_like_any_other_unknown_address(browser):
    refused = browser.exchange("GET", secret="wrong")
    unknown = browser.client.post("/internal/unknown", headers={"Host": "help.example.com"})

    assert refused.content.replace(b"identity", b"") == unknown.content.replace(b"unknown", b"")


@pytest.mark.parametrize("name", ["IDENTITY_SECRET", "IDENTITY_PRIVATE_KEY_FILE"])
def test_without_configuration_nothing_is_there(browser, maya, settings, name):
    browser.log_in(maya)
    setattr(settings, name, "")

    assert browser.exchange("GET", secret="").status_code == 404
    assert browser.exchange("GET").status_code == 404


def test_the_exchange_is_a_post(browser, maya):
    response = browser.log_in(maya).exchange("GET", via="get")

    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_a_token_is_always_for_a_named_service(browser, maya):
    response = browser.log_in(maya).exchange("GET", X_Identity_Audience=None)

    assert response.status_code == 400
    assert "X-Identity-Audience" in response.json()["detail"]


def test_an_unusable_key_is_found_before_the_session_is_touched(browser, maya, settings):
    browser.log_in(maya)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, " * 5
    settings.IDENTITY_PRIVATE_KEY_FILE += ".missing"

    with pytest.raises(ImproperlyConfigured, match=r"cannot be read: No such file"):
        browser.exchange("GET")

    assert Session.objects.filter(session_key=browser.client.cookies["sessionid"].value).exists()


@pytest.mark.parametrize(
    "key",
    [
        OKPKey.generate_key("Ed25519"),
        OKPKey.generate_key("X25519", {"kid": "k"}),
        OctKey.generate_key(256, {"kid": "k"}),
    ],
    ids=["no kid", "another curve", "symmetric"],
)
def test_a_key_of_another_kind_is_refused_with_the_cure(tmp_path, key):
    write_key(tmp_path / "key.json", key)

    with pytest.raises(ImproperlyConfigured, match="one private Ed25519 key as a JWK with a kid"):
        tokens.signing_key(str(tmp_path / "key.json"))


def test_a_public_key_cannot_sign(tmp_path):
    public = OKPKey.generate_key("Ed25519", {"kid": "k"}).as_dict(private=False)
    (tmp_path / "key.json").write_text(json.dumps(public))

    with pytest.raises(ImproperlyConfigured, match="one private Ed25519 key as a JWK with a kid"):
        tokens.signing_key(str(tmp_path / "key.json"))


def test_a_set_whose_first_key_is_public_cannot_sign(tmp_path):
    keys = [OKPKey.generate_key("Ed25519", {"kid": kid}).as_dict(private=kid == "b") for kid in ("a", "b")]
    (tmp_path / "key.json").write_text(json.dumps({"keys": keys}))

    with pytest.raises(ImproperlyConfigured, match="a JWK set that begins with it"):
        tokens.signing_key(str(tmp_path / "key.json"))


@pytest.mark.parametrize("content", ["[]", '{"keys": []}', '{"keys": {}}', "7"])
def test_a_file_without_a_key_is_refused_with_the_cure(tmp_path, content):
    (tmp_path / "key.json").write_text(content)

    with pytest.raises(ImproperlyConfigured, match="one private Ed25519 key as a JWK with a kid"):
        tokens.signing_key(str(tmp_path / "key.json"))
