"""The assistant's endpoints. The order is the monolith's: identity, permission, object, body; then the work."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import insert

from . import documents, prompts, tables
from .allowance import Allowance
from .answers import JsonAnswer
from .calls import Call, audited
from .completions import Completion, Finish
from .database import Database
from .documents import ReplyForm, SummaryAnswer, SummaryForm
from .forms import filled
from .identity import Caller, Verifier
from .paths import DIGITS
from .provider import Provider
from .sse import written
from .streams import EventStream, guarded, unless_caller_leaves
from .tickets import Ticket, ticket_of, user_name

SUMMARY_TEMPERATURE = 0.2
SUMMARY_TOKENS_PER_WORD = 2
REPLY_TEMPERATURE = 0.7
REPLY_TOKENS = 600

router = APIRouter(default_response_class=JsonAnswer)


@dataclass(frozen=True)
class Service:
    """What the endpoints work with, for the life of the process."""

    verifier: Verifier
    database: Database
    provider: Provider
    allowance: Allowance


def service_of(request: Request) -> Service:
    service: Service = request.state.service
    return service


def caller_of(request: Request) -> Caller:
    return service_of(request).verifier.caller(request.method, request.headers)


# Dependencies are async, whether they wait or not: FastAPI sends others to a thread and back.
async def assistant_user(request: Request) -> Caller:
    caller = caller_of(request)
    caller.require("assistant.use_assistant")
    return caller


async def own_ticket(request: Request, ticket_id: int, caller: Annotated[Caller, Depends(assistant_user)]) -> Ticket:
    return await ticket_of(service_of(request).database, ticket_id, caller.organisation)


AssistantUser = Annotated[Caller, Depends(assistant_user)]
OwnTicket = Annotated[Ticket, Depends(own_ticket)]


@router.post(
    f"/api/tickets/{{ticket_id:{DIGITS}}}/summary",
    response_model=SummaryAnswer,
    openapi_extra=documents.body(SummaryForm),
    responses=documents.problems(400, 401, 403, 404, 429, 502, 503, 504),
)
async def summary(request: Request, caller: AssistantUser, ticket: OwnTicket) -> JsonAnswer:
    """Summarise a ticket; the summary is kept."""
    service, form = service_of(request), await filled(SummaryForm, request)
    await service.allowance.check(caller)
    body = _chat(
        service,
        prompts.summary(ticket.conversation, form.max_words),
        temperature=SUMMARY_TEMPERATURE,
        max_tokens=SUMMARY_TOKENS_PER_WORD * form.max_words,
    )
    work = _summarised(service, Call("summary", caller, ticket.id, service.provider.model), body)
    completion = await unless_caller_leaves(request.receive, work)
    stored = await _stored(service.database, caller, ticket, completion)
    return JsonAnswer(stored.model_dump())


@router.post(
    f"/api/tickets/{{ticket_id:{DIGITS}}}/reply",
    status_code=200,
    response_class=EventStream,
    openapi_extra=documents.body(ReplyForm),
    responses=documents.event_stream("delta", "done", "error")
    | documents.problems(400, 401, 403, 404, 429, 502, 503, 504),
)
async def reply(request: Request, caller: AssistantUser, ticket: OwnTicket) -> EventStream:
    """Draft the next reply to the customer, token by token; nothing is kept."""
    service, form = service_of(request), await filled(ReplyForm, request)
    await service.allowance.check(caller)
    agent = await user_name(service.database, caller.user_id)
    body = _chat(
        service,
        prompts.reply(ticket.conversation, agent, form.tone, form.instructions),
        temperature=REPLY_TEMPERATURE,
        max_tokens=REPLY_TOKENS,
    )
    return await guarded(request, _drafted(service, Call("reply", caller, ticket.id, service.provider.model), body))


def _chat(service: Service, messages: prompts.Messages, *, temperature: float, max_tokens: int) -> dict[str, Any]:
    return {
        "model": service.provider.model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


async def _summarised(service: Service, call: Call, body: dict[str, Any]) -> Completion:
    async with audited(service.database, call):
        completion = await service.provider.complete(body)
        call.ended(completion.finish)
    return completion


async def _stored(database: Database, caller: Caller, ticket: Ticket, completion: Completion) -> SummaryAnswer:
    row = {
        "ticket_id": ticket.id,
        "created_by_id": caller.user_id,
        "text": completion.text,
        "model": completion.finish.model,
        "created_at": datetime.now(UTC),
        **asdict(completion.finish.usage),
    }
    async with database.writer.begin() as connection:
        statement = insert(tables.summary).values(row).returning(tables.summary.c.id)
        summary_id = (await connection.execute(statement)).scalar_one()
    return SummaryAnswer(
        id=summary_id,
        ticket=ticket.id,
        text=completion.text,
        model=completion.finish.model,
        usage=documents.Usage(**asdict(completion.finish.usage)),
        created_by=caller.user_id,
        created_at=row["created_at"],
    )


async def _drafted(service: Service, call: Call, body: dict[str, Any]) -> AsyncGenerator[bytes]:
    """An item per chunk of the provider, empty if the chunk says nothing; `done` only after a proven finish."""
    async with audited(service.database, call), aclosing(service.provider.stream(body)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Finish):
                call.ended(chunk)
                finish = chunk
            else:
                yield written("delta", {"text": chunk}) if chunk else b""
    yield written("done", asdict(finish))
