"""Articles on pages and through the API."""

import pytest

from legacy_app.knowledge.models import Article


@pytest.fixture
def articles(lumen):
    common = {"organisation": lumen.organisation, "author": lumen.lead}
    Article.objects.create(
        **common, title="Returns", slug="returns", body="Send it <b>back</b>.\n\n- In a box\n- By post"
    )
    Article.objects.create(**common, title="Bulbs", slug="bulbs", body="Which bulb fits?")
    Article.objects.create(**common, title="Plans", slug="plans", body="Nobody knows yet.", published=False)


def titles(response):
    return [article["title"] for article in response.json()["results"]]


def test_an_article_is_written_with_the_address_of_its_page(lumen, articles, sign_in):
    found = sign_in(lumen.viewer).get("/api/articles/bulbs").json()

    assert found.pop("created_at").endswith("Z")
    assert found.pop("updated_at").endswith("Z")
    assert found == {
        "id": Article.objects.get(slug="bulbs").pk,
        "organisation": "lumen",
        "slug": "bulbs",
        "title": "Bulbs",
        "url": "/knowledge/bulbs/",
        "body": "Which bulb fits?",
        "published": True,
    }


@pytest.mark.parametrize(("who", "seen"), [("lead", ["Bulbs", "Plans", "Returns"]), ("agent", ["Bulbs", "Returns"])])
def test_drafts_are_for_those_who_may_edit_them(lumen, articles, sign_in, who, seen):
    client = sign_in(getattr(lumen, who))

    assert titles(client.get("/api/articles")) == seen
    assert client.get("/api/articles/plans").status_code == (200 if who == "lead" else 404)
    assert client.get("/knowledge/plans/").status_code == (200 if who == "lead" else 404)
    assert ("Plans" in client.get("/knowledge/").text) is (who == "lead")


def test_words_are_looked_for_in_titles_and_texts(lumen, articles, sign_in):
    client = sign_in(lumen.agent)

    assert titles(client.get("/api/articles?q=FITS")) == ["Bulbs"]
    assert titles(client.get("/api/articles?q=returns")) == ["Returns"]
    assert "No article was found" in client.get("/knowledge/?q=nothing").text


def test_the_list_comes_in_pages(lumen, articles, sign_in):
    page = sign_in(lumen.agent).get("/api/articles?page_size=1&page=2").json()

    assert (page["count"], page["next"]) == (2, None)
    assert page["previous"].endswith("/api/articles?page_size=1&page=1")


def test_the_page_shows_paragraphs_and_lists_and_no_html_of_the_author(lumen, articles, sign_in):
    page = sign_in(lumen.viewer).get("/knowledge/returns/").text

    assert "<p>Send it &lt;b&gt;back&lt;/b&gt;.</p>" in page
    assert "<ul><li>In a box</li><li>By post</li></ul>" in page


@pytest.mark.parametrize(("who", "status"), [("agent", 200), ("viewer", 403)])
def test_the_ask_page_is_for_those_who_may_use_the_assistant(lumen, sign_in, who, status):
    answer = sign_in(getattr(lumen, who)).get("/ask/")

    assert answer.status_code == status


def test_only_those_who_may_edit_are_offered_it(lumen, articles, sign_in):
    lumen.lead.is_staff = True
    lumen.lead.save()

    assert "Edit</a>" in sign_in(lumen.lead).get("/knowledge/bulbs/").text
    assert "Edit</a>" not in sign_in(lumen.agent).get("/knowledge/bulbs/").text
