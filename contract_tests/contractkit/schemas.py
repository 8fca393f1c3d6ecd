"""Whether one JSON schema takes everything that another one takes, with a value that proves it where it does not.

The only module that touches jsonschema_rs' algebra of schemas, which is young: what it cannot decide is looked for by
drawing values, and what is not found then is "not proven", never a yes.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import hypothesis
import jsonschema_rs
import schemathesis
from hypothesis.errors import HypothesisException
from jsonschema_rs import canonicalize

Json = dict[str, Any]
Schema = Json | bool

_ONLY_FOR_PEOPLE = frozenset(
    ("title", "description", "example", "examples", "default", "deprecated", "readOnly", "writeOnly", "externalDocs")
)
_SCHEMAS_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
LOOK_SECONDS = 3.0
_LONGEST_DRAWN = 64
_SETTINGS = hypothesis.settings(
    max_examples=300,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Takes(Enum):
    """What is known about "everything that the one takes, the other takes too"."""

    EVERYTHING = "everything"
    NOT_ALL = "not all"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Proof:
    """An answer, and for NOT_ALL a value that only the one takes, if it could be found."""

    takes: Takes
    has_witness: bool = False
    witness: Any = None


def takes_all_of(outer: Schema, inner: Schema, look_seconds: float = LOOK_SECONDS) -> Proof:
    """Whether `outer` takes every value that `inner` takes. Both without references (see `inlined`).

    So long a value is looked for that shows it where it does not.
    """
    return _proof(json.dumps(plain(outer), sort_keys=True), json.dumps(plain(inner), sort_keys=True), look_seconds)


@lru_cache(maxsize=1024)  # the same refusals are described with every operation, and looking takes seconds
def _proof(outer_text: str, inner_text: str, look_seconds: float) -> Proof:
    outer, inner = json.loads(outer_text), json.loads(inner_text)
    one, other = canonicalize(outer), canonicalize(inner)
    said = str(one.covers(other))
    if said == "yes":
        return Proof(Takes.EVERYTHING)
    found = _witness(_left_over(one, other, inner), outer, inner, look_seconds)
    if found is not None:
        return Proof(Takes.NOT_ALL, has_witness=True, witness=found[0])
    return Proof(Takes.NOT_ALL if said == "no" else Takes.UNKNOWN)


def inlined(schema: Any, root: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """The schema with what its references point at in their place; one inside itself takes anything there."""
    if isinstance(schema, list):
        return [inlined(each, root, seen) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        pointer = schema["$ref"]
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        if pointer in seen:
            return True
        found: Any = root
        for step in pointer.removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        target = inlined(found, root, (*seen, pointer))
        rest = inlined(beside, root, seen)
        return {"allOf": [target, rest]} if plain(rest) not in ({}, True) else target
    return {name: inlined(value, root, seen) for name, value in schema.items()}


def plain(schema: Any) -> Any:
    """Without the words that are for people only."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {key: plain(each) for key, each in value.items()} if name in _SCHEMAS_BY_NAME else plain(value)
        for name, value in schema.items()
        if name not in _ONLY_FOR_PEOPLE and not name.startswith("x-")
    }


def closed(schema: Any) -> Any:
    """Of a request: only what is declared, or every new optional field of the other side would be a refusal."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    shut = {
        name: {key: closed(each) for key, each in value.items()} if name in _SCHEMAS_BY_NAME else closed(value)
        for name, value in schema.items()
    }
    if "properties" in shut and "additionalProperties" not in shut:
        shut["unevaluatedProperties" if "allOf" in shut else "additionalProperties"] = False
    return shut


def _left_over(outer: Any, inner: Any, instead: Schema) -> Schema:
    """A schema of what only `inner` takes, where the algebra has one."""
    try:
        found: Schema = inner.subtract(outer).to_json_schema()
    except jsonschema_rs.canonical.CanonicalizationError:
        return instead
    return found


def _witness(of: Schema, outer: Schema, inner: Schema, look_seconds: float) -> tuple[Any] | None:
    """A small value that `inner` takes and `outer` does not, checked against both."""
    if not look_seconds or not _can_be_drawn(of):
        return None
    takes, refuses = (jsonschema_rs.validator_for(schema) for schema in (inner, outer))
    until = time.monotonic() + look_seconds
    smallest: list[Any] = []

    def shows(case: Any) -> bool:
        if time.monotonic() > until:
            raise TimeoutError
        if not takes.is_valid(case.body) or refuses.is_valid(case.body):
            return False
        smallest[:] = [case.body]  # drawing goes on with smaller ones
        return True

    with warnings.catch_warnings(), contextlib.suppress(HypothesisException, TimeoutError):
        warnings.simplefilter("ignore")
        hypothesis.find(_operation_that_takes(of).as_strategy(), shows, settings=_SETTINGS)
    return (smallest[0],) if smallest else None


def _can_be_drawn(schema: Any) -> bool:
    """Long texts and lists cannot: Hypothesis would try for minutes."""
    if isinstance(schema, list):
        return all(map(_can_be_drawn, schema))
    if not isinstance(schema, Mapping):
        return True
    sizes = [schema.get(word, 0) for word in ("minLength", "minItems", "minProperties")]
    return max(sizes) <= _LONGEST_DRAWN and all(map(_can_be_drawn, schema.values()))


def _operation_that_takes(schema: Schema) -> Any:
    """Schemathesis draws bodies of operations."""
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation = {"requestBody": body, "responses": {"200": {"description": "taken"}}}
    document = {"openapi": "3.1.0", "info": {"title": "witness", "version": "1"}, "paths": {"/": {"post": operation}}}
    return schemathesis.openapi.from_dict(document)["/"]["POST"]
