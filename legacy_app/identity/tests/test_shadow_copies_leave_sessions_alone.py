"""A shadow copy runs with the caller's cookie and must not be noticed by the caller's session."""

import pytest
from django.contrib.sessions.models import Session

MARKED = {"baggage": "strangler.role=shadow"}


@pytest.fixture(autouse=True)
def _middleware(settings):
    ours, django = (
        "legacy_app.identity.sessions.SessionMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
    )
    settings.MIDDLEWARE = [ours if name == django else name for name in settings.MIDDLEWARE]


def rows():
    return list(Session.objects.values_list("session_key", "session_data", "expire_date"))


def test_a_copy_is_signed_in_like_its_original(lumen, sign_in):
    response = sign_in(lumen.agent).post("/api/tickets/999/summary", headers=MARKED)

    assert response.status_code == 404
    assert response["Vary"] == "Cookie"


def test_a_copy_does_not_extend_the_session(lumen, sign_in, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = sign_in(lumen.agent)
    before = rows()

    response = client.post("/api/tickets/999/summary", headers=MARKED)

    assert (rows(), dict(response.cookies)) == (before, {})


def test_a_copy_does_not_move_an_old_login_to_a_new_session(lumen, sign_in, settings):
    client = sign_in(lumen.agent)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, " * 5
    before = rows()

    response = client.post("/api/tickets/999/summary", headers=MARKED)

    assert response.status_code == 404  # signed in all the same
    assert (rows(), dict(response.cookies)) == (before, {})


def test_a_copy_does_not_end_a_session(lumen, sign_in):
    client = sign_in(lumen.agent)
    lumen.agent.set_password("another one")
    lumen.agent.save()
    before = rows()

    response = client.post("/api/tickets/999/summary", headers=MARKED)

    assert response.status_code == 401
    assert (rows(), dict(response.cookies)) == (before, {})


def test_without_the_mark_django_does_as_ever(lumen, sign_in, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = sign_in(lumen.agent)
    before = rows()

    response = client.post("/api/tickets/999/summary")

    assert rows() != before
    assert "sessionid" in response.cookies
