"""A small knowledge base whose vectors are easy to reckon with, for both databases."""

DIMENSIONS = 256


def towards(*numbers: float) -> list[float]:
    return [*numbers, *[0.0] * (DIMENSIONS - len(numbers))]


def article_rows(key: int, organisation: int, slug: str, *embeddings: list[float], published: bool = True) -> str:
    """SQL for an article, called by its slug, and for its passages."""
    title, at = slug.title(), "2026-01-01 08:00:00"
    rows = [
        "INSERT INTO knowledge_article (id, organisation_id, slug, title, body, published, created_at, updated_at) "  # noqa: ISC004, S608
        f"VALUES ({key}, {organisation}, '{slug}', '{title}', '-', {str(published).upper()}, '{at}', '{at}');"
    ]
    for position, embedding in enumerate(embeddings):
        text = "[" + ",".join(str(number) for number in embedding) + "]"
        rows.append(
            "INSERT INTO knowledge_passage (article_id, position, text, embedding) "  # noqa: S608
            f"VALUES ({key}, {position}, '{slug} <{position}>', '{text}');"
        )
    return "\n".join(rows)


ARTICLES = "\n".join(
    [
        article_rows(1, 1, "zinc", towards(0, 1), towards(1, 0)),
        article_rows(2, 1, "bulbs", towards(5)),
        article_rows(3, 1, "near", towards(3, 4)),
        article_rows(4, 1, "opposite", towards(-1)),
        article_rows(5, 1, "empty", towards(0)),
        article_rows(6, 1, "draft", towards(1), published=False),
        article_rows(7, 1, "unread"),
        article_rows(8, 2, "theirs", towards(1)),
    ]
)
NEAREST_TO_THE_FIRST_AXIS = [("bulbs", 1.0), ("zinc", 1.0), ("near", 0.6), ("empty", 0.0), ("opposite", -1.0)]
