"""The search index: which articles of an organisation come nearest to what an embedding means.

pgvector compares on PostgreSQL, Python does on SQLite; both are exact, and give what the monolith's index gives.
"""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, mul
from typing import Any

from pgvector import Vector
from sqlalchemy import select, text

from . import tables
from .database import Database

SCORE_PLACES = 4

Found = Any  # a row, whose columns are attributes


@dataclass(frozen=True)
class Hit:
    """An article by its nearest passage; `score` is the cosine of the angle between the meanings, at most 1."""

    slug: str
    title: str
    passage: str
    score: float

    @property
    def url(self) -> str:
        """The article's page."""
        return f"/knowledge/{self.slug}/"


async def nearest(database: Database, organisation_id: int, embedding: Sequence[float], limit: int) -> list[Hit]:
    """The best hits first, one per published article; equal scores in the order of the slugs."""
    find = _by_postgresql if database.dialect == "postgresql" else _by_python
    return await find(database, organisation_id, embedding, limit)


# A vector without direction has no angle: pgvector calls it NaN, which would come first.
NEAREST = text("""
SELECT slug, title, text, score
FROM (
    SELECT DISTINCT ON (article.id) article.slug, article.title, passage.text,
           round(COALESCE(NULLIF(1 - (passage.embedding <=> CAST(:embedding AS vector)), 'NaN'), 0)::numeric, 4)
               AS score
    FROM knowledge_passage AS passage
    JOIN knowledge_article AS article ON article.id = passage.article_id
    WHERE article.organisation_id = :organisation AND article.published
    ORDER BY article.id, score DESC, passage.position
) AS best
ORDER BY score DESC, slug COLLATE "C"
LIMIT :limit
""")


async def _by_postgresql(database: Database, organisation_id: int, embedding: Sequence[float], limit: int) -> list[Hit]:
    asked = {"embedding": Vector(list(embedding)).to_text(), "organisation": organisation_id, "limit": limit}
    found = await database.read(lambda connection: connection.execute(NEAREST, asked).all())
    return [Hit(slug, title, passage, float(score)) for slug, title, passage, score in found]


async def _by_python(database: Database, organisation_id: int, embedding: Sequence[float], limit: int) -> list[Hit]:
    article, passage = tables.article, tables.passage
    query = (
        select(passage.c.article_id, article.c.slug, article.c.title, passage.c.text, passage.c.embedding)
        .join_from(passage, article, article.c.id == passage.c.article_id)
        .where(article.c.organisation_id == organisation_id, article.c.published)
        .order_by(passage.c.article_id, passage.c.position)
    )
    passages = await database.read(lambda connection: connection.execute(query).all())
    # In a thread: some milliseconds of arithmetic would stop every stream of the process.
    return await asyncio.to_thread(_best, passages, embedding, limit)


def _best(passages: Sequence[Found], embedding: Sequence[float], limit: int) -> list[Hit]:
    best: dict[int, Hit] = {}
    for passage in passages:
        score = round(cosine(embedding, json.loads(passage.embedding)), SCORE_PLACES)
        known = best.get(passage.article_id)
        if known is None or score > known.score:
            best[passage.article_id] = Hit(passage.slug, passage.title, passage.text, score)
    by_slug = sorted(best.values(), key=attrgetter("slug"))
    return sorted(by_slug, key=attrgetter("score"), reverse=True)[:limit]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(mul, one, other)) / lengths if lengths else 0.0
