"""Sort a ticket: structured output, checked, repaired once. Who has the verdict written is the endpoint."""

import json
from dataclasses import dataclass
from typing import Any

from . import chats, prompts
from .errors import Failed
from .identity import Caller
from .prompts import CATEGORIES, PRIORITIES
from .service import Service
from .tickets import Ticket

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


async def verdict_on(ticket: Ticket, service: Service, caller: Caller) -> Verdict:
    """At most two calls, which share the time of one."""
    until = service.provider.deadline()

    async def answer_to(messages: prompts.Messages) -> str:
        body = chats.asked(service, messages, temperature=TEMPERATURE, max_tokens=MAX_TOKENS)
        call = chats.call("triage", service, caller, ticket.id)
        return (await chats.completed(service, call, {**body, "response_format": RESPONSE_FORMAT}, until)).text

    answer = await answer_to(prompts.triage(ticket.conversation))
    try:
        return verdict_of(answer)
    except Unusable as mistake:
        repair = prompts.triage(ticket.conversation, answer, str(mistake))
    try:
        return verdict_of(await answer_to(repair))
    except Unusable as mistake:
        raise Failed(f"its second verdict is unusable as well: {mistake}") from mistake


def verdict_of(answer: str) -> Verdict:
    said = _object_in(answer)
    if said.get("category") not in tuple(CATEGORIES):
        raise Unusable(f"category must be one of: {', '.join(CATEGORIES)}.")
    if said.get("priority") not in tuple(PRIORITIES):
        raise Unusable(f"priority must be one of: {', '.join(PRIORITIES)}.")
    reason = said.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise Unusable("reason must be a sentence.")
    return Verdict(said["category"], said["priority"], reason.strip())


def _object_in(answer: str) -> dict[str, Any]:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise Unusable("It was not one JSON object.") from None
    if not isinstance(said, dict):
        raise Unusable("It was not one JSON object.")
    return said
