"""The endpoints over the knowledge base: find what it says, answer from it, and rebuild its index."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request

from . import chats, documents, jobs, prompts, tables
from .answers import JsonAnswer
from .calls import Call, audited
from .documents import AskForm, JobAnswer, SearchAnswer, SearchForm
from .forms import filled, filled_by_query, json_object
from .identity import Caller
from .index import Hit, nearest
from .paths import DIGITS
from .prompts import Source
from .service import AssistantUser, Service, caller_with, service_of
from .sse import written
from .streams import EventStream, guarded, unless_caller_leaves
from .tickets import organisation_name

ASK_TEMPERATURE = 0.2
ASK_TOKENS = 600
SOURCES = 5  # of an answer

Reader = Annotated[Caller, caller_with("knowledge.view_article")]
Librarian = Annotated[Caller, caller_with("knowledge.reindex")]

router = APIRouter(default_response_class=JsonAnswer)


@router.get(
    "/api/search",
    response_model=SearchAnswer,
    openapi_extra=documents.query(SearchForm),
    responses=documents.problems(400, 401, 403, 502, 503, 504),
)
@router.api_route("/api/search", methods=["GET", "HEAD"], include_in_schema=False)  # answers; the one above describes
async def search(request: Request, caller: Reader) -> JsonAnswer:
    """The articles that come nearest to what the query means, the best first."""
    service, form = service_of(request), filled_by_query(SearchForm, request)
    work = _found("search", service, caller, form.q, form.limit, service.provider.deadline())
    hits = await unless_caller_leaves(request.receive, work)
    return JsonAnswer({"query": form.q, "results": [_result(hit) for hit in hits]})


@router.post(
    "/api/ask",
    status_code=200,
    response_class=EventStream,
    openapi_extra=documents.body(AskForm),
    responses=documents.event_stream("citations", "delta", "done", "error")
    | documents.problems(400, 401, 403, 429, 502, 503, 504),
)
async def ask(request: Request, caller: AssistantUser) -> EventStream:
    """Answer a question from the knowledge base, token by token, behind the passages that the answer rests on."""
    service, form = service_of(request), await filled(AskForm, request)
    await service.allowance.check(caller)
    return await guarded(request, _answered(service, caller, form.question))


@router.post(
    "/api/articles/reindex",
    status_code=202,
    response_model=JobAnswer,
    responses=documents.problems(400, 401, 403),
)
async def reindex(request: Request, caller: Librarian) -> JsonAnswer:
    """Have the search index of the caller's organisation rebuilt; the answer says where to look how far it is."""
    await json_object(request)
    job = await jobs.queue(service_of(request).database, caller)
    return JsonAnswer(job.as_json(), 202, {"Location": f"/api/articles/reindex/{job.id}"})


@router.get(
    f"/api/articles/reindex/{{job_id:{DIGITS}}}",
    response_model=JobAnswer,
    responses=documents.problems(401, 403, 404),
)
@router.api_route(f"/api/articles/reindex/{{job_id:{DIGITS}}}", methods=["GET", "HEAD"], include_in_schema=False)
async def reindex_status(request: Request, job_id: int, caller: Librarian) -> JsonAnswer:
    """How far a rebuild is."""
    job = await jobs.job_of(service_of(request).database, job_id, caller.organisation)
    return JsonAnswer(job.as_json())


async def _found(kind: str, service: Service, caller: Caller, query: str, limit: int, until: float) -> list[Hit]:
    call = Call(kind, caller, None, service.provider.models.embedding)
    async with audited(service.database, call):
        embeddings = await service.provider.embed([query], until)
        call.ended(embeddings)
    searched = {"db.system.name": service.database.dialect, "db.collection.name": tables.passage.name}
    with service.telemetry.span("search knowledge_passage", searched) as span:
        hits = await nearest(service.database, caller.organisation, embeddings.vectors[0], limit)
        span.set_attribute("db.response.returned_rows", len(hits))
    return hits


async def _answered(service: Service, caller: Caller, question: str) -> AsyncGenerator[bytes]:
    """Embed, search, and only then ask the model; all three share one deadline."""
    until = service.provider.deadline()
    hits = await _found("ask", service, caller, question, SOURCES, until)
    organisation = await organisation_name(service.database, caller.organisation)
    sources = [Source(number, hit.title, hit.passage) for number, hit in enumerate(hits, start=1)]
    body = chats.asked(
        service, prompts.ask(organisation, question, sources), temperature=ASK_TEMPERATURE, max_tokens=ASK_TOKENS
    )
    heading = written("citations", {"citations": [_citation(hit, number) for number, hit in enumerate(hits, start=1)]})
    call = chats.call("ask", service, caller)
    async with aclosing(chats.streamed(service, call, body, until=until, heading=heading)) as events:
        async for event in events:
            yield event


def _result(hit: Hit) -> dict[str, Any]:
    return {"slug": hit.slug, "title": hit.title, "url": hit.url, "excerpt": hit.passage, "score": hit.score}


def _citation(hit: Hit, number: int) -> dict[str, Any]:
    return {"number": number, "slug": hit.slug, "title": hit.title, "url": hit.url, "score": hit.score}
