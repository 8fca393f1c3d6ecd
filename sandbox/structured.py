"""Answers a JSON schema with values that are valid for it and sensible for the prompt: enums are chosen by the text."""

import math
import re
from typing import Any

from .prose import telling_sentence
from .ticket import ticket_in
from .words import TOPICS, URGENCY, telling_words, words

Schema = dict[str, Any]

_MEANING = re.compile(r"^- *([\w-]+): *(.+)$", re.MULTILINE)
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
MAX_REASON_WORDS = 24
MAX_DEPTH = 20  # a schema that refers to itself ends here


def structured_answer(schema: Schema, system: str, user: str) -> Any:
    """A value that is valid for the schema; what it says comes out of the prompt."""
    ticket = ticket_in(user)
    said = [turn.text for turn in ticket.said_by("customer")] if ticket else [user]
    text = "\n".join([ticket.subject, ticket.subject, *said] if ticket else said)
    return _value(schema, schema, text, _meanings(system), MAX_DEPTH)


def _value(schema: Schema, root: Schema, text: str, meanings: dict[str, frozenset[str]], depth: int) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chosen(schema["enum"], text, meanings)
    match _type(schema):
        case "object":
            return {
                name: _value(inner, root, text, meanings, depth - 1)
                for name, inner in schema.get("properties", {}).items()
                if depth > 0 or name in schema.get("required", [])
            }
        case "array":
            count = schema.get("minItems", 1 if depth > 0 else 0)
            return [_value(schema.get("items", {}), root, text, meanings, depth - 1) for _ in range(count)]
        case "integer":
            return int(_number(schema, 1))
        case "number":
            return _number(schema, 0.5)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _string(schema, text)


def chosen(options: list[Any], text: str, meanings: dict[str, frozenset[str]]) -> Any:
    """The option whose marks occur most often in the text; without any: `other`, `normal`, or the first."""
    stems = telling_words(text) + words(text)
    scores = {
        place: sum(stems.count(mark) for mark in _marks(option, meanings)) for place, option in enumerate(options)
    }
    best = max(scores, key=lambda place: scores[place])
    if scores[best]:
        return options[best]
    return next((option for option in ("other", "normal") if option in options), options[0])


def _marks(option: object, meanings: dict[str, frozenset[str]]) -> frozenset[str]:
    name = str(option)
    known = TOPICS.get(name) or URGENCY.get(name)
    return known if known is not None else meanings.get(name, frozenset()) | frozenset(telling_words(name))


def _meanings(system: str) -> dict[str, frozenset[str]]:
    """What the prompt itself says about the options, in lines like `- billing: invoices, refunds`."""
    return {name: frozenset(telling_words(meaning)) for name, meaning in _MEANING.findall(system)}


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(MAX_DEPTH):
        if "$ref" in schema:
            found: Any = root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
            continue
        several = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if not several:
            break
        schema = next((option for option in several if option.get("type") != "null"), several[0])
    return schema


def _type(schema: Schema) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    return str(kind)


def _number(schema: Schema, usual: float) -> float:
    """A number between the bounds: the usual one if it fits."""
    bounds: dict[str, float] = {name: bound for name, bound in schema.items() if name.endswith("imum")}
    low = bounds.get("minimum", bounds.get("exclusiveMinimum", -math.inf))
    high = bounds.get("maximum", bounds.get("exclusiveMaximum", math.inf))
    if low < usual < high or usual in (bounds.get("minimum"), bounds.get("maximum")):
        return usual
    if high == math.inf:
        return low + 1
    return high - 1 if low == -math.inf else (low + high) / 2


def _string(schema: Schema, text: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    sentence = " ".join(telling_sentence(text).split()[:MAX_REASON_WORDS])
    said = f"The customer writes: “{sentence}”" if sentence else "The prompt says nothing."
    return said[: schema.get("maxLength", len(said))].ljust(schema.get("minLength", 0), ".")
