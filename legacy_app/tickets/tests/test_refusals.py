"""Every refusal of the API, in the order in which it refuses."""

import pytest
from django.test import Client
from django.urls import path

from legacy_app.api import endpoint
from legacy_app.urls import handler400, handler403, handler404, handler500  # noqa: F401
from legacy_app.urls import urlpatterns as real_urlpatterns

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "FOO"]


@endpoint(GET=[])
def broken(request):
    raise RuntimeError("a secret")


urlpatterns = [
    path("api/broken", broken),
    path("broken/", lambda request: 1 / 0),
    *real_urlpatterns,
]


def code(response):
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("method", UNSAFE)
def test_csrf_comes_first_even_for_strangers_and_unknown_methods(db, method):
    answer = Client(enforce_csrf_checks=True).generic(method, "/api/tickets")

    assert answer.status_code == 403
    assert answer.json() == {"detail": "CSRF Failed: CSRF cookie not set.", "code": "csrf"}


def test_a_wrong_csrf_token_is_told_with_djangos_reason(lumen, sign_in):
    client = sign_in(lumen.agent, enforce_csrf_checks=True)
    client.get("/tickets/")

    answer = client.post("/api/tickets", headers={"X-CSRFToken": "x" * 32})

    assert code(answer) == (403, "csrf")
    assert answer.json()["detail"] == "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect."


def test_the_token_of_the_cookie_opens_the_api(lumen, sign_in):
    client = sign_in(lumen.agent, enforce_csrf_checks=True)
    client.get("/tickets/")

    answer = client.post(
        f"/api/tickets/{lumen.ticket.pk}/comments",
        {"body": "Hello"},
        content_type="application/json",
        headers={"X-CSRFToken": client.cookies["csrftoken"].value},
    )

    assert answer.status_code == 201


def test_pages_refuse_csrf_with_a_page(lumen, sign_in):
    answer = sign_in(lumen.agent, enforce_csrf_checks=True).post(f"/tickets/{lumen.ticket.pk}/comments/")

    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("url", ["/api/tickets", "/api/tickets/1", "/api/tickets/1/comments", "/api/articles"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "PATCH"])
def test_strangers_are_asked_to_sign_in_before_anything_else(db, url, method):
    answer = Client().generic(method, url)

    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer
    assert answer.json() == {
        "detail": "Authentication credentials were not provided.",
        "code": "not_authenticated",
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "FOO"])
def test_a_wrong_method_names_the_right_ones(lumen, sign_in, method):
    answer = sign_in(lumen.viewer).generic(method, "/api/tickets")

    assert code(answer) == (405, "method_not_allowed")
    assert answer.json()["detail"] == f'Method "{method}" not allowed.'
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_head_is_answered_where_get_is(lumen, sign_in):
    answer = sign_in(lumen.viewer).head("/api/tickets")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "/api/tickets"), ("PATCH", "/api/tickets/{pk}"), ("POST", "/api/tickets/{pk}/comments")],
)
def test_a_missing_permission_comes_before_the_object_and_the_body(lumen, sign_in, method, url):
    client = sign_in(lumen.viewer)

    known, unknown = (client.generic(method, url.format(pk=pk), "{") for pk in (lumen.ticket.pk, 0))

    assert code(known) == code(unknown) == (403, "permission_denied")
    assert known.json()["detail"] == "You do not have permission to perform this action."


def test_a_member_of_no_organisation_has_no_permission_here(lumen, admin, sign_in):
    client = sign_in(admin)

    answers = [client.get("/api/tickets"), client.post("/api/tickets"), client.get("/api/articles")]

    assert [code(answer) for answer in answers] == [(403, "permission_denied")] * 3


@pytest.mark.parametrize("url", ["/api/tickets/0", "/api/tickets/99999999999999999999999", "/api/articles/none"])
def test_an_unknown_object_is_not_found(lumen, sign_in, url):
    answer = sign_in(lumen.agent).get(url)

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found.", "code": "not_found"}


@pytest.mark.parametrize("url", ["/api/nothing", "/api/", "/api/tickets/x", "/api/tickets/7/nothing"])
def test_an_unknown_address_under_api_is_not_found_as_json(db, url):
    answer = Client().get(url)

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found.", "code": "not_found"}


def test_an_unknown_page_is_not_found_as_a_page(db):
    answer = Client().get("/nothing/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_the_object_comes_before_the_body(lumen, sign_in):
    answer = sign_in(lumen.agent).generic("PATCH", "/api/tickets/0", "{")

    assert code(answer) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        b'{"subject": "a',
        b"\xff",
        b'{"subject": "\xe9"}',
        b"nothing",
        b'{"a": NaN}',
        b'{"customer": 1e400}',
        b'{"subject": "\\ud800"}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        '{"subject": "a"}'.encode("utf-16"),
    ],
    ids=["cut", "bytes", "latin-1", "word", "nan", "infinite", "surrogate", "deep", "digits", "bom", "utf-16"],
)
def test_a_body_that_is_no_json_is_refused(lumen, sign_in, body):
    answer = sign_in(lumen.agent).generic("PATCH", f"/api/tickets/{lumen.ticket.pk}", body)

    assert code(answer) == (400, "invalid_json")
    assert answer.json()["detail"] == "The request body is not valid JSON."


@pytest.mark.parametrize("body", ["[1, 2]", "null", '"text"', "3", "true"])
def test_a_body_that_is_no_object_is_refused(lumen, sign_in, body):
    answer = sign_in(lumen.agent).generic("PATCH", f"/api/tickets/{lumen.ticket.pk}", body)

    assert code(answer) == (400, "invalid_json")
    assert answer.json()["detail"] == "The request body must be a JSON object."


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/vnd.api+json", "application/json"])
def test_the_content_type_is_not_looked_at(lumen, sign_in, content_type):
    answer = sign_in(lumen.agent).generic(
        "PATCH", f"/api/tickets/{lumen.ticket.pk}", '{"status": "solved"}', content_type
    )

    assert answer.json()["status"] == "solved"


def test_nothing_sent_counts_as_an_empty_object(lumen, sign_in):
    answer = sign_in(lumen.agent).generic("PATCH", f"/api/tickets/{lumen.ticket.pk}")

    assert answer.status_code == 200


@pytest.mark.parametrize(("size", "status"), [(2_621_440, 200), (2_621_441, 400)])
def test_a_body_is_as_long_as_django_allows(lumen, sign_in, size, status):
    start, end = b'{"ignored": "', b'"}'
    body = start + b"x" * (size - len(start) - len(end)) + end

    answer = sign_in(lumen.agent).generic("PATCH", f"/api/tickets/{lumen.ticket.pk}", body)

    assert answer.status_code == status
    if status == 400:
        assert answer.json() == {"detail": "Bad request.", "code": "bad_request"}


def test_a_forged_host_is_a_bad_request_as_json(db):
    answer = Client().get("/api/tickets", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Bad request.", "code": "bad_request"}
    assert "evil" not in answer.text


@pytest.mark.urls("legacy_app.tickets.tests.test_refusals")
def test_what_nobody_expected_says_nothing_about_itself(lumen, sign_in):
    client = sign_in(lumen.agent)
    client.raise_request_exception = False

    under_api, page = client.get("/api/broken"), client.get("/broken/")

    assert under_api.status_code == page.status_code == 500
    assert under_api.json() == {"detail": "Server error.", "code": "server_error"}
    assert "Something went wrong" in page.text


@pytest.mark.parametrize("url", ["/api/tickets", "/api/tickets/0", "/api/nothing", "/tickets/", "/login/"])
def test_every_answer_carries_djangos_security_headers(lumen, sign_in, url):
    answer = sign_in(lumen.agent).get(url)

    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


def test_an_answer_that_depends_on_the_session_says_so(lumen, sign_in):
    answers = [Client().get("/api/tickets"), sign_in(lumen.agent).get("/api/tickets")]

    assert [answer["Vary"] for answer in answers] == ["Cookie", "Cookie"]
