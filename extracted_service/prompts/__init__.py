"""What the assistant says to the model: the monolith's prompts, byte for byte, from templates of our own.

A template file's last line end is not part of the prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

# What one prompt may hold: the opening message, the latest later ones, and so much of each.
MOST_LATER_TURNS = 30
LONGEST_TURN_CHARACTERS = 4000

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

Messages = list[dict[str, str]]


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


def summary(conversation: Conversation, max_words: int) -> Messages:
    return _messages("summary", {**_ticket(conversation), "max_words": str(max_words)})


def reply(conversation: Conversation, agent: str, tone: str, instructions: str) -> Messages:
    facts = {"agent": agent, "tone": TONES[tone], "instructions": instructions}
    return _messages("reply", {**_ticket(conversation), **facts})


def triage(conversation: Conversation, answer: str = "", mistake: str = "") -> Messages:
    """`answer` and `mistake` belong to the second attempt: what the model said, what is wrong with it."""
    facts = {
        "categories": _meanings(CATEGORIES),
        "priorities": _meanings(PRIORITIES),
        "answer": _shortened(answer),
        "mistake": mistake,
    }
    return _messages("triage", {**_ticket(conversation), **facts})


def ask(organisation: str, question: str, sources: Sequence[Source]) -> Messages:
    passages = [
        {"number": str(source.number), "title": source.title, "text": _shortened(source.text)} for source in sources
    ]
    return _messages("ask", {"organisation": organisation, "question": question, "passages": passages})


def chat(organisation: str, agent: str, turns: Sequence[tuple[str, str]], question: str) -> Messages:
    """This prompt is not the monolith's: it has no conversations."""
    system = _rendered("chat_system.txt", {"organisation": organisation, "agent": agent})
    past = [
        {"role": role, "content": _shortened(text)}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return [{"role": "system", "content": system}, *past, {"role": "user", "content": question}]


def _messages(prompt: str, facts: Mapping[str, Any]) -> Messages:
    return [{"role": role, "content": _rendered(f"{prompt}_{role}.txt", facts)} for role in ("system", "user")]


def _rendered(template: str, facts: Mapping[str, Any]) -> str:
    return _template(template).render(facts).removesuffix("\n")


@lru_cache
def _template(name: str) -> Template:
    """Read and compiled once. The environment would look at the file each time, to see whether it has changed."""
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Set to do what Django's engine does: no line end is dropped, and nothing is escaped (it is not HTML)."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        auto_reload=False,
        undefined=StrictUndefined,
    )


def _ticket(conversation: Conversation) -> dict[str, Any]:
    opening, later = conversation.turns[:1], conversation.turns[1:]
    turns = opening + later[-MOST_LATER_TURNS:]
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
    if len(text) <= LONGEST_TURN_CHARACTERS:
        return text
    return text[:LONGEST_TURN_CHARACTERS].rstrip() + " […]"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _meanings(table: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "meaning": meaning} for name, meaning in table.items()]
