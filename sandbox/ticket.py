"""Reads a ticket, numbered passages and wishes out of a prompt's text, as a model would understand them."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["customer", "agent", "note"]

_TICKET = re.compile(r"<ticket>\n?(.*?)</ticket>", re.DOTALL)
_FIELD = re.compile(r"^(Subject|Customer): *(.*)$", re.MULTILINE)
_TURN = re.compile(r"^\[([^\]\n]+)\] ([^\n]{1,200}?) \((customer|agent|internal note)[^)\n]*\):\n", re.MULTILINE)
_PASSAGE = re.compile(r"^\[(\d{1,3})\] ?([^\n]*)\n", re.MULTILINE)
_QUESTION = re.compile(r"^Question: *(.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Turn:
    kind: Kind
    name: str
    at: str
    text: str


@dataclass(frozen=True)
class Ticket:
    subject: str
    customer: str
    turns: tuple[Turn, ...]

    def said_by(self, *kinds: Kind) -> list[Turn]:
        return [turn for turn in self.turns if turn.kind in kinds]


@dataclass(frozen=True)
class Passage:
    number: int
    title: str
    text: str


def ticket_in(prompt: str) -> Ticket | None:
    """The ticket between <ticket> and </ticket>, if there is one."""
    found = _TICKET.search(prompt)
    if found is None:
        return None
    text = found.group(1)
    starts = list(_TURN.finditer(text))
    head = text[: starts[0].start()] if starts else text
    fields = dict(_FIELD.findall(head))
    turns = tuple(
        Turn(_kind(start.group(3)), start.group(2), start.group(1), _body(text, starts, place))
        for place, start in enumerate(starts)
    )
    return Ticket(fields.get("Subject", "").strip(), fields.get("Customer", "").strip(), turns)


def passages_in(prompt: str) -> list[Passage]:
    """The passages that begin with `[1] Title`, each up to the next one or the question."""
    question = _QUESTION.search(prompt)
    text = prompt[: question.start()] if question else prompt
    starts = list(_PASSAGE.finditer(text))
    return [
        Passage(int(start.group(1)), start.group(2).strip(), _body(text, starts, place))
        for place, start in enumerate(starts)
    ]


def question_in(prompt: str) -> str | None:
    """What stands behind `Question:` at the prompt's end."""
    found = _QUESTION.search(prompt)
    return found.group(1).strip() if found else None


def wish_in(prompt: str, pattern: str) -> str:
    """The first group of a pattern, or an empty string: a tone, a signature, a number of words."""
    found = re.search(pattern, prompt, re.DOTALL)
    return found.group(1).strip() if found else ""


def _body(text: str, starts: list[re.Match[str]], place: int) -> str:
    end = starts[place + 1].start() if place + 1 < len(starts) else len(text)
    return text[starts[place].end() : end].strip()


def _kind(word: str) -> Kind:
    match word:
        case "customer":
            return "customer"
        case "agent":
            return "agent"
        case _:
            return "note"
