"""What a schema says about one place in a document, through references and alternatives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .document import JSON, STREAM, Json, Operation, Promise

_SAME_PLACE = ("allOf", "anyOf", "oneOf")


def schemas_at(promise: Promise, schema: Json | bool, steps: list[str]) -> Iterator[Json | bool]:
    """Every schema that a value at this JSON pointer is held against."""
    if isinstance(schema, bool):
        return
    if "$ref" in schema:
        yield from schemas_at(promise, promise.resolved(schema), steps)
    for word in _SAME_PLACE:
        for each in schema.get(word, ()):
            yield from schemas_at(promise, each, steps)
    if not steps:
        yield {name: value for name, value in schema.items() if name not in ("$ref", *_SAME_PLACE)}
        return
    step, *rest = steps
    if step in schema.get("properties", {}):
        yield from schemas_at(promise, schema["properties"][step], rest)
    elif step.isdecimal() and "items" in schema:
        yield from schemas_at(promise, schema["items"], rest)
    elif isinstance(others := schema.get("additionalProperties"), dict):
        yield from schemas_at(promise, others, rest)


def pointer_of(place: str) -> list[str]:
    """The steps in `body /items/0/id` or `event 3 delta /text`."""
    _, slash, pointer = place.partition("/")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")] if slash else []


def content_schema(operation: Operation, status: int, place: str) -> Json | bool:
    """The schema of the body, or of the event, that a place lies in."""
    content: Any = (operation.response(str(status)) or {}).get("content", {})
    if place.startswith("event "):
        events = content.get(STREAM, {}).get("x-event-data", {})
        return next((events[word] for word in place.split() if word in events), True)
    found: Json | bool = content.get(JSON, {}).get("schema", True)
    return found


def word(operation: Operation | None, status: int, place: str) -> str:
    """What the promise says about a place of an answer, in one line."""
    if operation is None:
        return "says nothing of such a request"
    statuses = ", ".join(sorted(operation.statuses))
    response = operation.response(str(status))
    if place == "status" or response is None:
        return f"allows {statuses}"
    if place.startswith("header "):
        headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
        name = place.split()[1]
        if name == "content-type":
            return f"allows {', '.join(response.get('content', {})) or 'no body'}"
        return _short(headers[name]) if name in headers else "says nothing of this header"
    if place == "events" or (place.startswith("event ") and "/" not in place):
        return str(response.get("content", {}).get(STREAM, {}).get("x-event-sequence", "says nothing of events"))
    found = schemas_at(operation.document, content_schema(operation, status, place), pointer_of(place))
    told = [_short(schema) for schema in found if schema]
    return " and ".join(dict.fromkeys(told)) or "says nothing of this place"


def _short(schema: Json | bool) -> str:
    if isinstance(schema, bool):
        return "anything" if schema else "nothing"
    told = json.dumps({k: v for k, v in schema.items() if k not in ("description", "properties")}, ensure_ascii=False)
    return told if len(told) <= 160 else told[:160] + "…"
