"""Proposes a promise from recorded traffic, for a monolith that has none written down.

What traffic shows is proposed with the number of times it was seen; what it cannot show (bounds, fields nobody sent,
statuses nobody met) is for the reader to add. Nothing that could be somebody's gets into it: of headers only names
from a list, of texts only short words that come again and again where no person is named, of paths only what does not
vary.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .document import JSON, STREAM, Json
from .event_streams import parse
from .shapes import Shape, is_name, shape_of

HEADERS = ("allow", "cache-control", "content-language", "location", "retry-after", "www-authenticate")
"""The headers of answers whose presence is proposed; their values never are."""
NAMES_THAT_VARY = 5
"""So many different names in one place of a path are values of a parameter, if their answers are alike."""
ALIKE = 0.5
"""Such a share of all keys is in the answer of each name, on average."""
_NUMBER = re.compile(r"\d+")
_ONE_OF_MANY = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ss", "ss"), ("s", ""))
_WORD = re.compile(
    r"[A-Za-z_][A-Za-z_-]{0,39}\d{0,3}(?:\.[a-z]{1,5})?"
)  # whatever is no plain word could be somebody's


class TrafficError(Exception):
    """The recording cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Recorded:
    """One request and its answer. Paths without the query; header names in small letters."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    request_body: bytes
    status: int
    headers: frozenset[str]
    answer_type: str
    answer_body: bytes


def read_har(text: str) -> list[Recorded]:
    """The entries of an HTTP Archive (HAR 1.2, as browsers and proxies save it). Raises TrafficError."""
    try:
        entries = json.loads(text)["log"]["entries"]
        return [_recorded(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TrafficError("this is no HTTP Archive: browsers save one from their network panel") from None


def propose(recorded: Sequence[Recorded], title: str) -> Json:
    """An OpenAPI 3.1 document. Raises TrafficError if there is nothing in the recording."""
    if not recorded:
        raise TrafficError("there is no request in this recording")
    by_operation: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
    templates = _Templates(recorded)
    for each in recorded:
        by_operation[templates.of(each), each.method].append(each)
    paths: dict[str, Json] = defaultdict(dict)
    for (path, method), seen in sorted(by_operation.items()):
        if any(each.status < 400 for each in seen):
            paths[path][method.lower()] = _operation(path, seen)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "0", "description": f"Learned from {len(recorded)} requests. Review it."},
        "paths": dict(paths),
    }


def _recorded(entry: Json) -> Recorded:
    request, response = entry["request"], entry["response"]
    url = urlsplit(request["url"])
    content = response.get("content", {})
    text = content.get("text") or ""
    body = base64.b64decode(text) if content.get("encoding") == "base64" else text.encode()
    posted = request.get("postData") or {}
    return Recorded(
        request["method"].upper(),
        url.path or "/",
        tuple(parse_qsl(url.query, keep_blank_values=True)),
        (posted.get("text") or "").encode(),
        int(response["status"]),
        frozenset(header["name"].lower() for header in response.get("headers", [])),
        _media_type(content.get("mimeType", "")),
        body,
    )


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


class _Templates:
    """Finds what varies in paths: numbers and ids at once, names once there are many in one place."""

    def __init__(self, recorded: Iterable[Recorded]) -> None:
        self._names: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        """Of each place the names in it, and of each name what its answers hold."""
        for each in recorded:
            if each.status >= 400:
                continue  # what is not there says nothing about what is
            pieces = _pieces(each.path)
            for index, piece in enumerate(pieces):
                if not _is_id(piece):
                    self._names[self._place(each.method, pieces, index)][piece] |= _contents(each)

    def of(self, recorded: Recorded) -> str:
        pieces = _pieces(recorded.path)
        used: set[str] = set()
        found: list[str] = []
        for index, piece in enumerate(pieces):
            parent = found[-1] if found and not found[-1].startswith("{") else "item"
            if _is_id(piece):
                found.append(_parameter(f"{_singular(parent)}_id", used))
            elif self._varies(self._place(recorded.method, pieces, index)):
                found.append(_parameter(f"{_singular(parent)}_name", used))
            else:
                found.append(piece)
        return "/" + "/".join(found)

    def _place(self, method: str, pieces: Sequence[str], index: int) -> tuple[str, ...]:
        before = ("{}" if _is_id(piece) else piece for piece in pieces[:index])
        return method, *before, str(len(pieces))

    def _varies(self, place: tuple[str, ...]) -> bool:
        """Many names whose answers are alike; `/api/tickets`, `/api/users` and so on are endpoints of their own."""
        names = self._names[place]
        every = set().union(*names.values())
        alike = sum(map(len, names.values())) >= ALIKE * len(every) * len(names)
        return len(names) >= NAMES_THAT_VARY and alike


def _contents(recorded: Recorded) -> set[str]:
    """The keys of a JSON answer, or of the items in it; of any other its media type."""
    value = _json(recorded.answer_body)
    items = value if isinstance(value, list) else [value]
    if value is None:
        return {recorded.answer_type}
    return {key for item in items if isinstance(item, dict) for key in item} or {type(value).__name__}


def _pieces(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def _is_id(piece: str) -> bool:
    return bool(piece) and not _WORD.fullmatch(piece)


def _parameter(name: str, used: set[str]) -> str:
    while name in used:
        name += "_2"
    used.add(name)
    return f"{{{name}}}"


def _singular(word: str) -> str:
    plain = re.sub(r"\W", "_", word)
    for ending, one in _ONE_OF_MANY:
        if plain.endswith(ending) and len(plain) > max(3, len(ending)):
            return plain.removesuffix(ending) + one
    return plain


def _operation(path: str, seen: Sequence[Recorded]) -> Json:
    taken = [each for each in seen if each.status < 400]
    operation: Json = {"x-seen": len(seen)}
    if parameters := [*_path_parameters(path, taken), *_query_parameters(taken)]:
        operation["parameters"] = parameters
    bodies = [value for each in taken if (value := _json(each.request_body)) is not None]
    if bodies:
        content = {JSON: {"schema": shape_of(bodies).schema()}}
        operation["requestBody"] = {"required": len(bodies) == len(taken), "content": content}
    by_status: dict[int, list[Recorded]] = defaultdict(list)
    for each in seen:
        by_status[each.status].append(each)
    operation["responses"] = {str(status): _response(status, those) for status, those in sorted(by_status.items())}
    return operation


def _path_parameters(path: str, taken: Sequence[Recorded]) -> Iterator[Json]:
    for index, piece in enumerate(_pieces(path)):
        if piece.startswith("{"):
            is_number = all(_NUMBER.fullmatch(_pieces(each.path)[index]) for each in taken)
            schema = {"type": "integer"} if is_number else {"type": "string"}
            yield {"name": piece.strip("{}"), "in": "path", "required": True, "schema": schema}


def _query_parameters(taken: Sequence[Recorded]) -> Iterator[Json]:
    values: dict[str, list[Any]] = defaultdict(list)
    for each in taken:
        for name, value in each.query:
            if not is_name(name):
                continue
            values[name].append(int(value) if _NUMBER.fullmatch(value) and len(value) < 19 else value)
    for name, those in sorted(values.items()):
        is_always_there = all(name in dict(each.query) for each in taken)
        yield {"name": name, "in": "query", "required": is_always_there, "schema": shape_of(those).schema(name)}


def _response(status: int, seen: Sequence[Recorded]) -> Json:
    response: Json = {"description": _phrase(status), "x-seen": len(seen)}
    headers = {name: sum(name in each.headers for each in seen) for name in HEADERS}
    if headers := {name: times for name, times in headers.items() if times}:
        response["headers"] = {
            name: {"required": times == len(seen), "schema": {"type": "string"}} for name, times in headers.items()
        }
    by_type: dict[str, list[Recorded]] = defaultdict(list)
    for each in seen:
        if each.answer_type and each.answer_body:
            by_type[each.answer_type].append(each)
    if by_type:
        response["content"] = {name: _content(name, those) for name, those in sorted(by_type.items())}
    return response


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)


def _content(media_type: str, seen: Sequence[Recorded]) -> Json:
    if media_type == STREAM:
        return _stream(seen)
    if media_type != JSON:
        return {}
    values = [value for each in seen if (value := _json(each.answer_body)) is not None]
    return {"schema": shape_of(values).schema()} if values else {}


def _stream(seen: Sequence[Recorded]) -> Json:
    shapes: dict[str, Shape] = defaultdict(Shape)
    sequences = set()
    for each in seen:
        events, _ = parse(each.answer_body)
        sequences.add(_collapsed([event.name for event in events]))
        for event in events:
            value = _json(event.data.encode())
            shapes[event.name].add(event.data if value is None else value)
    return {
        "schema": {"type": "string"},
        "x-event-sequence": " | ".join(sorted(f"({each})" if " " in each else each for each in sequences if each)),
        "x-event-data": {name: shape.schema() for name, shape in sorted(shapes.items())},
    }


def _collapsed(names: Sequence[str]) -> str:
    """`citations delta+ done`: a run of the same event is one word."""
    runs: list[tuple[str, int]] = []
    for name in names:
        runs = [*runs[:-1], (name, runs[-1][1] + 1)] if runs and runs[-1][0] == name else [*runs, (name, 1)]
    return " ".join(f"{name}+" if times > 1 else name for name, times in runs)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
