"""The faults that a faulty candidate can have, each with the request that shows it and the place that must name it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .wire import Json

Change = Callable[[Any], None]
Stream = Callable[[list[bytes]], list[bytes]]
LATER_SECONDS = 1.5


@dataclass(frozen=True)
class Fault:
    """What is spoiled: of the candidate's answer, or of what it asks of the provider. Everything else stays."""

    name: str
    says: str
    """In a sentence, for people."""
    shown_by: str
    """The endpoint whose requests show it: a key of `ASKED`."""
    place: str
    """A regular expression that a place of the comparison's differences must match as a whole."""
    answer: Change | None = None
    """Changes the object of a JSON answer."""
    events: Stream | None = None
    """Makes other events of a stream's; each is bytes with its blank line."""
    call: Change | None = None
    """Changes the object of a call to the provider."""
    calls: int = 1
    """How often each call to the provider is made."""
    status: int | None = None
    without_header: str = ""
    content_type: str = ""
    at_once: bool = False
    """A stream is held back and delivered in one piece."""
    is_cut: bool = False
    """The answer's connection is cut in its middle."""
    later_seconds: float = 0.0
    """How much later the answer begins."""


ASKED = {
    "summary": re.compile(r"/api/tickets/\d+/summary"),
    "reply": re.compile(r"/api/tickets/\d+/reply"),
    "triage": re.compile(r"/api/tickets/\d+/triage"),
    "search": re.compile(r"/api/search"),
    "ask": re.compile(r"/api/ask"),
}
"""The paths that belong to each endpoint."""


def planted(name: str) -> Fault | None:
    """The fault of this name, None for `none`. Raises ValueError that lists them all."""
    if name == "none":
        return None
    for each in FAULTS:
        if each.name == name:
            return each
    raise ValueError(f'there is no fault "{name}"; there are none, {", ".join(each.name for each in FAULTS)}')


def events_of(body: bytes) -> list[bytes]:
    """Whole events, each with the blank line that ends it; what follows the last one is an event too."""
    return [piece for piece in re.split(rb"(?<=\n\n)", body) if piece]


def _set(pointer: str, value: Any) -> Change:
    """Puts `value` (or what it makes of the old one) where a JSON pointer points."""

    def change(document: Any) -> None:
        *parents, last = _steps(pointer)
        for step in parents:
            document = document[step]
        document[last] = (
            value(document.get(last) if isinstance(document, dict) else document[last]) if callable(value) else value
        )

    return change


def _drop(pointer: str) -> Change:
    def change(document: Any) -> None:
        *parents, last = _steps(pointer)
        for step in parents:
            document = document[step]
        del document[last]

    return change


def _steps(pointer: str) -> list[Any]:
    return [int(step) if re.fullmatch(r"-?\d+", step) else step for step in pointer.split("/")[1:]]


def _without_event(name: str, which: int = 0) -> Stream:
    def change(events: list[bytes]) -> list[bytes]:
        named = [index for index, event in enumerate(events) if _name(event) == name]
        gone = named[which] if named else None
        return [event for index, event in enumerate(events) if index != gone]

    return change


def _in_event(name: str, change: Change) -> Stream:
    def changed(event: bytes) -> bytes:
        if _name(event) != name:
            return event
        document = json.loads(_data(event))
        change(document)
        return f"event: {name}\ndata: {json.dumps(document)}\n\n".encode()

    return lambda events: [changed(event) for event in events]


def _name(event: bytes) -> str:
    found = re.search(rb"^event: ?(.*)$", event, re.MULTILINE)
    return found[1].decode() if found else "message"


def _data(event: bytes) -> bytes:
    return b"\n".join(re.findall(rb"^data: ?(.*)$", event, re.MULTILINE))


def _first_last(events: list[bytes]) -> list[bytes]:
    """The heading comes after the text instead of before it."""
    return [*events[1:-1], events[0], events[-1]]


def _message(index: int, change: Callable[[str], str]) -> Change:
    def changed(call: Json) -> None:
        if "messages" in call:
            call["messages"][index]["content"] = change(call["messages"][index]["content"])

    return changed


def _in_chat(change: Change) -> Change:
    """Only calls that ask for a completion; embeddings stay."""

    def changed(call: Json) -> None:
        if "messages" in call:
            change(call)

    return changed


def _half_the_history(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(lines[: len(lines) // 2])


def _without_last_word(text: str) -> str:
    return text.rsplit(" ", 1)[0]


def _embedding_input(call: Json) -> None:
    if "messages" not in call:
        call["input"] = [text.upper() for text in call["input"]]


def _all() -> Iterator[Fault]:
    body, effect = "body ", r"effect \d+ body "
    yield Fault(
        "dropped-field",
        "a field is missing",
        "summary",
        f"{body}/usage/completion_tokens",
        _drop("/usage/completion_tokens"),
    )
    yield Fault("text-for-number", "a number is sent as text", "summary", f"{body}/ticket", _set("/ticket", str))
    yield Fault("null-for-value", "a value is null", "summary", f"{body}/model", _set("/model", None))
    yield Fault(
        "added-field", "an internal field gets out", "summary", f"{body}/debug", _set("/debug", {"cached": False})
    )
    yield Fault(
        "date-format",
        "a date has microseconds and an offset",
        "summary",
        f"{body}/created_at",
        _set("/created_at", "2026-01-02T03:04:05.678901+00:00"),
    )
    yield Fault("cut-text", "the last word is lost", "summary", f"{body}/text", _set("/text", _without_last_word))
    yield Fault("wrong-status", "201 instead of 200", "summary", "status", status=201)
    yield Fault("failing", "500 instead of an answer", "triage", "status", status=500)
    yield Fault("content-type", "JSON is called text", "summary", "header content-type", content_type="text/plain")
    yield Fault(
        "lost-header", "a stream may be cached", "reply", "header cache-control", without_header="cache-control"
    )
    yield Fault("other-value", "another category is chosen", "triage", f"{body}/category", _set("/category", "spam"))
    yield Fault(
        "reversed",
        "the best result comes last",
        "search",
        f"{body}/results.*",
        _set("/results", lambda found: found[::-1]),
    )
    yield Fault("off-by-one", "one result too few", "search", f"{body}/results/4.*", _drop("/results/4"))
    yield Fault(
        "rounded",
        "a score has three decimals",
        "search",
        f"{body}/results/0/score",
        _set("/results/0/score", lambda score: round(score, 3)),
    )
    yield Fault(
        "other-tenant",
        "an article of another organisation is found",
        "search",
        f"{body}/results/0/(slug|title|url)",
        _set("/results/0/slug", "internal-price-list-of-somebody-else"),
    )
    yield Fault("buffered", "a stream is delivered in one piece", "reply", ".*", at_once=True)
    yield Fault("no-end", "a stream ends without its last event", "reply", r"event.*", events=_without_event("done"))
    yield Fault("lost-token", "a token is lost", "reply", r"event.*text", events=_without_event("delta", 2))
    yield Fault("late-heading", "the citations come after the text", "ask", r"event.*", events=_first_last)
    yield Fault(
        "other-citation",
        "a citation has another number",
        "ask",
        r"event.*/citations/0/.*",
        events=_in_event("citations", _set("/citations/0/number", 7)),
    )
    yield Fault("broken-off", "a stream breaks off", "reply", ".*", is_cut=True)
    yield Fault(
        "slow-start", f"the first token comes {LATER_SECONDS:g} s later", "reply", "", later_seconds=LATER_SECONDS
    )
    yield Fault(
        "other-model",
        "another model is asked",
        "summary",
        f"{effect}/model",
        call=_in_chat(_set("/model", "helpdesk-large")),
    )
    yield Fault(
        "other-temperature",
        "the temperature is another",
        "summary",
        f"{effect}/temperature",
        call=_in_chat(_set("/temperature", 1.0)),
    )
    yield Fault(
        "other-limit",
        "fewer tokens are asked for",
        "reply",
        f"{effect}/max_tokens",
        call=_in_chat(_set("/max_tokens", 64)),
    )
    yield Fault(
        "other-prompt",
        "the system prompt says something else",
        "reply",
        f"{effect}/messages/0/content",
        call=_message(0, lambda text: text + " Be brief."),
    )
    yield Fault(
        "escaped-prompt",
        "the prompt is escaped for HTML",
        "ask",
        f"{effect}/messages/1/content",
        call=_message(1, lambda text: text.replace("e", "&#101;")),
    )
    yield Fault(
        "lost-history",
        "half of the conversation is not told",
        "summary",
        f"{effect}/messages/1/content",
        call=_message(1, _half_the_history),
    )
    yield Fault(
        "lost-message",
        "a message is not sent",
        "triage",
        f"{effect}/messages.*",
        call=_in_chat(lambda call: call["messages"].pop(0)),
    )
    yield Fault(
        "other-embedding",
        "the query is changed before it is embedded",
        "search",
        f"{effect}/input.*",
        call=_embedding_input,
    )
    yield Fault("asked-twice", "the provider is asked twice", "summary", r"effect \d+.*", calls=2)


FAULTS = tuple(_all())
