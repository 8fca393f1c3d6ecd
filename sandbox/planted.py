"""The faults that a faulty candidate can have, each with the request that shows it and the place that must name it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .spoiling import (
    Change,
    Stream,
    drop,
    half_the_history,
    heading_last,
    in_capitals,
    in_chat,
    in_event,
    in_message,
    put,
    without_event,
    without_last_word,
)

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
    """A regular expression for the difference that must name it: its place, as a whole. Empty: it is no difference."""
    kind: str
    """In which way the place differs, in the comparison's words."""
    answer: Change | None = None
    """Changes the object of a JSON answer."""
    events: Stream | None = None
    """Makes other events of a stream's."""
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

    def is_at(self, place: str) -> bool:
        """Whether the fault is to be named so; also by a place of a report, with `*` for an index."""
        general = re.sub(r"(?<=/)\d+|(?<=^event )\d+", "*", self.place)
        return place == general or re.fullmatch(self.place, place) is not None


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


def _of_answers() -> Iterator[Fault]:
    yield Fault(
        "dropped-field",
        "a field is missing",
        "summary",
        "body /usage/completion_tokens",
        "missing",
        drop("/usage/completion_tokens"),
    )
    yield Fault("text-for-number", "a number is sent as text", "summary", "body /ticket", "type", put("/ticket", str))
    yield Fault("null-for-value", "a value is null", "summary", "body /model", "type", put("/model", None))
    yield Fault(
        "added-field", "an internal field gets out", "summary", "body /debug", "added", put("/debug", {"cached": False})
    )
    yield Fault(
        "date-format",
        "a date has microseconds and an offset",
        "summary",
        "body /created_at",
        "value",
        put("/created_at", "2026-01-02T03:04:05.678901+00:00"),
    )
    yield Fault("cut-text", "the last word is lost", "summary", "body /text", "value", put("/text", without_last_word))
    yield Fault("wrong-status", "201 instead of 200", "summary", "status", "value", status=201)
    yield Fault("failing", "500 instead of an answer", "triage", "status", "value", status=500)
    yield Fault(
        "content-type", "JSON is called text", "summary", "header content-type", "value", content_type="text/plain"
    )
    yield Fault(
        "lost-header",
        "a stream may be cached",
        "reply",
        "header cache-control",
        "missing",
        without_header="cache-control",
    )
    yield Fault(
        "other-value", "another category is chosen", "triage", "body /category", "value", put("/category", "spam")
    )
    yield Fault(
        "reversed",
        "the best result comes last",
        "search",
        "body /results",
        "order",
        put("/results", lambda found: found[::-1]),
    )
    yield Fault("off-by-one", "one result too few", "search", "body /results/4", "missing", drop("/results/4"))
    yield Fault(
        "rounded",
        "a score has three decimals",
        "search",
        "body /results/0/score",
        "value",
        put("/results/0/score", lambda score: round(score, 3)),
    )
    yield Fault(
        "other-tenant",
        "an article of another organisation is found",
        "search",
        "body /results/0/slug",
        "value",
        put("/results/0/slug", "internal-price-list-of-somebody-else"),
    )


def _of_streams() -> Iterator[Fault]:
    yield Fault("buffered", "a stream is delivered in one piece", "reply", "body", "buffered", at_once=True)
    yield Fault(
        "no-end",
        "a stream ends without its last event",
        "reply",
        "event 2 done",
        "missing",
        events=without_event("done"),
    )
    yield Fault(
        "lost-token", "a token is lost", "reply", "event 1 delta /text", "value", events=without_event("delta", 2)
    )
    yield Fault(
        "late-heading",
        "the citations come after the text",
        "ask",
        "event (1 citations|2 delta)",
        "order",
        events=heading_last,
    )
    yield Fault(
        "other-citation",
        "a citation has another number",
        "ask",
        "event 1 citations /citations/0/number",
        "value",
        events=in_event("citations", put("/citations/0/number", 7)),
    )
    yield Fault("broken-off", "a stream breaks off", "reply", "answer", "failed", is_cut=True)
    later = f"the first token comes {LATER_SECONDS:g} s later"
    yield Fault("slow-start", later, "reply", "", "", later_seconds=LATER_SECONDS)


def _of_calls() -> Iterator[Fault]:
    yield Fault(
        "other-model",
        "another model is asked",
        "summary",
        "effect 1 body /model",
        "value",
        call=in_chat(put("/model", "helpdesk-large")),
    )
    yield Fault(
        "other-temperature",
        "the temperature is another",
        "summary",
        "effect 1 body /temperature",
        "value",
        call=in_chat(put("/temperature", 1.0)),
    )
    yield Fault(
        "other-limit",
        "fewer tokens are asked for",
        "reply",
        "effect 1 body /max_tokens",
        "value",
        call=in_chat(put("/max_tokens", 64)),
    )
    yield Fault(
        "other-prompt",
        "the system prompt says something else",
        "reply",
        "effect 1 body /messages/0/content",
        "value",
        call=in_message(0, lambda text: text + " Be brief."),
    )
    yield Fault(
        "escaped-prompt",
        "the prompt is escaped for HTML",
        "ask",
        "effect 2 body /messages/1/content",
        "value",
        call=in_message(1, lambda text: text.replace("e", "&#101;")),
    )
    yield Fault(
        "lost-history",
        "half of the conversation is not told",
        "summary",
        "effect 1 body /messages/1/content",
        "value",
        call=in_message(1, half_the_history),
    )
    yield Fault(
        "lost-message",
        "a message is not sent",
        "triage",
        "effect 1 body /messages/0",
        "missing",
        call=in_chat(lambda call: call["messages"].pop(0)),
    )
    yield Fault(
        "other-embedding",
        "the query is changed before it is embedded",
        "search",
        "effect 1 body /input/0",
        "value",
        call=in_capitals,
    )
    yield Fault("asked-twice", "the provider is asked twice", "summary", "effect 2", "added", calls=2)


FAULTS = (*_of_answers(), *_of_streams(), *_of_calls())
