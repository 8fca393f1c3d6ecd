"""Whether one JSON schema takes everything that another one takes, with a value that proves it where it does not.

The only module that touches jsonschema_rs' algebra of schemas, which is young: what it cannot decide is looked for by
drawing values, and what is not found then is "not proven", never a yes.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import hypothesis
import jsonschema_rs
import schemathesis
from hypothesis.errors import HypothesisException
from jsonschema_rs import canonicalize
from jsonschema_rs.canonical import CanonicalizationError

from .normalise import Schema, closed, plain
from .samples import LONGEST_DRAWN, SETTINGS, samples

LOOK_SECONDS = 3.0
_LONGEST_SHOWN = 300
_MOST_SHOWN = 3


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
    why: str = ""
    """Of UNKNOWN: what is wrong with one of the schemas."""


def takes_all_of(
    outer: Schema, inner: Schema, look_seconds: float = LOOK_SECONDS, *, only_declared: bool = False
) -> Proof:
    """Whether `outer` takes every value that `inner` takes. Both without references (see `normalise.inlined`).

    `only_declared`: of objects that `inner` takes, those with fields that it declares; else every optional field that
    `outer` alone declares would be a refusal. Where the answer is no, a value that shows it is looked for among
    samples, and then drawn for so long.
    """
    texts = [json.dumps(plain(schema), sort_keys=True) for schema in (outer, inner)]
    return _proof(*texts, look_seconds, only_declared)


@lru_cache(maxsize=1024)  # the same refusals are described with every operation, and looking takes seconds
def _proof(outer_text: str, inner_text: str, look_seconds: float, only_declared: bool) -> Proof:
    if outer_text == inner_text:
        return Proof(Takes.EVERYTHING)
    outer, inner = json.loads(outer_text), json.loads(inner_text)
    if only_declared:
        inner = closed(inner)
    try:
        one, other = _canonical(outer), _canonical(inner)
    except ValueError as wrong:
        return Proof(Takes.UNKNOWN, why=str(wrong).partition("\n")[0])
    said = str(one.covers(other))
    if said == "yes":
        return Proof(Takes.EVERYTHING)
    found = _witness(_left_over(one, other, inner), outer, inner, look_seconds)
    if found is not None:
        return Proof(Takes.NOT_ALL, has_witness=True, witness=found[0])
    return Proof(Takes.NOT_ALL if said == "no" else Takes.UNKNOWN)


def shown(value: Any) -> str:
    """In a line; of long texts the beginning."""
    told = json.dumps(_shortened(value), ensure_ascii=False)
    return told if len(told) <= _LONGEST_SHOWN else told[:_LONGEST_SHOWN] + "…"


def _shortened(value: Any) -> Any:
    match value:
        case str() if len(value) > LONGEST_DRAWN:
            return f"{value[:8]}… ({len(value)} characters)"
        case list():
            more = [f"… ({len(value)} in all)"] if len(value) > _MOST_SHOWN else []
            return [*map(_shortened, value[:_MOST_SHOWN]), *more]
        case dict():
            return {name: _shortened(each) for name, each in value.items()}
        case _:
            return value


def _canonical(schema: Schema) -> Any:
    return canonicalize(schema, validate_formats=True)


def _left_over(outer: Any, inner: Any, instead: Schema) -> Schema:
    """A schema of what only `inner` takes, where the algebra has one."""
    try:
        found: Schema = inner.subtract(outer).to_json_schema()
    except CanonicalizationError:
        return instead
    return found


def _both(one: Schema, other: Schema) -> Schema:
    """A schema of what both take, or of what the first takes where the algebra has none."""
    try:
        found: Schema = _canonical(one).intersect(_canonical(other)).to_json_schema()
    except CanonicalizationError:
        return one
    return found


def _witness(of: Schema, outer: Schema, inner: Schema, look_seconds: float) -> tuple[Any] | None:
    """A small value that `inner` takes and `outer` does not, checked against both."""
    takes, refuses = (jsonschema_rs.validator_for(schema, validate_formats=True) for schema in (inner, outer))

    def shows(value: Any) -> bool:
        return takes.is_valid(value) and not refuses.is_valid(value)

    found = [value for value in samples(of, _both) if shows(value)]
    if found:
        return (min(found, key=lambda value: len(json.dumps(value))),)
    return _drawn(of, shows, look_seconds) if look_seconds and _can_be_drawn(of) else None


def _drawn(of: Schema, shows: Callable[[Any], bool], look_seconds: float) -> tuple[Any] | None:
    until = time.monotonic() + look_seconds
    smallest: list[Any] = []

    def shows_it(case: Any) -> bool:
        if time.monotonic() > until:
            raise TimeoutError
        if not shows(case.body):
            return False
        smallest[:] = [case.body]  # drawing goes on with smaller ones
        return True

    with warnings.catch_warnings(), contextlib.suppress(HypothesisException, TimeoutError):
        warnings.simplefilter("ignore")
        hypothesis.find(_operation_that_takes(of).as_strategy(), shows_it, settings=SETTINGS)
    return (smallest[0],) if smallest else None


def _can_be_drawn(schema: Any) -> bool:
    """Long texts and lists cannot: Hypothesis would try for minutes."""
    if isinstance(schema, list):
        return all(map(_can_be_drawn, schema))
    if not isinstance(schema, Mapping):
        return True
    sizes = [schema.get(word, 0) for word in ("minLength", "minItems", "minProperties")]
    return max(sizes) <= LONGEST_DRAWN and all(map(_can_be_drawn, schema.values()))


def _operation_that_takes(schema: Schema) -> Any:
    """Schemathesis draws bodies of operations."""
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation = {"requestBody": body, "responses": {"200": {"description": "taken"}}}
    document = {"openapi": "3.1.0", "info": {"title": "witness", "version": "1"}, "paths": {"/": {"post": operation}}}
    return schemathesis.openapi.from_dict(document)["/"]["POST"]
