"""What spoils an answer, a stream or a call of the faulty candidate: functions that change one thing."""

import json
import re
from collections.abc import Callable
from typing import Any

from .wire import Json

Change = Callable[[Any], None]
"""Of the object that a JSON text says."""
Stream = Callable[[list[bytes]], list[bytes]]
"""Of a stream's events; each is bytes with its blank line."""


def events_of(body: bytes) -> list[bytes]:
    """Whole events, each with the blank line that ends it; what follows the last one is an event too."""
    return [piece for piece in re.split(rb"(?<=\n\n)", body) if piece]


def put(pointer: str, value: Any) -> Change:
    """Puts `value` (or what it makes of the old one) where a JSON pointer points."""

    def change(document: Any) -> None:
        *parents, last = _steps(pointer)
        for step in parents:
            document = document[step]
        document[last] = (
            value(document.get(last) if isinstance(document, dict) else document[last]) if callable(value) else value
        )

    return change


def drop(pointer: str) -> Change:
    def change(document: Any) -> None:
        *parents, last = _steps(pointer)
        for step in parents:
            document = document[step]
        del document[last]

    return change


def _steps(pointer: str) -> list[Any]:
    return [int(step) if re.fullmatch(r"-?\d+", step) else step for step in pointer.split("/")[1:]]


def without_event(name: str, which: int = 0) -> Stream:
    def change(events: list[bytes]) -> list[bytes]:
        named = [index for index, event in enumerate(events) if _name(event) == name]
        gone = named[which] if named else None
        return [event for index, event in enumerate(events) if index != gone]

    return change


def in_event(name: str, change: Change) -> Stream:
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


def heading_last(events: list[bytes]) -> list[bytes]:
    """The heading comes after the text instead of before it."""
    return [*events[1:-1], events[0], events[-1]]


def in_message(index: int, change: Callable[[str], str]) -> Change:
    def changed(call: Json) -> None:
        if "messages" in call:
            call["messages"][index]["content"] = change(call["messages"][index]["content"])

    return changed


def in_chat(change: Change) -> Change:
    """Only calls that ask for a completion; embeddings stay."""

    def changed(call: Json) -> None:
        if "messages" in call:
            change(call)

    return changed


def half_the_history(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(lines[: len(lines) // 2])


def without_last_word(text: str) -> str:
    return text.rsplit(" ", 1)[0]


def in_capitals(call: Json) -> None:
    if "messages" not in call:
        call["input"] = [text.upper() for text in call["input"]]
