"""Values that a schema takes: the smallest one, and others that differ from it in one place, at that place's limits.

Not every one is taken: `not`, `dependentRequired` and their like are left to whoever asks, who checks them anyway.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import hypothesis
from hypothesis import strategies
from hypothesis.errors import HypothesisException

from .normalise import Json, Schema

Both = Callable[[Schema, Schema], Schema]
"""A schema of what two others take."""

MOST = 200
"""Of one place."""
LONGEST = 100_000
"""Characters of a text; whose limit is beyond it has no limit for our purpose."""
LONGEST_DRAWN = 64
"""Hypothesis would draw longer texts for minutes."""
_ANYTHING: tuple[Any, ...] = ("a", 1, None, True, [], {})
_FORMATTED = {
    "date": ("2000-01-01",),
    "date-time": ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.123456Z", "2000-01-01T00:00:00+01:00"),
    "time": ("00:00:00Z",),
    "duration": ("P1D",),
    "email": ("a@example.org",),
    "hostname": ("example.org",),
    "ipv4": ("127.0.0.1",),
    "ipv6": ("::1",),
    "uri": ("http://example.org/",),
    "uri-reference": ("/a",),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
}
SETTINGS = hypothesis.settings(
    max_examples=300,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def samples(schema: Schema, both: Both) -> list[Any]:
    """Without references (`normalise.inlined`). Empty if it takes nothing, or nothing that is found so."""
    return list(islice(_of(schema, both), MOST))


def _of(schema: Schema, both: Both) -> Iterator[Any]:
    if isinstance(schema, bool):
        yield from _ANYTHING if schema else ()
        return
    if "const" in schema or "enum" in schema:
        yield from [schema["const"]] if "const" in schema else schema["enum"]
        return
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            rest = {name: value for name, value in schema.items() if name != word}
            yield from _composed(word, schema[word], rest, both)
            return
    types = schema.get("type", ("object",) if {"properties", "required"} & schema.keys() else None)
    if types is None:
        yield from _ANYTHING
        return
    for each in [types] if isinstance(types, str) else types:
        yield from _TYPES[each](schema, both)


def _composed(word: str, parts: list[Schema], rest: Json, both: Both) -> Iterator[Any]:
    if word == "allOf":
        together: Schema = rest
        for each in parts:
            together = both(together, each)
        if isinstance(together, Mapping):  # what is left there are negations
            together = {name: value for name, value in together.items() if name != "allOf"}
        yield from _of(together, both)
        return
    for each in parts:
        yield from _of({**rest, **each} if isinstance(each, Mapping) else each, both)


def _objects(schema: Json, both: Both) -> Iterator[Any]:
    known: Json = schema.get("properties", {})
    others = schema.get("additionalProperties")
    required = schema.get("required", ())
    beside: Schema = True if others is None else others
    values = {name: samples(known.get(name, beside), both) for name in required}
    if not all(values.values()):
        return
    least = {name: found[0] for name, found in values.items()}
    yield least
    for name, found in values.items():
        yield from ({**least, name: value} for value in found[1:])
    for name in (name for name in known if name not in values):
        yield from ({**least, name: value} for value in samples(known[name], both))
    if others is not False and (others or schema.get("minProperties")):
        yield from ({**least, "other": value} for value in samples(others or True, both))


def _arrays(schema: Json, both: Both) -> Iterator[Any]:
    every, least = schema.get("items", True), max(schema.get("minItems", 0), "contains" in schema)
    each = both(every, schema["contains"]) if "contains" in schema else every
    first = [next(iter(samples(one, both)), None) for one in schema.get("prefixItems", ())]
    if not least:
        yield []
    for value in samples(each, both):
        more = max(least - len(first), 1)
        yield [*first, *[value] * min(more, MOST)]


def _numbers(schema: Json, both: Both) -> Iterator[Any]:
    step = schema.get("multipleOf", 1)
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    limits = [limit for limit in (low, high) if limit is not None]
    found = limits or [0, step]
    if schema.get("type") != "integer":
        found += [limit + 0.5 for limit in found] + [limit - 0.5 for limit in limits]
    yield from found


def _texts(schema: Json, both: Both) -> Iterator[Any]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    yield from _FORMATTED.get(schema.get("format", ""), ())
    if "pattern" in schema:
        yield from _matching(schema["pattern"], shortest)
    if "pattern" in schema or "format" in schema:
        return
    for length in (max(shortest, longest != 0), shortest, longest):
        if length is not None and length <= LONGEST:
            yield "a" * length


@lru_cache(maxsize=256)
def _matching(pattern: str, shortest: int) -> tuple[str, ...]:
    """A text that matches: a well-known one, or else it is drawn."""
    if shortest > LONGEST:
        return ()
    known = [text for texts in _FORMATTED.values() for text in texts if len(text) >= shortest]
    with contextlib.suppress(re.error, HypothesisException):
        for text in ("a" * max(shortest, 1), "0" * max(shortest, 1), *known):
            if re.search(pattern, text):
                return (text,)
        if shortest <= LONGEST_DRAWN:
            drawn = strategies.from_regex(pattern)
            return (hypothesis.find(drawn, lambda text: len(text) >= shortest, settings=SETTINGS),)
    return ()


_TYPES: dict[str, Callable[[Json, Both], Iterator[Any]]] = {
    "object": _objects,
    "array": _arrays,
    "integer": _numbers,
    "number": _numbers,
    "string": _texts,
    "boolean": lambda _, __: iter((False, True)),
    "null": lambda _, __: iter((None,)),
}
