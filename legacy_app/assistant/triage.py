"""Sort a ticket: structured output, checked, repaired once, then written to the ticket."""

import json
from dataclasses import dataclass

from django.conf import settings

from legacy_app.assistant import prompts, provider
from legacy_app.assistant.calls import recorded
from legacy_app.assistant.conversations import conversation
from legacy_app.assistant.deadline import Deadline
from legacy_app.assistant.errors import Failed
from legacy_app.assistant.models import Call
from legacy_app.assistant.prompts import CATEGORIES, PRIORITIES
from legacy_app.tickets.models import Ticket

TEMPERATURE = 0
MAX_TOKENS = 300

RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "triage",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "category": {"type": "string", "enum": list(CATEGORIES)},
                "priority": {"type": "string", "enum": list(PRIORITIES)},
                "reason": {"type": "string"},
            },
            "required": ["category", "priority", "reason"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True)
class Verdict:
    category: str
    priority: str
    reason: str


class Unusable(ValueError):
    """The model's answer is no verdict; the message tells the model what is wrong with it."""


def triage(ticket: Ticket, user) -> Verdict:
    facts, until = conversation(ticket), provider.deadline()
    answer = _ask(ticket, user, prompts.triage_context(facts), until)
    try:
        verdict = verdict_of(answer)
    except Unusable as mistake:
        answer = _ask(ticket, user, prompts.triage_context(facts, answer, str(mistake)), until)
        verdict = _last(answer)
    ticket.category, ticket.priority = verdict.category, verdict.priority
    ticket.save(update_fields=["category", "priority", "updated_at"])
    return verdict


def verdict_of(answer: str) -> Verdict:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise Unusable("It was not one JSON object.") from None
    if not isinstance(said, dict):
        raise Unusable("It was not one JSON object.")
    if said.get("category") not in tuple(CATEGORIES):
        raise Unusable(f"category must be one of: {', '.join(CATEGORIES)}.")
    if said.get("priority") not in tuple(PRIORITIES):
        raise Unusable(f"priority must be one of: {', '.join(PRIORITIES)}.")
    reason = said.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise Unusable("reason must be a sentence.")
    return Verdict(said["category"], said["priority"], reason.strip())


def _ask(ticket: Ticket, user, context: dict, until: Deadline) -> str:
    with recorded(Call.Kind.TRIAGE, user, ticket=ticket, model=settings.LLM_MODEL) as record:
        completion = provider.complete(
            prompts.messages("triage", context),
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            until=until,
            response_format=RESPONSE_FORMAT,
        )
        record.keep(completion)
    return completion.text


def _last(answer: str) -> Verdict:
    try:
        return verdict_of(answer)
    except Unusable as mistake:
        raise Failed(f"The model's second verdict is unusable as well: {mistake}") from mistake
