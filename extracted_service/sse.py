"""Server-sent events, read and written (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import codecs
import re
from dataclasses import dataclass
from typing import Any

from .answers import dumps

LARGEST_EVENT_CHARACTERS = 1_048_576

# Not str.splitlines(): that also breaks at U+2028, U+0085 and others, which may stand inside a token.
_LINE_END = re.compile("\r\n|\n|\r")


@dataclass(frozen=True)
class Event:
    name: str
    data: str


class EventParser:
    """Bytes in, in whatever pieces the network made of them; whole events out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._after_cr = False
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that this piece completes; ValueError if one is larger than anybody's token."""
        *lines, self._rest = _LINE_END.split(self._rest + self._text(piece))
        events = [event for line in lines if (event := self._line(line))]
        self._check(len(self._rest))
        return events

    def _text(self, piece: bytes) -> str:
        text = self._decoder.decode(piece)
        if not text:
            return ""
        if self._after_cr and text[0] == "\n":  # a CRLF that came in two pieces
            text = text[1:]
            self._after_cr = False
        if text:
            self._after_cr = text[-1] == "\r"
        return text

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatched()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._data.append(value)
                self._size += len(value)
                self._check(self._size)
            case "event":
                self._name = value
        return None  # the line only adds to its event, or is a comment

    def _dispatched(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return Event(name or "message", "\n".join(data)) if data else None

    def _check(self, characters: int) -> None:
        if characters > LARGEST_EVENT_CHARACTERS:
            raise ValueError("it sent an event that is too large")


def written(name: str, data: dict[str, Any]) -> bytes:
    """One event, framed as the monolith frames it."""
    return f"event: {name}\ndata: {dumps(data)}\n\n".encode("ascii")
