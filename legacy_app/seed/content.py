"""Reads the sample content of one organisation; a mistake in a file is told with its place."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from legacy_app.tickets.models import Ticket

FOLDER = Path(__file__).parent
ROLES = ("lead", "agent", "viewer")
SPEAKERS = ("customer", "agent", "note")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class ContentError(ValueError):
    """A sentence that names the file, the place and the cure."""


@dataclass(frozen=True)
class Agent:
    username: str
    first_name: str
    last_name: str
    role: str


@dataclass(frozen=True)
class Person:
    name: str
    email: str


@dataclass(frozen=True)
class Text:
    slug: str
    title: str
    body: str


@dataclass(frozen=True)
class Turn:
    speaker: str
    body: str


@dataclass(frozen=True)
class Scenario:
    subject: str
    body: str
    category: str
    priority: str
    conversation: tuple[Turn, ...]


@dataclass(frozen=True)
class Content:
    name: str
    slug: str
    agents: tuple[Agent, ...]
    customers: tuple[Person, ...]
    articles: tuple[Text, ...]
    scenarios: tuple[Scenario, ...]
    fill: dict[str, list[str]]


def read_all(folder: Path = FOLDER) -> list[Content]:
    """In the order of the file names, so that every database gets the same rows in the same order."""
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ContentError(f"{folder} holds no *.toml file: there is nothing to seed.")
    return [read(file) for file in files]


def read(file: Path) -> Content:
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
        content = Content(
            name=written["name"],
            slug=written["slug"],
            agents=tuple(Agent(**agent) for agent in written["agents"]),
            customers=tuple(Person(**customer) for customer in written["customers"]),
            articles=tuple(Text(**_stripped(article)) for article in written["articles"]),
            scenarios=tuple(_scenario(ticket) for ticket in written["tickets"]),
            fill=written.get("fill", {}),
        )
        _check(content)
    except KeyError as missing:
        raise ContentError(f"{file.name}: {missing.args[0]!r} is missing.") from None
    except (TypeError, ValueError) as mistake:
        raise ContentError(f"{file.name}: {mistake}") from None
    return content


def _stripped(table):
    return {name: value.strip() for name, value in table.items()}


def _scenario(written):
    turns = tuple(_turn(line) for line in written.get("conversation", []))
    fields = _stripped({name: value for name, value in written.items() if name != "conversation"})
    return Scenario(**fields, conversation=turns)


def _turn(line):
    speaker, colon, body = line.partition(":")
    if not colon or speaker not in SPEAKERS:
        raise ValueError(f"a conversation's line begins with one of {', '.join(SPEAKERS)} and a colon: {line[:40]!r}")
    return Turn(speaker, body.strip())


def _check(content):
    for agent in content.agents:
        if agent.role not in ROLES:
            raise ValueError(f"the role of {agent.username} is {agent.role!r}: write one of {', '.join(ROLES)}.")
    for scenario in content.scenarios:
        _check_scenario(scenario, content.fill)


def _check_scenario(scenario, fill):
    if scenario.category not in Ticket.Category.values or scenario.priority not in Ticket.Priority.values:
        raise ValueError(
            f"{scenario.subject!r} has the unknown category or priority {scenario.category!r}, {scenario.priority!r}."
        )
    texts = [scenario.subject, scenario.body, *(turn.body for turn in scenario.conversation)]
    for name in PLACEHOLDER.findall(" ".join(texts)):
        if not fill.get(name):
            raise ValueError(f"{scenario.subject!r} uses {{{name}}}: give [fill] a list called {name}.")
