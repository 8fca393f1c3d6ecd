"""CSRF, sign-in, method, permission and organisation come before anything costs money, in this order."""

import pytest

from legacy_app.assistant.models import Call, Job

pytestmark = pytest.mark.django_db

ENDPOINTS = {
    "summary": ("post", "/api/tickets/{ticket}/summary"),
    "reply": ("post", "/api/tickets/{ticket}/reply"),
    "triage": ("post", "/api/tickets/{ticket}/triage"),
    "ask": ("post", "/api/ask"),
    "search": ("get", "/api/search?q=lamp"),
    "reindex": ("post", "/api/articles/reindex"),
    "job": ("get", "/api/articles/reindex/1"),
}
OF_TICKETS = ["summary", "reply", "triage"]
UNSAFE = ["summary", "reply", "triage", "ask", "reindex"]


@pytest.fixture
def call(provider, lumen):
    """`call(client, "summary")`; whatever the refusal, the provider is never asked."""

    def call(client, name, *, method=None, ticket=None):
        own, path = ENDPOINTS[name]
        return getattr(client, method or own)(path.format(ticket=ticket or lumen.ticket.pk))

    yield call
    assert not provider.calls
    assert not Call.objects.exists()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_strangers_are_asked_to_sign_in(call, client, name):
    response = call(client, name)

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert "Cookie" in response["Vary"]


@pytest.mark.parametrize("name", UNSAFE)
def test_csrf_comes_first_of_all(call, lumen, sign_in, name):
    response = call(sign_in(lumen.viewer, enforce_csrf_checks=True), name, method="put")

    assert (response.status_code, response.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("method", ["put", "delete", "options"])
def test_another_method_is_named_with_those_that_are_allowed(call, lumen, sign_in, name, method):
    response = call(sign_in(lumen.viewer), name, method=method)

    assert response.status_code == 405
    assert response.json() == {
        "detail": f'Method "{method.upper()}" not allowed.',
        "code": "method_not_allowed",
    }
    assert response["Allow"] == ("GET, HEAD" if ENDPOINTS[name][0] == "get" else "POST")


@pytest.mark.parametrize("name", ["summary", "reply", "triage", "ask", "reindex", "job"])
def test_viewers_only_look(call, lumen, sign_in, name):
    response = call(sign_in(lumen.viewer), name)

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("name", ["reindex", "job"])
def test_rebuilding_the_index_is_for_leads(call, lumen, sign_in, name):
    assert call(sign_in(lumen.agent), name).status_code == 403


@pytest.mark.parametrize("name", ENDPOINTS)
def test_staff_without_an_organisation_have_no_data_here(call, admin, sign_in, name):
    response = call(sign_in(admin), name)

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("name", OF_TICKETS)
def test_another_organisations_ticket_is_not_found(call, parcelo, lumen, sign_in, name):
    foreign = call(sign_in(lumen.agent), name, ticket=parcelo.ticket.pk)
    unknown = call(sign_in(lumen.agent), name, ticket=10**23)

    for response in (foreign, unknown):
        assert (response.status_code, response.json()) == (404, {"detail": "Not found.", "code": "not_found"})


def test_another_organisations_job_is_not_found(call, parcelo, lumen, sign_in):
    Job.objects.create(pk=1, organisation=parcelo.organisation, created_by=parcelo.lead)

    assert call(sign_in(lumen.lead), "job").status_code == 404


def test_triage_changes_the_ticket_and_needs_that_permission(call, lumen, sign_in):
    group = lumen.agent.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_ticket"))

    assert call(sign_in(lumen.agent), "triage").status_code == 403
