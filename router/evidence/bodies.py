"""Bodies by what they are: JSON, events, JSON by line, texts, bytes. Each finds its differences at its own places."""

from __future__ import annotations

import zlib
from collections.abc import Sized
from typing import Any, Literal

from .alignment import Alignment, in_order
from .event_streams import Part, parts, trees_of
from .found import Found
from .json_values import MOST_BYTES, NotJson, fingerprint, parse
from .observations import Kind, Observation
from .structure import differ, excuses_text

Form = Literal["json", "events", "json lines", "text", "bytes"]
_ENCODINGS = ("gzip", "x-gzip", "deflate")
_JSON_LINES = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines")
_TEXTS = (b"text/", b"application/xml", b"application/x-www-form")


def header(observation: Observation, name: bytes) -> bytes:
    """All values of a header in one line."""
    return b", ".join(value.strip() for key, value in observation.headers if key == name)


def is_readable(observation: Observation) -> bool:
    """Whether its encoding is one that can be taken off."""
    return _encoding(observation) in ("", "identity", *_ENCODINGS)


def _encoding(observation: Observation) -> str:
    return header(observation, b"content-encoding").decode("latin-1").lower()


def decoded(observation: Observation) -> bytes:
    """The body without its content encoding; as it is if that cannot be taken off, or makes it longer than is read."""
    body, encoding = observation.body, _encoding(observation)
    if encoding not in _ENCODINGS:
        return body
    for window in (47, -15):  # with a header of gzip or zlib; then deflate without any, as some servers send it
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(body, MOST_BYTES)
        except zlib.error:
            continue
        if unpacker.eof and not unpacker.unused_data:
            return plain
    return body


def differ_bodies(found: Found, control: Observation, candidate: Observation) -> None:
    """Adds to `found` where the bodies of two whole answers differ."""
    one, other = decoded(control), decoded(candidate)
    if one == other or found.rules.ignores("body"):
        return
    if is_readable(control) and is_readable(candidate):
        differ_contents(found, "body", one, other, _form(header(control, b"content-type").lower()))
    else:
        found.bytes("body", one, other)


def _form(content_type: bytes) -> Form | None:
    """None: it does not say."""
    media_type = content_type.partition(b";")[0].strip()
    if media_type == b"text/event-stream":
        return "events"
    if media_type == b"application/json" or media_type.endswith(b"+json"):
        return "json"
    if media_type in _JSON_LINES:
        return "json lines"
    if media_type.startswith(_TEXTS):
        return "text"
    return "bytes" if media_type else None


def differ_contents(found: Found, place: str, control: bytes, candidate: bytes, form: Form | None = None) -> None:
    """Two contents of one place. Without a form they are JSON if both can be read so, else texts, else bytes."""
    if form == "events":
        _differ_events(found, control, candidate)
    elif form in ("json", None) and _differ_json(found, place, control, candidate):
        return
    elif form == "bytes" or not _differ_texts(found, place, control, candidate, is_json=form == "json lines"):
        found.bytes(place, control, candidate)


def _differ_json(found: Found, place: str, control: bytes, candidate: bytes) -> bool:
    """False: this is no JSON on either side, or none that can be walked through."""
    values = [_json(body) for body in (control, candidate)]
    if values == [None, None]:
        return False
    if values[0] is None or values[1] is None:
        found.in_clear(place, Kind.TYPE, *("not json" if value is None else "json" for value in values))
        return True
    tree, before = found.rules.under(*place.split()), len(found)
    try:
        differ(found, place, *values[0], *values[1], () if tree is None else (tree,))
    except NotJson:
        found.back_to(before)
        found.bytes(place, control, candidate)
    return True


def _json(body: bytes) -> tuple[Any] | None:
    """The value, which may be None, or that there is none."""
    try:
        return (parse(body),)
    except NotJson:
        return None


def _differ_texts(found: Found, place: str, control: bytes, candidate: bytes, *, is_json: bool) -> bool:
    """By line, each of which may be JSON. False: they are no UTF-8."""
    try:
        one, other = control.decode(), candidate.decode()
    except UnicodeDecodeError:
        return False
    if is_excused(found, place, one, other):
        return True
    lines, others = one.split("\n"), other.split("\n")
    if len(lines) == len(others):
        aligned = _one_to_one(lines)
    else:
        prints, other_prints = ([_line_print(line) if is_json else line for line in side] for side in (lines, others))
        aligned = in_order(prints, other_prints)
    for left, right in aligned.together:
        there, line, other_line = f"{place} line {left + 1}", lines[left], others[right]
        if line == other_line or is_excused(found, there, line, other_line):
            continue
        if not (is_json and _differ_json(found, there, line.encode(), other_line.encode())):
            found.value(there, line, other_line)
    for left in aligned.missing:
        found.missing(f"{place} line {left + 1}", lines[left])
    for right in aligned.added:
        found.added(f"{place} line {right + 1}", others[right])
    return True


def _line_print(line: str) -> bytes:
    try:
        return fingerprint(parse(line.encode()))
    except NotJson:
        return line.encode()


def is_excused(found: Found, place: str, control: str, candidate: str) -> bool:
    """Whether a rule for this place lets two texts differ so."""
    tree = found.rules.under(*place.split())
    return tree is not None and tree.rule is not None and excuses_text(tree.rule, control, candidate)


def _one_to_one(items: Sized) -> Alignment:
    return Alignment([(index, index) for index in range(len(items))], [], [])


def _differ_events(found: Found, control: bytes, candidate: bytes) -> None:
    """By event, runs of pieces of one text joined."""
    ours, theirs = parts(control, found.rules), parts(candidate, found.rules)
    labels = [part.type for part in ours], [part.type for part in theirs]
    if labels[0] == labels[1]:
        aligned = _one_to_one(ours)
    else:
        prints, others = ([_print(found, part) for part in side] for side in (ours, theirs))
        aligned = in_order(prints, others, labels)
    for left, right in aligned.together:
        _differ_parts(found, left, ours[left], theirs[right])
    for left in aligned.missing:
        found.missing(_event(left, ours[left]), ours[left].value)
    for right in aligned.added:
        found.added(_event(right, theirs[right]), theirs[right].value)
    if crossing := aligned.first_crossing():
        found.in_clear(_event(crossing[0], ours[crossing[0]]), Kind.ORDER)


def _print(found: Found, part: Part) -> tuple[str, str, bytes]:
    return part.type, part.id, fingerprint(part.value, trees_of(part.type, found.rules))


def _event(index: int, part: Part) -> str:
    return f"event {index + 1} {part.type}"


def _differ_parts(found: Found, index: int, control: Part, candidate: Part) -> None:
    place = _event(index, control)
    if control.is_json != candidate.is_json:
        found.in_clear(place, Kind.TYPE, *("json" if part.is_json else "text" for part in (control, candidate)))
        return
    try:
        differ(found, place, control.value, candidate.value, trees_of(control.type, found.rules, str(index + 1)))
    except NotJson:
        found.value(place, control.value, candidate.value)
    if not (control.pieces or candidate.pieces):
        for name in ("id", "retry"):
            if getattr(control, name) != getattr(candidate, name):
                found.value(f"{place} {name}", getattr(control, name), getattr(candidate, name))
