"""Organisations never see, name or change each other's data."""

import pytest

from legacy_app.knowledge.models import Article
from legacy_app.tickets.models import Ticket

SECRET = "Parcelo"  # occurs in everything of theirs, in nothing of ours


@pytest.fixture
def theirs(parcelo):
    parcelo.article = Article.objects.create(
        organisation=parcelo.organisation, title=f"About {SECRET}", slug="about", body=f"{SECRET} delivers."
    )
    return parcelo


@pytest.mark.parametrize(
    "url", ["/tickets/", "/knowledge/", "/api/tickets", "/api/articles", "/api/tickets?q=Parcelo", "/tickets/?q=lamp"]
)
@pytest.mark.parametrize("who", ["lead", "agent", "viewer"])
def test_a_list_holds_only_what_is_ours(lumen, theirs, sign_in, url, who):
    Ticket.objects.filter(pk=theirs.ticket.pk).update(assignee=theirs.agent)

    answer = sign_in(getattr(lumen, who)).get(url)

    assert answer.status_code == 200
    assert SECRET not in answer.text.replace("q=Parcelo", "").replace('value="Parcelo"', "")
    assert "parcelo-agent" not in answer.text


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/tickets/{ticket}/"),
        ("POST", "/tickets/{ticket}/comments/"),
        ("POST", "/tickets/{ticket}/state/"),
        ("GET", "/knowledge/about/"),
        ("GET", "/api/tickets/{ticket}"),
        ("PATCH", "/api/tickets/{ticket}"),
        ("GET", "/api/tickets/{ticket}/comments"),
        ("POST", "/api/tickets/{ticket}/comments"),
        ("GET", "/api/articles/about"),
        ("POST", "/api/tickets/{ticket}/summary"),
        ("POST", "/api/tickets/{ticket}/reply"),
        ("POST", "/api/tickets/{ticket}/triage"),
    ],
)
def test_what_is_theirs_does_not_exist_for_us(lumen, theirs, sign_in, method, url):
    url = url.format(ticket=theirs.ticket.pk)

    answer = sign_in(lumen.lead).generic(method, url, '{"status": "closed", "body": "Mine now"}')

    assert answer.status_code == 404
    assert SECRET not in answer.text
    theirs.ticket.refresh_from_db()
    assert theirs.ticket.status == "open"
    assert not theirs.ticket.comments.exists()


@pytest.mark.parametrize("field", ["customer", "assignee"])
def test_their_people_are_no_choice_in_the_api(lumen, theirs, sign_in, field):
    person = {"customer": theirs.customer, "assignee": theirs.agent}[field]
    ticket = {"subject": "S", "body": "B", "customer": lumen.customer.pk, field: person.pk}
    client = sign_in(lumen.agent)

    answers = [
        client.post("/api/tickets", ticket, content_type="application/json"),
        client.patch(f"/api/tickets/{lumen.ticket.pk}", {field: person.pk}, content_type="application/json"),
    ]

    told = {field: ["Select a valid choice. That choice is not one of the available choices."]}
    assert [answer.json()["errors"] for answer in answers] == [told, told]


def test_their_people_are_no_choice_on_the_ticket_page(lumen, theirs, sign_in):
    client = sign_in(lumen.agent)
    state = {"status": "open", "priority": "normal", "category": "", "assignee": theirs.agent.pk}

    answer = client.post(f"/tickets/{lumen.ticket.pk}/state/", state)

    assert answer.status_code == 400
    assert "parcelo" not in answer.text
    assert Ticket.objects.get(pk=lumen.ticket.pk).assignee is None


def test_their_people_are_no_filter(lumen, theirs, sign_in):
    answer = sign_in(lumen.agent).get(f"/api/tickets?assignee={theirs.agent.pk}")

    assert answer.status_code == 400


def test_the_same_slug_leads_each_organisation_to_its_own_article(lumen, theirs, sign_in):
    Article.objects.create(organisation=lumen.organisation, title="About us", slug="about", body="Lamps.")

    answer = sign_in(lumen.agent).get("/api/articles/about")

    assert answer.json()["title"] == "About us"


def test_support_staff_of_the_product_have_the_admin_and_no_inbox(theirs, admin, sign_in):
    client = sign_in(admin)

    assert client.get("/")["Location"] == "/admin/"
    assert client.get("/tickets/").status_code == 403
    assert client.get(f"/tickets/{theirs.ticket.pk}/").status_code == 403
