"""Server-sent events, read as a browser reads them, and brought into a form in which chunks no longer matter.

How a stream was cut into packets is nobody's business, and neither is how a text was cut into events: consecutive
events that carry pieces of one text are joined into one. What is left is the grammar of the stream: which events came,
in which order, with what in them.

The format is that of the HTML standard, section 9.2.6: lines end with CR, LF or CRLF and nothing else (U+2028 is a
character like any other), a byte order mark at the start is dropped, several `data` lines are joined by line feeds,
comments are ignored, and an event that no empty line ends does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .json_values import NotJson, canonical, fingerprint, parse
from .rules import Rules, Trees, parse_pointer

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_WORD = re.compile(r"[\s/]")
LONGEST_WORD = 64
DONE = "[DONE]"


class Event(NamedTuple):
    """One event as it came."""

    type: str
    data: str
    id: str
    """Empty: none was given with this event."""
    retry: str
    end: int
    """How far into the body it reaches: where it is complete."""


Steps = tuple[str, ...]
Forest = dict[str | None, "Forest"]
"""Pointers that begin alike, together, by their steps; None where one ends."""
Pieces = dict[Steps, list[str]]
"""By the place of a text, what it was joined from."""


@dataclass(slots=True)
class Part:
    """One event, or a run of events that carry pieces of one text."""

    type: str
    value: Any
    """Its data as JSON, with the joined text in its place; a str if it is not JSON."""
    is_json: bool
    id: str = ""
    retry: str = ""
    pieces: Pieces = field(default_factory=dict)
    """Empty: it is no piece of a text."""
    shape: bytes = b""
    """Of a run: equal for events that may go on with it."""


def events(body: bytes) -> Iterator[Event]:
    """The events of a stream that a client would be told of."""
    start = len(_BYTE_ORDER_MARK) if body.startswith(_BYTE_ORDER_MARK) else 0
    kind, data, fields = "", list[str](), {"id": "", "retry": ""}
    for end in _LINE_END.finditer(body, start):
        line, start = body[start : end.start()].decode("utf-8", "surrogateescape"), end.end()
        if not line:
            if data:
                yield Event(kind or "message", "\n".join(data), fields["id"], fields["retry"], start)
            kind, data, fields = "", [], {"id": "", "retry": ""}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "event":
                kind = value
            case "id" | "retry":
                fields[name] = value


def parts(body: bytes, rules: Rules) -> list[Part]:
    """The stream's grammar: runs joined, events that the rules ignore left out."""
    texts = _forest(rules.texts)
    told: list[Part] = []
    for event in events(body):
        event = event._replace(type=word(event.type))
        if rules.ignores("event", "*", event.type):
            continue
        part = _part(event, texts, rules)
        if told and part.pieces and told[-1].pieces.keys() == part.pieces.keys() and told[-1].shape == part.shape:
            for place, pieces in part.pieces.items():
                told[-1].pieces[place] += pieces
        else:
            told.append(part)
    for part in told:
        for place, pieces in part.pieces.items():
            part.value = _with(part.value, place, "".join(pieces))
    return told


def word(name: str) -> str:
    """A name from outside as one word of a place."""
    return _NO_WORD.sub("_", name)[:LONGEST_WORD] or "_"


def trees_of(part_type: str, rules: Rules, number: str = "*") -> Trees:
    """The rules for what an event of this type holds."""
    tree = rules.under("event", number, part_type)
    return () if tree is None else (tree,)


def _part(event: Event, texts: Forest, rules: Rules) -> Part:
    value = _json(event.data)
    if value is None:
        is_piece = event.type == "message" and event.data != DONE
        pieces: Pieces = {(): [event.data]} if is_piece else {}
        return Part(event.type, event.data, is_json=False, id=event.id, retry=event.retry, pieces=pieces, shape=b"text")
    places: Iterable[Steps] = [()] if isinstance(value, str) else dict.fromkeys(_places(value, texts))
    if not places:
        return Part(event.type, value, is_json=True, id=event.id, retry=event.retry)
    pieces = {place: [_at(value, place)] for place in places}
    for place in places:
        value = _with(value, place, "")
    trees = trees_of(event.type, rules)
    shape = event.type.encode() + (fingerprint(value, trees) if trees else canonical(value))
    return Part(event.type, value, is_json=True, pieces=pieces, shape=shape)


def _json(data: str) -> Any:
    """An object, an array or a text; None if it is no JSON, or a bare word or number as a raw text may begin with."""
    if not data.startswith(("{", "[", '"')):
        return None
    try:
        return parse(data.encode("utf-8", "surrogateescape"))
    except NotJson:
        return None


def _forest(texts: Iterable[str]) -> Forest:
    forest: Forest = {}
    for text in texts:
        branch = forest
        for step in parse_pointer(text):
            branch = branch.setdefault(step, {})
        branch[None] = {}
    return forest


def _places(value: Any, forest: Forest) -> Iterator[Steps]:
    """Where the texts are that pointers with `*` for any step lead to."""
    if isinstance(value, str):
        if None in forest:
            yield ()
        return
    if not isinstance(value, (dict, list)):
        return
    for step, branch in forest.items():
        for found in () if step is None else _steps(value, step):
            for place in _places(value[found] if isinstance(value, dict) else value[int(found)], branch):
                yield (found, *place)


def _steps(value: dict[str, Any] | list[Any], step: str) -> Iterable[str]:
    """The steps that there are."""
    if isinstance(value, dict):
        return value if step == "*" else (step,) if step in value else ()
    if step == "*":
        return map(str, range(len(value)))
    return (step,) if step.isdecimal() and int(step) < len(value) else ()


def _at(value: Any, place: Steps) -> Any:
    for step in place:
        value = value[step] if isinstance(value, dict) else value[int(step)]
    return value


def _with(value: Any, place: Steps, text: str) -> Any:
    """The value, with the text put there; it belongs to us alone, so it is changed in place."""
    if not place:
        return text
    holder = _at(value, place[:-1])
    holder[place[-1] if isinstance(holder, dict) else int(place[-1])] = text
    return value
