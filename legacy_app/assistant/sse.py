"""Server-sent events, read and written (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Lines end with CR, LF or CRLF and nothing else: str.splitlines() would also break a token that holds U+2028.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.core.serializers.json import DjangoJSONEncoder

# One event, and one line of it, may be this long; a provider that sends more is broken.
MAX_EVENT_CHARACTERS = 1_048_576

_LINE_END = re.compile(r"\r\n|\r|\n")
_ENCODER = DjangoJSONEncoder()


class EventTooLongError(ValueError):
    pass


@dataclass(frozen=True)
class Event:
    name: str
    data: str


def frame(name: str, data: dict) -> bytes:
    """One event on the wire; JSON never holds a raw line end, so one `data:` line is enough."""
    return f"event: {name}\ndata: {_ENCODER.encode(data)}\n\n".encode()


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The complete events in these bytes; one that was broken off is dropped, as the standard says."""
    name, data, size = "", [], 0
    for line in lines(chunks):
        if line == "":
            if data:
                yield Event(name or "message", "\n".join(data))
            name, data, size = "", [], 0
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
            size = _checked(size + len(value))


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    rest, after_cr = "", False
    for chunk in chunks:
        text = decoder.decode(chunk)
        if not text:
            continue
        if after_cr:  # the LF of a CRLF that was cut in two
            text = text.removeprefix("\n")
        after_cr = text.endswith("\r")
        *complete, rest = _LINE_END.split(rest + text)
        yield from complete
        _checked(len(rest))


def _checked(characters: int) -> int:
    if characters > MAX_EVENT_CHARACTERS:
        raise EventTooLongError(f"An event is longer than {MAX_EVENT_CHARACTERS} characters.")
    return characters
