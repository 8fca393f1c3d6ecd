"""The endpoints of a ticket. The order is the monolith's: identity, permission, object, body; then the work."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import insert

from . import chats, documents, prompts, tables
from .answers import JsonAnswer
from .completions import Completion
from .database import Database
from .documents import ReplyForm, SummaryAnswer, SummaryForm, TriageAnswer
from .forms import filled, json_object
from .identity import HEADER, Caller
from .paths import DIGITS
from .service import AssistantUser, caller_with, service_of
from .streams import EventStream, guarded, unless_caller_leaves
from .tickets import Ticket, ticket_and_agent, ticket_of
from .triage import verdict_on

SUMMARY_TEMPERATURE = 0.2
SUMMARY_TOKENS_PER_WORD = 2
REPLY_TEMPERATURE = 0.7
REPLY_TOKENS = 600

_STORE_SUMMARY = insert(tables.summary).returning(tables.summary.c.id)

router = APIRouter(default_response_class=JsonAnswer)


async def own_ticket(request: Request, ticket_id: int, caller: AssistantUser) -> Ticket:
    return await ticket_of(service_of(request).database, ticket_id, caller.organisation)


async def own_ticket_and_name(request: Request, ticket_id: int, caller: AssistantUser) -> tuple[Ticket, str]:
    return await ticket_and_agent(service_of(request).database, ticket_id, caller)


OwnTicket = Annotated[Ticket, Depends(own_ticket)]
OwnTicketAndName = Annotated[tuple[Ticket, str], Depends(own_ticket_and_name)]
Triager = Annotated[Caller, caller_with("assistant.use_assistant", "tickets.change_ticket")]


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
    body = chats.asked(
        service,
        prompts.summary(ticket.conversation, form.max_words),
        temperature=SUMMARY_TEMPERATURE,
        max_tokens=SUMMARY_TOKENS_PER_WORD * form.max_words,
    )
    work = chats.completed(service, chats.call("summary", service, caller, ticket.id), body)
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
async def reply(request: Request, caller: AssistantUser, own: OwnTicketAndName) -> EventStream:
    """Draft the next reply to the customer, token by token; nothing is kept."""
    ticket, agent = own
    service, form = service_of(request), await filled(ReplyForm, request)
    await service.allowance.check(caller)
    body = chats.asked(
        service,
        prompts.reply(ticket.conversation, agent, form.tone, form.instructions),
        temperature=REPLY_TEMPERATURE,
        max_tokens=REPLY_TOKENS,
    )
    return await guarded(request, chats.streamed(service, chats.call("reply", service, caller, ticket.id), body))


@router.post(
    f"/api/tickets/{{ticket_id:{DIGITS}}}/triage",
    response_model=TriageAnswer,
    responses=documents.problems(400, 401, 403, 404, 429, 502, 503, 504),
)
async def triage(request: Request, caller: Triager, ticket: OwnTicket) -> JsonAnswer:
    """Choose a ticket's category and priority; the monolith writes them to the ticket."""
    await json_object(request)
    service = service_of(request)
    await service.allowance.check(caller)
    verdict = await unless_caller_leaves(request.receive, verdict_on(ticket, service, caller))
    await service.monolith.set_triage(request.headers[HEADER], ticket.id, verdict.category, verdict.priority)
    return JsonAnswer({"ticket": ticket.id, **asdict(verdict)})


async def _stored(database: Database, caller: Caller, ticket: Ticket, completion: Completion) -> SummaryAnswer:
    row = {
        "ticket_id": ticket.id,
        "created_by_id": caller.user_id,
        "text": completion.text,
        "model": completion.finish.model,
        "created_at": datetime.now(UTC),
        **asdict(completion.finish.usage),
    }
    summary_id = await database.write(lambda connection: connection.execute(_STORE_SUMMARY, row).scalar_one())
    return SummaryAnswer(
        id=summary_id,
        ticket=ticket.id,
        text=completion.text,
        model=completion.finish.model,
        usage=documents.Usage(**asdict(completion.finish.usage)),
        created_by=caller.user_id,
        created_at=row["created_at"],
    )
