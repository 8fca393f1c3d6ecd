"""`manage.py seed` gives every database the same content, and a second run changes nothing."""

import hashlib
import json
from itertools import groupby

import httpx
import pytest
import respx
from django.core.management import CommandError, call_command
from django.db.models import Count

from legacy_app.accounts.models import Organisation, User
from legacy_app.assistant.models import Call
from legacy_app.knowledge.models import Article, Passage
from legacy_app.seed import content, plan
from legacy_app.tickets.models import Comment, Customer, Ticket

SMALL = """
name = "Acme"
slug = "acme"
agents = [
  { username = "lea", first_name = "Lea", last_name = "Do", role = "lead" },
  { username = "ann", first_name = "Ann", last_name = "Do", role = "agent" },
  { username = "vic", first_name = "Vic", last_name = "Do", role = "viewer" },
]
customers = [{ name = "Ida", email = "ida@example.com" }, { name = "Ole", email = "ole@example.com" }]
articles = [{ slug = "returns", title = "Returns", body = "Send it back." }]
[[tickets]]
subject = "Order {order}"
body = "My {product} of order {order}"
category = "shipping"
priority = "high"
conversation = ["agent: The {product}: on its way.", "note: Order {order} was lost.", "customer: Thanks: at last."]
[[tickets]]
subject = "A question"
body = "How?"
category = "how_to"
priority = "low"
[fill]
product = ["lamp", "bulb"]
order = ["A-1", "A-2", "A-3"]
"""


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "acme.toml"
    file.write_text(SMALL, encoding="utf-8")
    return file


@pytest.fixture
def provider(settings):
    """Answers embedding requests: the same text always gets the same vector."""
    with respx.mock(base_url=settings.LLM_BASE_URL, assert_all_called=False) as mocked:
        mocked.post("/embeddings").mock(side_effect=_embeddings)
        yield mocked


def _embeddings(request):
    asked = json.loads(request.content)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, asked["dimensions"])}
        for index, text in enumerate(asked["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return httpx.Response(200, json={"object": "list", "data": data, "model": asked["model"], "usage": usage})


def _vector(text, dimensions):
    digest = hashlib.sha256(text.encode()).digest()
    return [(digest[place % 32] - 128) / 128 for place in range(dimensions)]


def everything():
    """Every row that seed writes, without what is random on purpose: salted passwords."""
    tables = [
        Organisation.objects.order_by("pk").values_list("pk", "slug", "created_at"),
        User.objects.order_by("pk").values_list("pk", "username", "organisation", "is_staff", "groups__name"),
        Customer.objects.order_by("pk").values_list("pk", "organisation", "name", "email", "created_at"),
        Ticket.objects.order_by("pk").values_list(),
        Comment.objects.order_by("pk").values_list(),
        Article.objects.order_by("pk").values_list(),
        Passage.objects.order_by("pk").values_list(),
    ]
    return [list(table) for table in tables]


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_every_run_from_the_start_gives_the_same_rows(provider, capsys):
    call_command("seed")
    first = everything()

    call_command("seed", "--fresh")

    assert everything() == first
    assert capsys.readouterr().out.splitlines()[0].startswith("3 organisations, 13 users, 312 tickets, ")


def test_a_second_run_changes_nothing_and_says_so(db, provider, capsys):
    call_command("seed")
    first, asked = everything(), provider.calls.call_count

    call_command("seed")

    assert everything() == first
    assert provider.calls.call_count == asked
    assert capsys.readouterr().out.strip().endswith("All of it was there: nothing was changed.")


def test_the_samples_are_large_and_varied_enough_to_try_everything(db, provider):
    call_command("seed")

    for organisation in Organisation.objects.annotate(people=Count("users")):
        tickets = Ticket.objects.for_organisation(organisation)
        assert organisation.people == 4
        assert tickets.count() >= 100
        assert {status for status, _ in groupby(tickets.order_by("status").values_list("status", flat=True))} == {
            "open",
            "pending",
            "solved",
            "closed",
        }
        assert tickets.filter(category="").exists()
        assert tickets.filter(assignee=None).exists()
        assert tickets.values("customer").distinct().count() > 10
        assert organisation.articles.count() >= 20
        assert not organisation.articles.filter(passages=None).exists()
    assert not Ticket.objects.filter(subject__contains="{").exists()
    assert not Call.objects.exists()


def test_everybody_signs_in_with_the_same_password_and_has_the_rights_of_the_role(db, provider, client):
    call_command("seed")

    assert client.login(username="maya", password="helpdesk")
    assert client.login(username="admin", password="helpdesk")
    by_role = {user.groups.get().name: user for user in User.objects.exclude(organisation=None)}
    assert by_role["Leads"].has_perms(["knowledge.reindex", "assistant.use_assistant", "tickets.change_ticket"])
    assert by_role["Agents"].has_perms(["assistant.use_assistant", "tickets.add_comment"])
    assert not by_role["Agents"].has_perm("knowledge.reindex")
    assert by_role["Viewers"].get_all_permissions() == {"tickets.view_ticket", "knowledge.view_article"}


def test_a_provider_that_is_away_is_told_and_nothing_is_written(db, provider):
    call_command("seed")
    before = everything()
    provider.post("/embeddings").mock(side_effect=httpx.ConnectError("Connection refused"))

    with pytest.raises(CommandError, match=r"start it .* or set LLM_BASE_URL to one that runs"):
        call_command("seed", "--fresh")

    assert everything() == before


def test_starting_over_never_deletes_what_is_no_sample(lumen, provider):
    Organisation.objects.create(slug="real", name="A real one")

    with pytest.raises(CommandError, match="also holds real, which --fresh would delete"):
        call_command("seed", "--fresh")

    assert Organisation.objects.count() == 2


def test_a_user_of_the_same_name_is_told(db, provider):
    User.objects.create_user("maya")

    with pytest.raises(CommandError, match="Somebody else is called maya already"):
        call_command("seed")

    assert not Organisation.objects.exists()


def test_a_plan_is_the_same_every_time_and_uses_each_scenario(small):
    acme = content.read(small)

    planned = plan.tickets(acme, 40)

    assert planned == plan.tickets(acme, 40)
    assert sum(ticket.subject == "A question" for ticket in planned) == 20


def test_one_ticket_tells_of_one_order_throughout(small):
    done = [ticket for ticket in plan.tickets(content.read(small), 60) if len(ticket.comments) == 3]

    assert done
    for ticket in done:
        order = ticket.subject.removeprefix("Order ")
        assert order in ("A-1", "A-2", "A-3")
        assert ticket.body.endswith(f"of order {order}")
        assert ticket.comments[1].body == f"Order {order} was lost."


def test_a_conversation_keeps_its_speakers_and_its_order_in_time(small):
    done = next(ticket for ticket in plan.tickets(content.read(small), 60) if len(ticket.comments) == 3)

    assert [(turn.author is None, turn.internal) for turn in done.comments] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    times = [done.created_at, *(turn.created_at for turn in done.comments)]
    assert times == sorted(times)
    assert times[-1] < plan.TODAY


@pytest.mark.parametrize(
    ("written", "instead", "sentence"),
    [
        ('name = "Acme"', "", "acme.toml: 'name' is missing."),
        ('role = "lead"', 'role = "boss"', "acme.toml: the role of lea is 'boss': write one of lead, agent, viewer."),
        ("note: Order", "memo: Order", "begins with one of customer, agent, note and a colon"),
        ('category = "how_to"', 'category = "chat"', "'A question' has the unknown category or priority 'chat', 'low'"),
        ("product = [", "goods = [", r"uses {product}: give \[fill\] a list called product."),
        ("[fill]", "[fill", "acme.toml: "),
    ],
)
def test_a_mistake_in_a_sample_is_told_with_its_place(small, written, instead, sentence):
    small.write_text(SMALL.replace(written, instead), encoding="utf-8")

    with pytest.raises(content.ContentError, match=sentence):
        content.read(small)
