"""The inbox and the ticket page, as an agent uses them."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils.html import escape

from legacy_app.assistant.models import Summary
from legacy_app.tickets.models import Comment, Ticket

STATE = {"status": "pending", "priority": "high", "category": "billing", "assignee": ""}


@pytest.mark.parametrize("url", ["/tickets/", "/tickets/1/", "/knowledge/", "/knowledge/x/", "/ask/"])
def test_strangers_are_sent_to_sign_in_and_back(db, url):
    answer = Client().get(url)

    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={url}")


def test_the_start_is_the_inbox(lumen, sign_in):
    assert sign_in(lumen.agent).get("/")["Location"] == "/tickets/"


def test_who_comes_to_the_start_and_is_nobody_yet_signs_in(db):
    assert Client().get("/")["Location"] == "/login/"


def test_signing_in_leads_support_staff_of_the_product_to_the_admin(admin):
    admin.set_password("a good one")
    admin.save()
    client = Client()

    answer = client.post("/login/", {"username": admin.username, "password": "a good one"}, follow=True)

    assert answer.redirect_chain == [("/", 302), ("/admin/", 302)]


def test_the_inbox_shows_a_page_of_tickets_and_the_way_to_the_next(lumen, sign_in):
    for number in range(30):
        Ticket.objects.create(
            organisation=lumen.organisation, customer=lumen.customer, subject=f"Ticket {number}", body="-"
        )
    client = sign_in(lumen.viewer)

    first, second = client.get("/tickets/?status=open"), client.get("/tickets/?status=open&page=2")

    assert "31 tickets" in first.text
    assert first.text.count('class="subject"') == 25
    assert escape("?status=open&page=2") in first.text
    assert second.text.count('class="subject"') == 6


def test_the_inbox_says_the_year_of_what_is_not_of_this_one(lumen, sign_in):
    Ticket.objects.update(updated_at=datetime(2019, 11, 17, 13, 38, tzinfo=UTC))

    assert "17 Nov 2019<" in sign_in(lumen.agent).get("/tickets/").text


@pytest.mark.parametrize("who", ["agent", "viewer"])
def test_a_ticket_that_was_not_triaged_says_so(lumen, sign_in, who):
    page = sign_in(getattr(lumen, who)).get(f"/tickets/{lumen.ticket.pk}/").text

    assert '<span class="badge" data-role="category">Not triaged</span>' in page


def test_a_filter_that_is_none_is_told_and_ignored(lumen, sign_in):
    answer = sign_in(lumen.agent).get("/tickets/?status=new")

    assert answer.status_code == 200
    assert "new is not one of the available choices" in answer.text
    assert "A lamp for Lumen" in answer.text


def test_the_ticket_page_shows_the_conversation_and_the_last_summary(lumen, sign_in):
    Comment.objects.create(ticket=lumen.ticket, body="Only <b>for</b> us", author=lumen.lead, internal=True)
    for text in ("The first summary", "The last summary"):
        Summary.objects.create(
            ticket=lumen.ticket,
            created_by=lumen.agent,
            text=text,
            model="helpdesk-small",
            prompt_tokens=1,
            completion_tokens=1,
        )

    page = sign_in(lumen.agent).get(f"/tickets/{lumen.ticket.pk}/").text

    assert "It does not light up." in page
    assert "Only &lt;b&gt;for&lt;/b&gt; us" in page
    assert "Internal note" in page
    assert "The last summary" in page
    assert "The first summary" not in page


@pytest.mark.parametrize(("who", "actions"), [("agent", {"summarise", "draft", "triage", "stop"}), ("viewer", set())])
def test_the_page_offers_only_what_the_caller_may_do(lumen, sign_in, who, actions):
    page = sign_in(getattr(lumen, who)).get(f"/tickets/{lumen.ticket.pk}/").text

    assert {name for name in ("summarise", "draft", "triage", "stop") if f'data-action="{name}"' in page} == actions
    assert ('data-role="draft"' in page) is bool(actions)
    assert ("Save changes" in page) is bool(actions)


def test_an_agent_replies_and_comes_back_to_the_reply(lumen, sign_in):
    answer = sign_in(lumen.agent).post(
        f"/tickets/{lumen.ticket.pk}/comments/", {"body": "On its way", "internal": "on"}
    )

    made = Comment.objects.get()
    assert answer["Location"] == f"/tickets/{lumen.ticket.pk}/#comment-{made.pk}"
    assert (made.body, made.internal, made.author) == ("On its way", True, lumen.agent)


def test_an_empty_reply_is_told_beside_the_box(lumen, sign_in):
    answer = sign_in(lumen.agent).post(f"/tickets/{lumen.ticket.pk}/comments/", {"body": " "})

    assert answer.status_code == 400
    assert 'id="id_body_error">This field is required.' in answer.text
    assert not Comment.objects.exists()


def test_an_agent_changes_the_state(lumen, sign_in):
    sign_in(lumen.agent).post(f"/tickets/{lumen.ticket.pk}/state/", STATE | {"assignee": lumen.lead.pk})

    changed = Ticket.objects.get()
    assert (changed.status, changed.priority, changed.category) == ("pending", "high", "billing")
    assert changed.assignee == lumen.lead


@pytest.mark.parametrize("page", ["comments", "state"])
def test_a_viewer_may_only_look(lumen, sign_in, page):
    answer = sign_in(lumen.viewer).post(f"/tickets/{lumen.ticket.pk}/{page}/", STATE | {"body": "Hello"})

    assert answer.status_code == 403
    assert not Comment.objects.exists()
    assert Ticket.objects.get().status == "open"


def test_somebody_signs_in_with_the_form_and_out_again(lumen):
    lumen.agent.set_password("a good one")
    lumen.agent.save()
    client = Client()

    wrong = client.post("/login/", {"username": "lumen-agent", "password": "a bad one"})
    right = client.post("/login/", {"username": "lumen-agent", "password": "a good one", "next": "/ask/"})
    inside = client.get("/ask/")
    client.post("/logout/")

    assert "Please enter a correct username and password" in wrong.text
    assert right["Location"] == "/ask/"
    assert inside.status_code == 200
    assert client.get("/ask/").status_code == 302


def test_signing_in_never_leads_to_another_site(lumen):
    lumen.agent.set_password("a good one")
    lumen.agent.save()

    answer = Client().post(
        "/login/", {"username": "lumen-agent", "password": "a good one", "next": "https://evil.example/"}
    )

    assert answer["Location"] == "/"


@pytest.mark.parametrize("file", ["helpdesk.css", "assistant.js", "icon.svg"])
def test_static_files_are_served_without_a_step_before(db, file):
    answer = Client().get(f"/static/helpdesk/{file}")

    assert answer.status_code == 200
    assert b"".join(answer.streaming_content)
