"""The search index: which articles of an organisation come nearest to what an embedding means.

pgvector compares on PostgreSQL, Python does on SQLite; both are exact and give the same answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, mul

from django.db import connection
from pgvector import Vector

from legacy_app import telemetry
from legacy_app.accounts.models import Organisation
from legacy_app.knowledge.models import Passage

SCORE_PLACES = 4


@dataclass(frozen=True)
class Hit:
    """An article by its nearest passage; `score` is the cosine of the angle between the meanings, at most 1."""

    slug: str
    title: str
    passage: str
    score: float


def nearest(organisation: Organisation, embedding: Sequence[float], limit: int) -> list[Hit]:
    """The best hits first, one per published article; equal scores in the order of the slugs."""
    find = _by_postgresql if connection.vendor == "postgresql" else _by_python
    attributes = {"db.system.name": connection.vendor, "db.collection.name": Passage._meta.db_table}
    with telemetry.span("search knowledge_passage", attributes) as span:
        hits = find(organisation, embedding, limit)
        span.set_attribute("db.response.returned_rows", len(hits))
    return hits


# A vector without direction has no angle: pgvector calls it NaN, which would come first.
NEAREST = """
SELECT slug, title, text, score
FROM (
    SELECT DISTINCT ON (article.id) article.slug, article.title, passage.text,
           round(COALESCE(NULLIF(1 - (passage.embedding <=> %(embedding)s::vector), 'NaN'), 0)::numeric, 4) AS score
    FROM knowledge_passage AS passage
    JOIN knowledge_article AS article ON article.id = passage.article_id
    WHERE article.organisation_id = %(organisation)s AND article.published
    ORDER BY article.id, score DESC, passage.position
) AS best
ORDER BY score DESC, slug COLLATE "C"
LIMIT %(limit)s
"""


def _by_postgresql(organisation, embedding, limit):
    asked = {"embedding": Vector(list(embedding)).to_text(), "organisation": organisation.pk, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(NEAREST, asked)
        return [Hit(slug, title, text, float(score)) for slug, title, text, score in cursor]


def _by_python(organisation, embedding, limit):
    passages = Passage.objects.filter(article__organisation=organisation, article__published=True).select_related(
        "article"
    )
    best: dict[int, Hit] = {}
    for passage in passages.order_by("article_id", "position"):
        score = round(cosine(embedding, passage.embedding), SCORE_PLACES)
        known = best.get(passage.article_id)
        if known is None or score > known.score:
            best[passage.article_id] = Hit(passage.article.slug, passage.article.title, passage.text, score)
    by_slug = sorted(best.values(), key=attrgetter("slug"))
    return sorted(by_slug, key=attrgetter("score"), reverse=True)[:limit]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(mul, one, other)) / lengths if lengths else 0.0
