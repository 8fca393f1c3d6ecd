"""The knowledge base is searched by meaning, and answers cite what they rest on."""

import json

import httpx
import pytest

from legacy_app.assistant.errors import Failed
from legacy_app.assistant.models import Call
from legacy_app.assistant.sse import events
from legacy_app.assistant.tests.conftest import END, WELL, body_sent, chunk, meaning, streamed
from legacy_app.knowledge.models import Article, Passage

pytestmark = pytest.mark.django_db


def article(organisation, slug, text, **fields):
    made = Article.objects.create(organisation=organisation, slug=slug, title=slug.title(), body=text, **fields)
    Passage.objects.create(article=made, position=0, text=text, embedding=meaning(text))
    return made


@pytest.fixture
def articles(lumen, parcelo):
    article(lumen.organisation, "zinc", "lamps of zinc")
    article(lumen.organisation, "bulbs", "lamps need bulbs")
    article(lumen.organisation, "draft", "lamps to come", published=False)
    article(lumen.organisation, "refunds", "refunds take a week")
    article(parcelo.organisation, "secret", "lamps are fragile")


@pytest.fixture
def client(articles, lumen, sign_in, provider):
    provider["chat"].mock(return_value=streamed(*WELL))
    return sign_in(lumen.agent)


def ask(client, question="lamps?"):
    return client.post("/api/ask", {"question": question}, content_type="application/json")


def read(response):
    return [(event.name, json.loads(event.data)) for event in events(response.streaming_content)]


def test_the_nearest_articles_of_the_callers_organisation_are_found(client):
    response = client.get("/api/search?q=lamps")

    assert response.json() == {
        "query": "lamps",
        "results": [
            {
                "slug": slug,
                "title": slug.title(),
                "url": f"/knowledge/{slug}/",
                "excerpt": excerpt,
                "score": score,
            }
            for slug, excerpt, score in [
                ("bulbs", "lamps need bulbs", 1.0),
                ("zinc", "lamps of zinc", 1.0),
                ("refunds", "refunds take a week", 0.0),
            ]
        ],
    }


def test_the_caller_says_how_many(client):
    assert len(client.get("/api/search?q=lamps&limit=1").json()["results"]) == 1


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("", {"q": ["This field is required."]}),
        ("q=%20%20", {"q": ["This field is required."]}),
        ("q=" + "x" * 501, {"q": ["Ensure this value has at most 500 characters (it has 501)."]}),
        ("q=x&limit=0", {"limit": ["Ensure this value is greater than or equal to 1."]}),
        ("q=x&limit=21", {"limit": ["Ensure this value is less than or equal to 20."]}),
        ("q=x&limit=few", {"limit": ["Enter a whole number."]}),
    ],
)
def test_wrong_parameters_are_named(client, provider, query, errors):
    response = client.get(f"/api/search?{query}")

    assert (response.status_code, response.json()["errors"]) == (400, errors)
    assert not provider.calls


def test_head_is_answered_like_get(client):
    response = client.head("/api/search?q=lamps")

    assert (response.status_code, response.content) == (200, b"")


def test_a_search_is_one_embedding_call(client, provider, lumen):
    client.get("/api/search?q=lamps")

    assert body_sent(provider["embeddings"])["input"] == ["lamps"]
    row = Call.objects.get()
    assert (row.kind, row.outcome, row.model) == ("search", "ok", "helpdesk-embed-2")
    assert (row.prompt_tokens, row.user, row.ticket) == (1, lumen.agent, None)


def test_an_answer_begins_with_its_citations(client):
    (first, cited), *rest = read(ask(client))

    assert first == "citations"
    assert cited["citations"][0] == {
        "number": 1,
        "slug": "bulbs",
        "title": "Bulbs",
        "url": "/knowledge/bulbs/",
        "score": 1.0,
    }
    assert [citation["number"] for citation in cited["citations"]] == [1, 2, 3]
    assert [name for name, _ in rest] == ["delta", "delta", "done"]


def test_the_model_sees_the_cited_passages_and_no_others(client, provider):
    read(ask(client))

    sent = body_sent(provider["chat"])
    user = sent["messages"][1]["content"]
    assert (sent["temperature"], sent["max_tokens"]) == (0.2, 600)
    assert "[1] Bulbs\nlamps need bulbs\n" in user
    assert "fragile" not in user
    assert "to come" not in user
    assert user.endswith("Question: lamps?")


def test_an_empty_knowledge_base_is_no_error(client, provider):
    Article.objects.all().delete()

    assert read(ask(client))[0] == ("citations", {"citations": []})
    assert "holds no passage" in body_sent(provider["chat"])["messages"][1]["content"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "This field is required."),
        ({"question": None}, "This field is required."),
        ({"question": "  "}, "This field is required."),
        ({"question": "x" * 2001}, "Ensure this value has at most 2000 characters (it has 2001)."),
    ],
)
def test_a_question_is_needed(client, provider, body, message):
    response = client.post("/api/ask", body, content_type="application/json")

    assert (response.status_code, response.json()["errors"]) == (400, {"question": [message]})
    assert not provider.calls


def test_both_calls_of_an_answer_are_audited(client):
    read(ask(client))

    rows = Call.objects.order_by("pk").values_list("kind", "outcome", "model")
    assert list(rows) == [("ask", "ok", "helpdesk-embed-2"), ("ask", "ok", "helpdesk-small-2")]


def test_a_completion_that_fails_at_once_is_a_status(client, provider):
    provider["chat"].mock(return_value=httpx.Response(429, headers={"Retry-After": "9"}))

    response = ask(client)

    assert (response.status_code, response["Retry-After"]) == (503, "9")
    assert [row.outcome for row in Call.objects.order_by("pk")] == ["ok", "busy"]


def test_an_answer_that_breaks_off_has_no_end(client, provider):
    provider["chat"].mock(return_value=streamed(chunk("Bulbs"), END))
    stream = events(ask(client).streaming_content)

    assert [next(stream).name for _ in range(3)] == ["citations", "delta", "error"]
    with pytest.raises(Failed):
        next(stream)
