"""Find what the knowledge base says on a question, and answer from it with citations."""

from collections.abc import Iterator

from django.conf import settings
from django.urls import reverse

from legacy_app.assistant import prompts, provider, sse, streams
from legacy_app.assistant.calls import recorded
from legacy_app.assistant.deadline import Deadline
from legacy_app.assistant.models import Call
from legacy_app.assistant.prompts import Source
from legacy_app.knowledge.index import Hit, nearest

TEMPERATURE = 0.2
MAX_TOKENS = 600
SOURCES = 5


def search(user, query: str, *, limit: int) -> list[dict]:
    hits = _found(Call.Kind.SEARCH, user, query, limit, provider.deadline())
    return [
        {"slug": hit.slug, "title": hit.title, "url": _url(hit), "excerpt": hit.passage, "score": hit.score}
        for hit in hits
    ]


def ask(user, question: str) -> Iterator[bytes]:
    """Embedding and search happen here and now; the completion when the events are read."""
    until = provider.deadline()
    hits = _found(Call.Kind.ASK, user, question, SOURCES, until)
    sources = [Source(number, hit.title, hit.passage) for number, hit in enumerate(hits, start=1)]
    return streams.completion(
        Call.Kind.ASK,
        user,
        prompts.messages("ask", prompts.ask_context(user.organisation.name, question, sources)),
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
        until=until,
        heading=sse.frame("citations", {"citations": _citations(hits)}),
    )


def _found(kind: str, user, text: str, limit: int, until: Deadline) -> list[Hit]:
    with recorded(kind, user, model=settings.LLM_EMBEDDING_MODEL) as record:
        embeddings = provider.embed([text], until=until)
        record.keep(embeddings)
    return nearest(user.organisation, embeddings.vectors[0], limit)


def _citations(hits: list[Hit]) -> list[dict]:
    return [
        {"number": number, "slug": hit.slug, "title": hit.title, "url": _url(hit), "score": hit.score}
        for number, hit in enumerate(hits, start=1)
    ]


def _url(hit: Hit) -> str:
    return reverse("article", args=[hit.slug])
