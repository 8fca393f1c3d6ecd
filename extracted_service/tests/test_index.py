"""The search index by itself: exact, one hit per article, in a settled order."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from random import Random

import anyio.to_thread
import pytest

from extracted_service.database import Database, open_database
from extracted_service.index import cosine, nearest
from extracted_service.settings import Settings

from .articles import DIMENSIONS, NEAREST_TO_THE_FIRST_AXIS, article_rows, towards

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(database_file: Path, jwks_file: Path) -> AsyncIterator[Database]:
    settings = Settings(database_url=f"sqlite:///{database_file}", identity_jwks_file=jwks_file)
    async with open_database(settings) as opened:
        yield opened


@pytest.fixture
def add_rows(database_file: Path) -> Callable[[str], object]:
    def added(statements: str) -> None:
        with closing(sqlite3.connect(database_file)) as connection:
            connection.executescript(statements)

    return added


async def test_an_article_is_found_once_by_its_nearest_passage(database: Database) -> None:
    hits = await nearest(database, 1, towards(7), 20)

    assert [(hit.slug, hit.score) for hit in hits] == NEAREST_TO_THE_FIRST_AXIS
    assert [hit.passage for hit in hits[:2]] == ["bulbs <0>", "zinc <1>"]
    assert (hits[0].title, hits[0].url) == ("Bulbs", "/knowledge/bulbs/")


async def test_no_more_are_found_than_asked_for(database: Database) -> None:
    assert [hit.slug for hit in await nearest(database, 1, towards(1), 1)] == ["bulbs"]


async def test_a_vector_without_direction_is_like_nothing(database: Database) -> None:
    hits = await nearest(database, 1, towards(0), 20)

    assert [(hit.slug, hit.score) for hit in hits] == [
        (slug, 0.0) for slug in ("bulbs", "empty", "near", "opposite", "zinc")
    ]


async def test_the_index_agrees_with_plain_arithmetic_on_two_hundred_passages(
    database: Database, add_rows: Callable[[str], object]
) -> None:
    random = Random(7)
    vectors = {f"a{n:03}": [random.gauss(0, 1) for _ in range(DIMENSIONS)] for n in range(200)}
    asked = [random.gauss(0, 1) for _ in range(DIMENSIONS)]
    rows = "".join(article_rows(100 + key, 2, slug, vectors[slug]) for key, slug in enumerate(vectors))
    await anyio.to_thread.run_sync(add_rows, rows)

    hits = await nearest(database, 2, asked, 20)

    vectors["theirs"] = towards(1)
    expected = sorted((-round(cosine(asked, vector), 4), slug) for slug, vector in vectors.items())[:20]
    assert [hit.slug for hit in hits] == [slug for _, slug in expected]
    assert [-hit.score for hit in hits] == pytest.approx([score for score, _ in expected], abs=1e-4)
