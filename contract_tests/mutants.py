"""What somebody could break: each one change of an answer or a request, and the place that must be named for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from contract_tests.contractkit.spoiling import Asked, Got, Spoil

Edit = Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """One side, spoiled."""

    says: str
    side: str
    """`extracted` or `legacy`: who is spoiled."""
    target: str
    """Of the request that shows it: `METHOD target`, names in braces."""
    place: str
    """A regular expression for the place that must be named."""
    spoil: Spoil
    body: Any = None
    by: str = "maya"


def in_json(change: Edit) -> Spoil:
    """Changes the object of an answer; what it returns is not looked at."""

    def changed(_: Asked, got: Got) -> Got:
        document = json.loads(got.body)
        change(document)
        return replace(got, body=json.dumps(document).encode())

    return Spoil(got=changed)


def in_events(change: Callable[[list[bytes]], list[bytes]]) -> Spoil:
    """Changes the events of a stream, each with its blank line."""

    def changed(_: Asked, got: Got) -> Got:
        events = [each for each in re.split(rb"(?<=\n\n)", got.body) if each]
        return replace(got, body=b"".join(change(events)))

    return Spoil(got=changed)


def status(number: int) -> Spoil:
    return Spoil(head=lambda _, got: replace(got, status=number))


def without(*names: bytes) -> Spoil:
    """An answer's headers less some."""
    return Spoil(head=lambda _, got: replace(got, headers=[h for h in got.headers if h[0].lower() not in names]))


def header(name: bytes, value: bytes) -> Spoil:
    """An answer's header, with another value."""
    others = without(name).head
    return Spoil(head=lambda asked, got: replace(got, headers=[*others(asked, got).headers, (name, value)]))


def asking(old: str, new: str) -> Spoil:
    """The side gets another target than was sent."""
    return Spoil(asked=lambda asked: replace(asked, target=asked.target.replace(old, new)))


def _late_first(events: list[bytes]) -> list[bytes]:
    return [*events[1:-1], events[0], events[-1]]


SUMMARY, REPLY, TRIAGE = (f"POST /api/tickets/{{own}}/{kind}" for kind in ("summary", "reply", "triage"))
SEARCH, ASK = "GET /api/search?q=lamp&limit=5", "POST /api/ask"
TICKET, TICKETS = "GET /api/tickets/{own}", "GET /api/tickets?page_size=3"
NEW = {"subject": "A lamp hums", "body": "All night.", "customer": "{customer}"}
QUESTION = {"question": "How do I return a lamp?"}

OF_THE_SERVICE = [
    Mutant("a field is lost", "extracted", SUMMARY, "body /usage/completion_tokens|body /usage",
           in_json(lambda d: d["usage"].pop("completion_tokens"))),
    Mutant("a number is a text", "extracted", SUMMARY, "body /ticket",
           in_json(lambda d: d.update(ticket=str(d["ticket"])))),
    Mutant("a value is null", "extracted", SUMMARY, "body /model", in_json(lambda d: d.update(model=None))),
    Mutant("an internal field gets out", "extracted", SUMMARY, "body /debug", in_json(lambda d: d.update(debug=1))),
    Mutant("another status of success", "extracted", SUMMARY, "status", status(201)),
    Mutant("another time format", "extracted", SUMMARY, "body /created_at",
           in_json(lambda d: d.update(created_at=d["created_at"].replace("Z", "+00:00")))),
    Mutant("the text is cut", "extracted", SUMMARY, "body /text", in_json(lambda d: d.update(text=d["text"][:-9]))),
    Mutant("422 for what is 400", "extracted", SUMMARY, "status", status(422), body={"max_words": 5}),
    Mutant("another code of an error", "extracted", SUMMARY, "body /code", in_json(lambda d: d.update(code="value")),
           body={"max_words": 5}),
    Mutant("the sentences about fields are lost", "extracted", SUMMARY, "body /errors",
           in_json(lambda d: d.pop("errors")), body={"max_words": 5}),
    Mutant("another category than was chosen", "extracted", TRIAGE, "body /category",
           in_json(lambda d: d.update(category="billing" if d["category"] == "shipping" else "shipping"))),
    Mutant("a category nobody knows", "extracted", TRIAGE, "body /category", in_json(lambda d: d.update(category="x"))),
    Mutant("the end of a stream is lost", "extracted", REPLY, "events", in_events(lambda events: events[:-1])),
    Mutant("the end comes first", "extracted", REPLY, "events", in_events(lambda e: [e[-1], *e[:-1]])),
    Mutant("a token is lost", "extracted", REPLY, "event 1 delta /text", in_events(lambda e: [*e[:2], *e[3:]])),
    Mutant("an event nobody knows", "extracted", REPLY, "event.*",
           in_events(lambda e: [b"event: usage\ndata: {}\n\n", *e])),
    Mutant("an event is no JSON", "extracted", REPLY, "event .*",
           in_events(lambda e: [*e[:-1], b"event: done\ndata: ok\n\n"])),
    Mutant("a stream may be cached", "extracted", REPLY, "header cache-control", without(b"cache-control")),
    Mutant("a proxy may hold a stream back", "extracted", REPLY, "header x-accel-buffering",
           without(b"x-accel-buffering")),
    Mutant("a stream is called JSON", "extracted", REPLY, "header content-type",
           header(b"content-type", b"application/json")),
    Mutant("the citations come last", "extracted", ASK, "events", in_events(_late_first), body=QUESTION),
    Mutant("a search finds one too few", "extracted", SEARCH, r"body /results.*",
           in_json(lambda d: d["results"].pop())),
    Mutant("the best comes last", "extracted", SEARCH, r"body /results.*", in_json(lambda d: d["results"].reverse())),
    Mutant("a score is rounded", "extracted", SEARCH, r"body /results/0/score",
           in_json(lambda d: d["results"][0].update(score=round(d["results"][0]["score"], 2)))),
    Mutant("an article of another organisation is found", "extracted", SEARCH, r"body /results/0/slug",
           in_json(lambda d: d["results"][0].update(slug="internal-price-list"))),
    Mutant("another limit", "extracted", "GET /api/search?q=lamp&limit=21", "status", asking("21", "20")),
    Mutant("another default", "extracted", "GET /api/search?q=lamp", r"body /results.*",
           asking("lamp", "lamp&limit=3")),
    Mutant("another tenant's ticket", "extracted", SUMMARY.replace("own", "other"), "status",
           Spoil(asked=lambda a: replace(a, target=re.sub(r"/tickets/\d+", "/tickets/{own}", a.target)))),
    Mutant("the place of the job is lost", "extracted", "POST /api/articles/reindex", "header location",
           without(b"location")),
    Mutant("caches share what is private", "extracted", SEARCH, "header vary", without(b"vary")),
]  # fmt: skip

OF_THE_MONOLITH = [
    Mutant("a page has no next", "legacy", TICKETS, "body /next", in_json(lambda d: d.update(next=None))),
    Mutant("a count is a text", "legacy", TICKETS, "body /count", in_json(lambda d: d.update(count=str(d["count"])))),
    Mutant("a customer has no name", "legacy", TICKET, "body /customer.*",
           in_json(lambda d: d["customer"].pop("name"))),
    Mutant("a status nobody knows", "legacy", TICKET, "body /status", in_json(lambda d: d.update(status="new"))),
    Mutant("a page may be larger", "legacy", "GET /api/tickets?page_size=101", "status", asking("101", "100")),
    Mutant("what is new has no address", "legacy", "POST /api/tickets", "header location", without(b"location"),
           body=NEW),
    Mutant("200 for what is new", "legacy", "POST /api/tickets", "status", status(200), body=NEW),
    Mutant("what is allowed is not said", "legacy", "DELETE /api/tickets/{own}", "header allow", without(b"allow")),
    Mutant("a page may be framed", "legacy", "GET /login/", "header x-frame-options", without(b"x-frame-options")),
    Mutant("another login", "legacy", "GET /tickets/", "header location", header(b"location", b"/accounts/login/"),
           by=""),
    Mutant("a cookie is lost", "legacy", "HEAD /login/", "header set-cookie csrftoken", without(b"set-cookie"), by=""),
    Mutant("another tenant's ticket", "legacy", TICKET.replace("own", "other"), "status",
           Spoil(asked=lambda a: replace(a, target=re.sub(r"/tickets/\d+", "/tickets/{own}", a.target)))),
    Mutant("who is signed in is forgotten", "legacy", TICKET, "status",
           Spoil(asked=lambda a: replace(a, headers=[h for h in a.headers if h[0].lower() != b"cookie"]))),
]  # fmt: skip


def _merged(_: Asked, got: Got) -> Got:
    """As a dict of headers makes it."""
    cookies = [value for name, value in got.headers if name.lower() == b"set-cookie"]
    kept = [each for each in got.headers if each[0].lower() != b"set-cookie"]
    return replace(got, headers=[*kept, (b"set-cookie", b", ".join(cookies))] if cookies else kept)


OF_THE_ROUTER: dict[str, tuple[str, Spoil]] = {
    "cookies are merged": ("header set-cookie", Spoil(head=_merged)),
    "paths are decoded": ("path", Spoil(asked=lambda a: replace(a, target=unquote(a.target, "latin-1")))),
    "a query is sorted": ("path", Spoil(asked=lambda a: replace(a, target="&".join(sorted(a.target.split("&")))))),
    "a header is added on the way in": (
        "request headers",
        Spoil(asked=lambda a: replace(a, headers=[*a.headers, (b"User-Agent", b"proxy")])),
    ),
    "a header is added on the way out": (
        "answer headers",
        Spoil(head=lambda _, got: replace(got, headers=[*got.headers, (b"X-Cache", b"MISS")])),
    ),
    "repeated headers are one": (
        "request headers",
        Spoil(asked=lambda a: replace(a, headers=list({name.lower(): (name, v) for name, v in a.headers}.values()))),
    ),
    "a body is cut": ("request body", Spoil(asked=lambda a: replace(a, body=a.body[:100]))),
    "errors are made uniform": (
        "status",
        Spoil(head=lambda _, g: replace(g, status=400 if g.status > 400 else g.status)),
    ),
    "an encoding is dropped": ("content encoding", without(b"content-encoding")),
    "a stream is held back": ("stream", Spoil(got=lambda _, got: got)),
    "a cut stream ends cleanly": ("cut stream", Spoil(ends_cut_streams=True)),
    "hop-by-hop headers are passed on": ("hop-by-hop headers", Spoil(passes_on_hops=True)),
}
