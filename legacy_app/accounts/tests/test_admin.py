"""The admin shows the staff of an organisation only what belongs to it."""

import pytest
from django.contrib.auth.models import Permission

from legacy_app.accounts.models import User
from legacy_app.knowledge.models import Article
from legacy_app.tickets.models import Customer, Ticket

LISTS = [
    "accounts/organisation",
    "accounts/user",
    "tickets/customer",
    "tickets/ticket",
    "knowledge/article",
    "assistant/summary",
    "assistant/call",
    "assistant/job",
]


@pytest.fixture
def boss(lumen):
    """Somebody of Lumen with every permission there is, short of being the product's own staff."""
    lumen.lead.is_staff = True
    lumen.lead.save()
    lumen.lead.user_permissions.set(Permission.objects.all())
    return lumen.lead


@pytest.fixture
def theirs(parcelo):
    parcelo.article = Article.objects.create(
        organisation=parcelo.organisation, title="Parcelo inside", slug="inside", body="Secret"
    )
    return parcelo


@pytest.mark.parametrize("model", LISTS)
def test_a_list_holds_only_the_organisations_own(boss, theirs, sign_in, model):
    answer = sign_in(boss).get(f"/admin/{model}/")

    assert answer.status_code == 200
    assert "parcelo" not in answer.text.lower()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("accounts/organisation", "organisation"),
        ("accounts/user", "agent"),
        ("tickets/customer", "customer"),
        ("tickets/ticket", "ticket"),
        ("knowledge/article", "article"),
    ],
)
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_what_is_theirs_cannot_be_opened(boss, theirs, sign_in, model, name, page):
    answer = sign_in(boss).get(f"/admin/{model}/{getattr(theirs, name).pk}/{page}/")

    assert answer.status_code == 302  # "… doesn't exist. Perhaps it was deleted?"
    assert answer["Location"] == "/admin/"


@pytest.mark.parametrize("page", ["tickets/ticket/add", "tickets/customer/add", "knowledge/article/add"])
def test_a_form_offers_only_the_organisations_own(boss, theirs, sign_in, page):
    answer = sign_in(boss).get(f"/admin/{page}/")

    assert answer.status_code == 200
    assert "Lumen Lighting" in answer.text
    assert "parcelo" not in answer.text.lower()


def test_nothing_can_be_given_to_another_organisation(boss, theirs, sign_in):
    sent = {"organisation": theirs.organisation.pk, "name": "Eve", "email": "eve@example.com"}

    sign_in(boss).post("/admin/tickets/customer/add/", sent | {"created_at_0": "2026-01-05", "created_at_1": "09:30"})

    assert not Customer.objects.filter(name="Eve").exists()


def test_a_new_row_is_the_organisations_own(boss, sign_in):
    sent = {"organisation": boss.organisation_id, "name": "Eve", "email": "eve@example.com"}

    sign_in(boss).post("/admin/tickets/customer/add/", sent | {"created_at_0": "2026-01-05", "created_at_1": "09:30"})

    assert Customer.objects.get(name="Eve").organisation == boss.organisation


def test_nobody_raises_their_own_rights(boss, sign_in):
    page = sign_in(boss).get(f"/admin/accounts/user/{boss.pk}/change/").text

    for field in ("is_superuser", "is_staff", "groups", "user_permissions", "organisation"):
        assert f'name="{field}"' not in page


def test_rights_that_are_sent_all_the_same_are_ignored(boss, lumen, sign_in):
    sent = {"username": "lumen-agent", "email": "", "is_active": "on", "is_superuser": "on", "is_staff": "on"}

    sign_in(boss).post(f"/admin/accounts/user/{lumen.agent.pk}/change/", sent)

    lumen.agent.refresh_from_db()
    assert (lumen.agent.is_superuser, lumen.agent.is_staff) == (False, False)


def test_an_account_of_the_products_staff_cannot_be_taken_over(boss, sign_in):
    chief = User.objects.create_superuser("chief", organisation=boss.organisation)

    answers = [sign_in(boss).get(f"/admin/accounts/user/{chief.pk}/{page}/") for page in ("change", "password")]

    assert [answer.status_code for answer in answers] == [302, 404]


def test_a_colleague_who_is_added_joins_the_own_organisation(boss, theirs, sign_in):
    sent = {
        "username": "newcomer",
        "usable_password": "true",
        "password1": "a very good one",
        "password2": "a very good one",
        "organisation": boss.organisation_id,
    }

    sign_in(boss).post("/admin/accounts/user/add/", sent)

    assert User.objects.get(username="newcomer").organisation == boss.organisation


def test_support_staff_see_every_organisation(theirs, lumen, admin, sign_in):
    page = sign_in(admin).get("/admin/tickets/ticket/").text

    assert "A lamp for Parcelo" in page
    assert "A lamp for Lumen Lighting" in page


def test_support_staff_cannot_mix_organisations_either(theirs, lumen, admin, sign_in):
    sent = {
        "organisation": lumen.organisation.pk,
        "customer": theirs.customer.pk,
        "assignee": theirs.agent.pk,
        "subject": "Mixed",
        "body": "-",
        "status": "open",
        "priority": "normal",
        "created_at_0": "2026-01-05",
        "created_at_1": "09:30",
        "comments-TOTAL_FORMS": 0,
        "comments-INITIAL_FORMS": 0,
    }

    answer = sign_in(admin).post("/admin/tickets/ticket/add/", sent)

    assert "This customer belongs to another organisation." in answer.text
    assert not Ticket.objects.filter(subject="Mixed").exists()


@pytest.mark.parametrize("model", ["summary", "call", "job"])
def test_what_programs_wrote_is_only_looked_at(admin, sign_in, model):
    assert sign_in(admin).get(f"/admin/assistant/{model}/add/").status_code == 403
