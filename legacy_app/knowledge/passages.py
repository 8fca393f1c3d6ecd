"""Cuts an article into passages, the unit that is embedded and found."""

import re

from django.db import transaction

from legacy_app.knowledge.models import Passage

# A passage is closed as soon as it has this many words …
ENOUGH_WORDS = 80
# … and never gets longer by another paragraph than this.
MAX_WORDS = 120


def split(body):
    """Passages of some 80–120 words. A paragraph is never cut; a short rest joins the passage before it."""
    passages = []
    for paragraph in _paragraphs(body):
        if passages and _has_room(passages[-1], paragraph):
            passages[-1].append(paragraph)
        else:
            passages.append([paragraph])
    if len(passages) > 1 and _words(passages[-1]) < MAX_WORDS - ENOUGH_WORDS:
        passages[-2:] = [passages[-2] + passages[-1]]
    return ["\n\n".join(passage) for passage in passages]


def text_to_embed(article, passage):
    """The title goes along: a passage in the middle of an article seldom names what it is about."""
    return f"{article.title}\n\n{passage}"


@transaction.atomic
def store(article, texts, embeddings):
    """Replace an article's passages, all or none."""
    article.passages.all().delete()
    Passage.objects.bulk_create(
        Passage(article=article, position=position, text=text, embedding=embedding)
        for position, (text, embedding) in enumerate(zip(texts, embeddings, strict=True))
    )


def _paragraphs(body):
    return [paragraph.strip() for paragraph in re.split(r"\n[ \t]*\n", body.replace("\r\n", "\n")) if paragraph.strip()]


def _has_room(passage, paragraph):
    words = _words(passage)
    return words < ENOUGH_WORDS and words + _words([paragraph]) <= MAX_WORDS


def _words(paragraphs):
    return sum(len(paragraph.split()) for paragraph in paragraphs)
