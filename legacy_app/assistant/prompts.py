"""What the assistant says to the model: one pure function per prompt, and the templates that word it.

Each function turns facts into a context of strings and lists of strings; nothing is formatted, cut or
chosen inside a template, so that another template engine can render the same bytes from the same context.
A template file's last line end is not part of the prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.template.loader import render_to_string

# What one prompt may hold: the opening message, the latest later ones, and so much of each.
MAX_LATER_TURNS = 30
MAX_TURN_CHARACTERS = 4000

TONES = {
    "friendly": "friendly and warm, in the first person, with short sentences and no slang",
    "formal": "formal and courteous, without contractions, exclamation marks or emoji",
    "brief": "brief: no more than four sentences, straight to the point, polite",
}

CATEGORIES = {
    "billing": "invoices, payments, refunds, prices, plans",
    "account": "signing in, passwords, profile data, access rights, closing an account",
    "bug": "something is broken or behaves differently than described",
    "how_to": "how to use, set up, install or configure something that works",
    "shipping": "delivery, tracking, damage on the way, returns of goods",
    "other": "none of the above",
}

PRIORITIES = {
    "low": "no harm if the answer takes some days: a suggestion, praise, general curiosity",
    "normal": "one person is held up or waits for an answer, and there is a way around",
    "high": "money was lost, a deadline is near, or someone cannot work at all",
    "urgent": "danger to people, a data leak, or many customers cannot work",
}


TICKET_TAG = re.compile(r"<(?=\s*/?\s*ticket\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """One message of a ticket; `kind` is "customer", "agent" or "note" (internal)."""

    kind: str
    name: str
    at: datetime
    body: str


@dataclass(frozen=True)
class Conversation:
    """What a prompt tells about a ticket; the first turn is the text the customer opened it with."""

    organisation: str
    subject: str
    customer: str
    status: str
    opened_at: datetime
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Source:
    """One passage of the knowledge base that an answer may rest on."""

    number: int
    title: str
    text: str


def summary_context(conversation: Conversation, max_words: int) -> dict:
    return {**_ticket(conversation), "max_words": str(max_words)}


def reply_context(conversation: Conversation, agent: str, tone: str, instructions: str) -> dict:
    return {
        **_ticket(conversation),
        "agent": agent,
        "tone": TONES[tone],
        "instructions": instructions,
    }


def triage_context(conversation: Conversation, answer: str = "", mistake: str = "") -> dict:
    """`answer` and `mistake` belong to the second attempt: what the model said, what is wrong with it."""
    return {
        **_ticket(conversation),
        "categories": _meanings(CATEGORIES),
        "priorities": _meanings(PRIORITIES),
        "answer": _shortened(answer),
        "mistake": mistake,
    }


def ask_context(organisation: str, question: str, sources: Sequence[Source]) -> dict:
    return {
        "organisation": organisation,
        "question": question,
        "passages": [
            {"number": str(source.number), "title": source.title, "text": _shortened(source.text)} for source in sources
        ],
    }


def messages(prompt: str, context: Mapping) -> list[dict[str, str]]:
    """The system and the user message of the prompt called "summary", "reply", "triage" or "ask"."""
    return [{"role": role, "content": _render(f"{prompt}_{role}.txt", context)} for role in ("system", "user")]


def _render(template: str, context: Mapping) -> str:
    return render_to_string(f"assistant/prompts/{template}", dict(context)).removesuffix("\n")


def _ticket(conversation: Conversation) -> dict:
    opening, later = conversation.turns[:1], conversation.turns[1:]
    turns = opening + later[-MAX_LATER_TURNS:]
    return {
        "organisation": conversation.organisation,
        "subject": _inside(conversation.subject),
        "customer": _inside(conversation.customer),
        "status": conversation.status,
        "opened_at": _utc(conversation.opened_at),
        "left_out": _left_out(len(conversation.turns) - len(turns)),
        "turns": [
            {"at": _utc(turn.at), "speaker": _inside(_speaker(turn)), "body": _inside(_shortened(turn.body))}
            for turn in turns
        ],
    }


def _inside(text: str) -> str:
    """What is said in a ticket stays in it: whoever writes `</ticket>` does not go on as the agent."""
    return TICKET_TAG.sub("‹", text)


def _left_out(turns: int) -> str:
    match turns:
        case 0:
            return ""
        case 1:
            return "1 message after the first"
        case _:
            return f"{turns} messages after the first"


def _speaker(turn: Turn) -> str:
    match turn.kind:
        case "customer":
            return f"{turn.name} (customer)"
        case "agent":
            return f"{turn.name} (agent)"
        case _:
            return f"{turn.name} (internal note, not seen by the customer)"


def _shortened(text: str) -> str:
    text = text.strip()
    if len(text) <= MAX_TURN_CHARACTERS:
        return text
    return text[:MAX_TURN_CHARACTERS].rstrip() + " […]"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _meanings(table: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "meaning": meaning} for name, meaning in table.items()]
