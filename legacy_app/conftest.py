"""Two organisations and the people in them, for every test of the monolith."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from legacy_app.accounts.groups import make_groups
from legacy_app.accounts.models import Organisation, User
from legacy_app.tickets.models import Customer, Ticket


@pytest.fixture(autouse=True)
def _fast_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def lumen(db):
    return organisation("lumen", "Lumen Lighting")


@pytest.fixture
def parcelo(db):
    return organisation("parcelo", "Parcelo")


@pytest.fixture
def admin(db):
    """Support staff of the product itself: may do everything, belongs to no organisation."""
    return User.objects.create_superuser("root")


@pytest.fixture
def sign_in():
    """`sign_in(user)` is a client with that user's session; CSRF is checked when asked for."""

    def signed_in(user, *, enforce_csrf_checks=False):
        client = Client(enforce_csrf_checks=enforce_csrf_checks)
        client.force_login(user)
        return client

    return signed_in


def organisation(slug, name):
    """One organisation with a lead, an agent, a viewer, a customer and a ticket."""
    made = Organisation.objects.create(slug=slug, name=name)
    groups = make_groups()
    people = {
        role: user(made, f"{slug}-{role}", groups[f"{role.capitalize()}s"]) for role in ("lead", "agent", "viewer")
    }
    customer = Customer.objects.create(organisation=made, name="Ida Holm", email="ida@example.com")
    ticket = Ticket.objects.create(
        organisation=made, customer=customer, subject=f"A lamp for {name}", body="It does not light up."
    )
    return SimpleNamespace(organisation=made, customer=customer, ticket=ticket, **people)


def user(organisation, username, *groups: Group, **fields):
    made = User.objects.create_user(
        username,
        first_name=username.split("-")[-1].title(),
        organisation=organisation,
        **fields,
    )
    made.groups.set(groups)
    return made
