"""Django's CSRF rules hold for the caller's request, although the exchange itself is the router's."""

import pytest

from legacy_app.identity.tests.conftest import HOST
from legacy_app.identity.tests.test_who_the_caller_is import claims

ORIGIN = f"http://{HOST}"
SECURE_ORIGIN = f"https://{HOST}"


@pytest.fixture
def maya_here(browser, maya):
    return browser.log_in(maya)


def refused(response):
    assert (response.status_code, response.json()["code"]) == (403, "csrf")
    assert response.json()["detail"].startswith("CSRF Failed: ")
    assert "token" not in response.json()
    return response.json()["detail"].removeprefix("CSRF Failed: ")


def test_no_token(maya_here):
    assert refused(maya_here.exchange("POST")) == "CSRF token missing."


def test_a_wrong_token(maya_here):
    response = maya_here.exchange("POST", X_CSRFToken="x" * 32)

    assert refused(response) == "CSRF token from the 'X-Csrftoken' HTTP header incorrect."


def test_the_right_token(maya_here, key):
    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token)

    assert claims(response, key)["csrf_checked"] is True


def test_a_foreign_origin(maya_here):
    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token, Origin="https://evil.example")

    assert refused(response) == ("Origin checking failed - https://evil.example does not match any trusted origins.")


def test_the_origin_null(maya_here):
    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token, Origin="null")

    assert refused(response) == "Origin checking failed - null does not match any trusted origins."


def test_https_without_origin_and_referer(maya_here):
    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token, X_Forwarded_Proto="https")

    assert refused(response) == "Referer checking failed - no Referer."


@pytest.mark.parametrize("proof", [{"Origin": SECURE_ORIGIN}, {"Referer": f"{SECURE_ORIGIN}/tickets/7/"}])
def test_https_with_its_own_origin(maya_here, key, proof):
    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token, X_Forwarded_Proto="https", **proof)

    assert claims(response, key)["csrf_checked"] is True


def test_the_public_origin_at_an_internal_host(maya_here, settings):
    settings.ALLOWED_HOSTS = ["*"]

    response = maya_here.exchange("POST", X_CSRFToken=maya_here.csrf_token, Host="127.0.0.1:8003", Origin=ORIGIN)

    assert refused(response).startswith("Origin checking failed")


@pytest.mark.django_db
def test_no_cookies_at_all(browser):
    assert refused(browser.exchange("POST")) == "CSRF cookie not set."


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "FOO", "get", "", None])
def test_whatever_is_not_known_to_be_safe_needs_a_token(maya_here, key, method):
    without = maya_here.exchange(method)
    with_one = maya_here.exchange(method, X_CSRFToken=maya_here.csrf_token)

    refused(without)
    assert claims(with_one, key)["csrf_checked"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods_need_no_token_and_prove_nothing(maya_here, key, method):
    with_one = maya_here.exchange(method, X_CSRFToken=maya_here.csrf_token)

    assert claims(maya_here.exchange(method), key)["csrf_checked"] is False
    assert claims(with_one, key)["csrf_checked"] is False


def test_overriding_headers_do_not_change_the_method(maya_here):
    response = maya_here.exchange("POST", X_HTTP_Method_Override="GET", X_Original_Url="/")

    assert refused(response) == "CSRF token missing."


def test_a_refused_request_leaves_the_session_alone(maya_here, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, " * 5

    response = maya_here.exchange("POST")

    assert refused(response) == "CSRF token missing."
    assert "sessionid" not in response.cookies
