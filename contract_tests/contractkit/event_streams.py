"""Server-sent events and their grammar: which events may follow which, as a regular expression over their names.

Events: https://html.spec.whatwg.org/multipage/server-sent-events.html. Chunks, comments and line ends are no part of
a promise; names, data and order are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LINE_END = re.compile("\r\n|\n|\r")  # not str.splitlines: U+2028 may stand inside a token


@dataclass(frozen=True)
class Event:
    name: str
    data: str


def parse(body: bytes) -> tuple[list[Event], str]:
    """The events of a whole body, and what stands behind the last of them: an event that was cut off."""
    text = body.decode("utf-8-sig", "replace")
    events: list[Event] = []
    name, data, begun = "", list[str](), False
    *lines, rest = _LINE_END.split(text)
    for line in lines:
        if line:
            begun = begun or not line.startswith(":")
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            events.append(Event(name or "message", "\n".join(data)))
        name, data, begun = "", [], False
    return events, rest or ("cut off" if begun else "")


class Grammar:
    """`citations delta* (done | error)`: names, `*`, `+`, `?`, `|` and parentheses.

    Matched by derivatives (J. A. Brzozowski, 1964): what is left of the expression after an event is an expression
    again, so at every event it can be said what may come next.
    """

    def __init__(self, sequence: str) -> None:
        """Raises ValueError if it is no such expression."""
        self.sequence = sequence
        words = _WORD.findall(sequence)
        if "".join(words) != re.sub(r"\s+", "", sequence):
            raise ValueError(f"{sequence!r} is no event sequence: it may hold names, spaces and ( ) | * + ?")
        self._whole = _alternatives(words)
        if words:
            raise ValueError(f"{sequence!r} is no event sequence: there is a {words[0]} too many")

    def broken_by(self, events: Sequence[Event]) -> str:
        """A sentence about the first event that may not stand where it stands, or nothing."""
        left = self._whole
        for number, event in enumerate(events):
            after = _after(left, event.name)
            if after is None:
                return f"event {number} is {event.name!r}; allowed there: {_allowed(left)} (promised: {self.sequence})"
            left = after
        if _may_end(left):
            return ""
        return f"the stream ends too early; allowed next: {_allowed(left)} (promised: {self.sequence})"


_WORD = re.compile(r"[A-Za-z_][\w.-]*|\[DONE\]|[()|*+?]")


@dataclass(frozen=True)
class _Node:
    """`name`: one event; `all`, `any`: its parts in order, or one of them; `many`: its part any number of times."""

    kind: str
    parts: tuple[_Node, ...] = ()
    name: str = ""


_NOTHING = _Node("all")


def _alternatives(words: list[str]) -> _Node:
    found = [_sequence(words)]
    while words and words[0] == "|":
        words.pop(0)
        found.append(_sequence(words))
    return found[0] if len(found) == 1 else _Node("any", tuple(found))


def _sequence(words: list[str]) -> _Node:
    parts: list[_Node] = []
    while words and words[0] not in ")|":
        word = words.pop(0)
        if word == "(":
            part = _alternatives(words)
            if not words or words.pop(0) != ")":
                raise ValueError("an event sequence has a ( without its )")
        elif word in "*+?":
            raise ValueError(f"an event sequence has a {word} with nothing before it")
        else:
            part = _Node("name", name=word)
        while words and words[0] in "*+?":
            part = _times(part, words.pop(0))
        parts.append(part)
    return _Node("all", tuple(parts))


def _times(part: _Node, mark: str) -> _Node:
    match mark:
        case "*":
            return _Node("many", (part,))
        case "+":
            return _Node("all", (part, _Node("many", (part,))))
        case _:
            return _Node("any", (part, _NOTHING))


def _may_end(node: _Node) -> bool:
    match node.kind:
        case "name":
            return False
        case "all":
            return all(map(_may_end, node.parts))
        case "any":
            return any(map(_may_end, node.parts))
        case _:
            return True


def _after(node: _Node, name: str) -> _Node | None:
    """What is left once an event of this name has come; None if it may not come now."""
    match node.kind:
        case "name":
            return _NOTHING if node.name == name else None
        case "many":
            after = _after(node.parts[0], name)
            return after and _all(after, node)
        case "any":
            return _one_of([after for part in node.parts if (after := _after(part, name))])
        case _:
            found = []
            for index, part in enumerate(node.parts):
                if after := _after(part, name):
                    found.append(_all(after, *node.parts[index + 1 :]))
                if not _may_end(part):
                    break
            return _one_of(found)


def _all(*nodes: _Node) -> _Node:
    """In order, one level deep: whatever a stream's length, what is left of an expression stays small."""
    parts = tuple(part for node in nodes for part in (node.parts if node.kind == "all" else (node,)))
    return parts[0] if len(parts) == 1 else _Node("all", parts)


def _one_of(nodes: list[_Node]) -> _Node | None:
    different = tuple(dict.fromkeys(nodes))
    return _Node("any", different) if len(different) > 1 else next(iter(different), None)


def _allowed(node: _Node) -> str:
    names = [name for name in dict.fromkeys(_names(node)) if _after(node, name)]
    return ", ".join([*names, "the end"] if _may_end(node) else names) or "nothing"


def _names(node: _Node) -> Iterator[str]:
    if node.kind == "name":
        yield node.name
    for part in node.parts:
        yield from _names(part)
