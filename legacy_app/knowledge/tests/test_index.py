"""The search index finds what comes nearest, in one organisation, in a settled order."""

import math
from random import Random

import pytest
from django.db import connection

from legacy_app.knowledge.fields import DIMENSIONS
from legacy_app.knowledge.index import cosine, nearest
from legacy_app.knowledge.models import Article
from legacy_app.knowledge.passages import store


def towards(*numbers):
    return [float(number) for number in numbers] + [0.0] * (DIMENSIONS - len(numbers))


def article(organisation, slug, *embeddings, **fields):
    made = Article.objects.create(organisation=organisation, slug=slug, title=slug.title(), body="-", **fields)
    store(made, [f"{slug} {position}" for position in range(len(embeddings))], embeddings)
    return made


def test_the_nearest_article_comes_first_with_the_cosine_as_its_score(lumen):
    article(lumen.organisation, "far", towards(0, 1))
    article(lumen.organisation, "near", towards(3, 4))
    article(lumen.organisation, "opposite", towards(-1))

    hits = nearest(lumen.organisation, towards(2), 10)

    assert [(hit.slug, hit.score) for hit in hits] == [("near", 0.6), ("far", 0.0), ("opposite", -1.0)]


def test_an_article_is_found_once_by_its_nearest_passage(lumen):
    article(lumen.organisation, "long", towards(0, 1), towards(1), towards(1, 1))

    (hit,) = nearest(lumen.organisation, towards(1), 10)

    assert (hit.title, hit.passage, hit.score) == ("Long", "long 1", 1.0)


def test_equal_scores_come_in_the_order_of_the_slugs(lumen):
    for slug in ("b", "a-b", "a", "ab"):
        article(lumen.organisation, slug, towards(1))

    hits = nearest(lumen.organisation, towards(1), 3)

    assert [hit.slug for hit in hits] == ["a", "a-b", "ab"]


def test_drafts_and_other_organisations_are_not_found(lumen, parcelo):
    article(lumen.organisation, "draft", towards(1), published=False)
    article(parcelo.organisation, "theirs", towards(1))

    assert nearest(lumen.organisation, towards(1), 10) == []


def test_a_vector_without_direction_is_like_nothing(lumen):
    article(lumen.organisation, "empty", towards(0))
    article(lumen.organisation, "near", towards(1))

    assert [(hit.slug, hit.score) for hit in nearest(lumen.organisation, towards(1), 10)] == [
        ("near", 1.0),
        ("empty", 0.0),
    ]


def test_the_index_agrees_with_plain_arithmetic_on_two_hundred_passages(lumen):
    random = Random(7)
    vectors = {f"a{n:03}": [random.gauss(0, 1) for _ in range(DIMENSIONS)] for n in range(200)}
    for slug, vector in vectors.items():
        article(lumen.organisation, slug, vector)
    asked = [random.gauss(0, 1) for _ in range(DIMENSIONS)]

    hits = nearest(lumen.organisation, asked, 20)

    expected = sorted(((round(cosine(asked, v), 4), slug) for slug, v in vectors.items()), key=lambda p: (-p[0], p[1]))
    assert [hit.slug for hit in hits] == [slug for _, slug in expected[:20]]
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected[:20]], abs=1e-4)


def test_an_embedding_comes_back_in_single_precision(lumen):
    made = article(lumen.organisation, "a", towards(0.1, math.pi))

    embedding = made.passages.get().embedding

    assert len(embedding) == DIMENSIONS
    assert embedding[:2] == pytest.approx([0.1, math.pi], rel=1e-7)


def test_storing_again_replaces_every_passage(lumen):
    made = article(lumen.organisation, "a", towards(1), towards(2))

    store(made, ["new"], [towards(3)])

    assert [(passage.position, passage.text) for passage in made.passages.all()] == [(0, "new")]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the text form is SQLite's")
def test_sqlite_holds_an_embedding_as_readable_text(lumen):
    article(lumen.organisation, "a", towards(0.5))

    with connection.cursor() as cursor:
        cursor.execute("SELECT embedding FROM knowledge_passage")
        (text,) = cursor.fetchone()

    assert text.startswith("[0.5,0.0,")
