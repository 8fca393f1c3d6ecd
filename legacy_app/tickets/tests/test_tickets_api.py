"""Tickets and comments through the API: what comes out, what goes in, page by page."""

import pytest
from django.db import connection
from django.forms.models import model_to_dict
from django.utils import timezone

from legacy_app.tickets.forms import TicketForm
from legacy_app.tickets.models import Comment, Customer, Ticket


def make_tickets(org, count, **fields):
    return [
        Ticket.objects.create(
            organisation=org.organisation, customer=org.customer, subject=f"Number {n}", body="Text", **fields
        )
        for n in range(count)
    ]


def subjects(response):
    return [ticket["subject"] for ticket in response.json()["results"]]


def test_a_ticket_is_written_with_its_people_and_the_number_of_its_comments(lumen, sign_in):
    lumen.ticket.assignee = lumen.agent
    lumen.ticket.save()
    Comment.objects.create(ticket=lumen.ticket, body="Any news?")

    found = sign_in(lumen.viewer).get(f"/api/tickets/{lumen.ticket.pk}").json()

    assert found.pop("created_at").endswith("Z")
    assert found.pop("updated_at").endswith("Z")
    assert found == {
        "id": lumen.ticket.pk,
        "organisation": "lumen",
        "subject": "A lamp for Lumen Lighting",
        "body": "It does not light up.",
        "status": "open",
        "priority": "normal",
        "category": "",
        "customer": {"id": lumen.customer.pk, "name": "Ida Holm", "email": "ida@example.com"},
        "assignee": {"id": lumen.agent.pk, "username": "lumen-agent", "name": "Agent"},
        "comments": 1,
    }


def test_answers_are_json_with_spaces_and_ascii_escapes(lumen, sign_in):
    lumen.ticket.subject = "Schöne Lampe"
    lumen.ticket.save()

    answer = sign_in(lumen.agent).get(f"/api/tickets/{lumen.ticket.pk}")

    assert answer["Content-Type"] == "application/json"
    assert '"subject": "Sch\\u00f6ne Lampe", ' in answer.text


def test_pages_know_their_neighbours(lumen, sign_in):
    make_tickets(lumen, 4)

    page = sign_in(lumen.agent).get("/api/tickets?status=open&page_size=2&page=2").json()

    assert page["count"] == 5
    assert len(page["results"]) == 2
    assert page["next"] == "http://testserver/api/tickets?status=open&page_size=2&page=3"
    assert page["previous"] == "http://testserver/api/tickets?status=open&page_size=2&page=1"


def test_pages_together_hold_every_ticket_once_with_the_latest_change_first(lumen, sign_in):
    make_tickets(lumen, 4)
    lumen.ticket.touch()
    client = sign_in(lumen.agent)

    pages = [client.get(f"/api/tickets?page_size=2&page={n}") for n in (1, 2, 3)]

    assert [subject for page in pages for subject in subjects(page)] == [
        "A lamp for Lumen Lighting",
        "Number 3",
        "Number 2",
        "Number 1",
        "Number 0",
    ]


@pytest.mark.parametrize("page", ["3", "99999999999999999999"])
def test_a_page_after_the_last_one_is_not_found(lumen, sign_in, page):
    answer = sign_in(lumen.agent).get(f"/api/tickets?page={page}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("page=x", "page", "Enter a whole number."),
        ("page=0", "page", "Ensure this value is greater than or equal to 1."),
        ("page_size=101", "page_size", "Ensure this value is less than or equal to 100."),
        ("status=new", "status", "Select a valid choice. new is not one of the available choices."),
        ("assignee=0", "assignee", "Select a valid choice. 0 is not one of the available choices."),
        ("q=%00", "q", "Null characters are not allowed."),
    ],
)
def test_a_wrong_query_is_told_field_by_field(lumen, sign_in, query, field, message):
    answer = sign_in(lumen.agent).get(f"/api/tickets?{query}")

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Invalid input.", "code": "invalid", "errors": {field: [message]}}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=solved", ["solved"]),
        ("priority=urgent", ["urgent"]),
        ("category=billing", ["billing"]),
        ("category=none&status=solved", ["solved"]),
        ("assignee=me", ["mine"]),
        ("assignee={agent}", ["mine"]),
        ("assignee=none&priority=urgent", ["urgent"]),
        ("q=chandelier", ["urgent"]),
        ("q=OSKAR", ["billing"]),
        ("q=%23{solved}", ["solved"]),
        ("q=99999999999999999999999", []),
        ("status=solved&priority=urgent", []),
    ],
)
def test_filters_narrow_the_list(lumen, sign_in, query, expected):
    oskar = Customer.objects.create(organisation=lumen.organisation, name="Oskar Lund", email="oskar@example.com")
    common = {"organisation": lumen.organisation, "customer": lumen.customer, "body": "Text"}
    solved = Ticket.objects.create(**common, subject="solved", status="solved")
    Ticket.objects.create(**common | {"body": "The chandelier burns"}, subject="urgent", priority="urgent")
    Ticket.objects.create(**common | {"customer": oskar}, subject="billing", category="billing")
    Ticket.objects.create(**common, subject="mine", assignee=lumen.agent)

    answer = sign_in(lumen.agent).get("/api/tickets?" + query.format(agent=lumen.agent.pk, solved=solved.pk))

    assert subjects(answer) == expected


def test_a_new_ticket_belongs_to_the_callers_organisation_and_takes_the_defaults(lumen, sign_in):
    sent = {"subject": " Broken ", "body": "In two", "customer": lumen.customer.pk, "organisation": 99, "colour": 1}

    answer = sign_in(lumen.agent).post("/api/tickets", sent, content_type="application/json")

    made = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/tickets/{made['id']}"
    assert (made["organisation"], made["subject"]) == ("lumen", "Broken")
    assert (made["status"], made["priority"], made["category"]) == ("open", "normal", "")


def test_a_new_ticket_without_anything_names_every_missing_field(lumen, sign_in):
    answer = sign_in(lumen.agent).generic("POST", "/api/tickets")

    required = ["This field is required."]
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"subject": required, "body": required, "customer": required}


def test_a_change_keeps_what_it_does_not_name(lumen, sign_in):
    sent = {"status": "pending", "assignee": lumen.lead.pk}

    answer = sign_in(lumen.agent).patch(f"/api/tickets/{lumen.ticket.pk}", sent, content_type="application/json")

    changed = answer.json()
    assert answer.status_code == 200
    assert (changed["status"], changed["assignee"]["username"]) == ("pending", "lumen-lead")
    assert changed["subject"] == "A lamp for Lumen Lighting"


def test_a_change_leaves_what_a_colleague_changed_meanwhile(lumen):
    mine, theirs = Ticket.objects.get(), Ticket.objects.get()
    for ticket, change in ((theirs, {"status": "pending"}), (mine, {"priority": "high"})):
        form = TicketForm({**model_to_dict(ticket), **change}, instance=ticket)
        assert form.is_valid()
        form.save()

    changed = Ticket.objects.get()
    assert (changed.status, changed.priority) == ("pending", "high")


def test_null_takes_the_assignee_away(lumen, sign_in):
    Ticket.objects.update(assignee=lumen.agent)

    answer = sign_in(lumen.agent).patch(
        f"/api/tickets/{lumen.ticket.pk}", {"assignee": None}, content_type="application/json"
    )

    assert answer.json()["assignee"] is None


def test_an_agent_who_left_stays_on_old_tickets_but_gets_no_new_one(lumen, sign_in):
    url = f"/api/tickets/{lumen.ticket.pk}"
    lumen.agent.is_active = False
    lumen.agent.save()

    new = sign_in(lumen.lead).patch(url, {"assignee": lumen.agent.pk}, content_type="application/json")
    Ticket.objects.update(assignee=lumen.agent)
    old = sign_in(lumen.lead).patch(url, {"status": "solved"}, content_type="application/json")

    assert new.status_code == 400
    assert old.json()["assignee"]["id"] == lumen.agent.pk


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"subject": ""}, {"subject": ["This field is required."]}),
        ({"subject": None}, {"subject": ["This field is required."]}),
        ({"subject": ["a"]}, {"subject": ["Enter a valid value."]}),
        ({"subject": True}, {"subject": ["Enter a valid value."]}),
        ({"status": "new"}, {"status": ["Select a valid choice. new is not one of the available choices."]}),
        ({"status": None}, {"status": ["This field is required."]}),
        (
            {"customer": 1.5},
            {"customer": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        (
            {"assignee": True},
            {"assignee": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        (
            {"assignee": {"id": 1}},
            {"assignee": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        (
            {"assignee": 10**30},
            {"assignee": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
    ],
)
def test_a_wrong_field_changes_nothing(lumen, sign_in, sent, errors):
    answer = sign_in(lumen.agent).patch(f"/api/tickets/{lumen.ticket.pk}", sent, content_type="application/json")

    assert answer.status_code == 400
    assert {name: answer.json()["errors"][name][-1:] for name in errors} == errors
    assert Ticket.objects.get().subject == "A lamp for Lumen Lighting"


def test_comments_come_in_the_order_they_were_written(lumen, sign_in):
    Comment.objects.create(ticket=lumen.ticket, body="Second", author=lumen.agent, internal=True)
    Comment.objects.create(ticket=lumen.ticket, body="First", created_at=timezone.now() - timezone.timedelta(days=1))

    page = sign_in(lumen.viewer).get(f"/api/tickets/{lumen.ticket.pk}/comments").json()

    assert page["count"] == 2
    assert [(found["body"], found["internal"]) for found in page["results"]] == [
        ("First", False),
        ("Second", True),
    ]
    assert [found["author"] and found["author"]["username"] for found in page["results"]] == [
        None,
        "lumen-agent",
    ]


def test_a_comment_is_the_callers_and_moves_the_ticket_up(lumen, sign_in):
    before = lumen.ticket.updated_at

    answer = sign_in(lumen.agent).post(
        f"/api/tickets/{lumen.ticket.pk}/comments",
        {"body": "Checked", "internal": True, "author": lumen.lead.pk},
        content_type="application/json",
    )

    assert answer.status_code == 201
    assert answer.json()["author"]["username"] == "lumen-agent"
    assert answer.json()["internal"] is True
    assert Ticket.objects.get().updated_at > before


def test_the_list_asks_the_database_a_fixed_number_of_questions(lumen, sign_in, django_assert_num_queries):
    make_tickets(lumen, 20, assignee=lumen.agent)
    client = sign_in(lumen.agent)

    # session, user, two for permissions, organisation, assignees of the filter, count, page
    with django_assert_num_queries(8):
        client.get("/api/tickets")


def test_a_page_of_the_list_is_taken_before_its_comments_are_counted(lumen):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads a table of a few rows as it lies.")
    page = Ticket.objects.visible_to(lumen.agent).with_people()[:25]

    plan = page.explain()

    assert "ticket_latest" in plan
    assert "TEMP B-TREE" not in plan
