"""Whether a document that an implementation generates keeps the promise, and where it does not.

A request that was promised to be taken must be taken: promised ⊆ described. An answer that is described must be one
that was promised: described ⊆ promised. In both, only the fields that are declared are sent. Names of operations,
components and parameters in paths, titles, descriptions and the order of anything mean nothing to an HTTP client, and
nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .document import JSON, Json, Operation, Promise
from .normalise import Schema, answered, inlined, plain, sent
from .schemas import LOOK_SECONDS, Proof, Takes, shown, takes_all_of

_ALTERNATIVES = ("allOf", "anyOf", "oneOf")


@dataclass(frozen=True)
class Finding:
    """One way in which the described operation is not the promised one."""

    operation: str
    place: str
    """`request body`, `query limit`, `answer 200 body`, `answer 422`, `operation`."""
    says: str
    proof: Proof | None = None

    @property
    def example(self) -> str:
        """A value that shows it, if there is one."""
        return shown(self.proof.witness) if self.proof and self.proof.has_witness else ""

    @property
    def doubt(self) -> str:
        """Why it is not proven, if it is not."""
        if self.proof is None or self.proof.takes is not Takes.UNKNOWN:
            return ""
        return f"not proven either way: {self.proof.why or 'nobody found a value that shows it'}"

    def __str__(self) -> str:
        told = f", for example {self.example}" if self.example else f" ({self.doubt})" if self.doubt else ""
        return f"{self.operation}: {self.place}: {self.says}{told}"


def findings(promise: Promise, described: Promise, side: str, look_seconds: float = LOOK_SECONDS) -> list[Finding]:
    """Everything in which `described` breaks what `promise` says of this side; empty if nothing.

    For each a value is looked for that shows it, by drawing for so long.
    """
    found: list[Finding] = []
    for operation in promise.operations:
        if side in operation.sides:
            found += _of_operation(operation, described, look_seconds)
    return found


def undescribed(promise: Promise, described: Promise) -> list[str]:
    """What the implementation offers although nobody promised it."""
    promised = {_shape(each) for each in promise.operations}
    return [each.name for each in described.operations if _shape(each) not in promised]


def _of_operation(promised: Operation, described: Promise, look_seconds: float) -> Iterator[Finding]:
    alike = [each for each in described.operations if _shape(each, "/") == _shape(promised, "/")]
    other = min(alike, key=lambda each: _shape(each) != _shape(promised), default=None)
    if other is None:
        yield Finding(promised.name, "operation", "is not described")
        return
    if _shape(other) != _shape(promised):
        yield Finding(promised.name, "operation", f"is described with another slash at its end: {other.path}")
    yield from _parameters(promised, other, look_seconds)
    yield from _request(promised, other, look_seconds)
    yield from _answers(promised, other, look_seconds)


def _shape(operation: Operation, end: str = "") -> tuple[str, str]:
    """Names of parameters in a path mean nothing; `end` is what counts as nothing at its end."""
    return operation.method, re.sub(r"\{[^}]+\}", "{}", operation.path).rstrip(end or None)


def _parameters(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    theirs = {_key(each, other): each for each in other.parameters}
    ours = {_key(each, promised): each for each in promised.parameters}
    for key, parameter in ours.items():
        place = f"{parameter['in']} {key[1] if parameter['in'] == 'header' else parameter['name']}"
        if key not in theirs:
            if parameter["in"] == "query":  # a header or a cookie may be looked at by somebody in front of it
                yield Finding(promised.name, place, "is ignored")
            continue
        if theirs[key].get("required") and not parameter.get("required"):
            yield Finding(promised.name, place, "must be sent; promised was that it may be left out")
        proof = takes_all_of(_text(_schema(theirs[key], other)), _schema(parameter, promised), look_seconds)
        if proof.takes is not Takes.EVERYTHING:
            yield Finding(promised.name, place, "refuses a value that was promised to be taken", proof)
        default, said = theirs[key].get("schema", {}).get("default"), parameter.get("schema", {}).get("default")
        if default != said:
            yield Finding(promised.name, place, f"is {default!r} if left out; promised was {said!r}")
    for key, parameter in theirs.items():
        if key not in ours and parameter.get("required") and parameter["in"] != "path":
            yield Finding(promised.name, " ".join(key), "must be sent; nobody was told")


def _key(parameter: Json, operation: Operation) -> tuple[str, str]:
    """By name; in a path, whose parameters may have any name, by position."""
    name = parameter["name"]
    if parameter["in"] == "path":
        return "path", str(operation.path.partition(f"{{{name}}}")[0].count("{"))
    return parameter["in"], name.lower() if parameter["in"] == "header" else name


def _schema(parameter: Json, operation: Operation) -> Schema:
    found: Schema = inlined(parameter.get("schema", True), operation.document.raw)
    return found


def _text(schema: Schema) -> Schema:
    """A parameter comes as text, whatever it stands for: who takes any text takes numbers."""
    return True if isinstance(schema, dict) and plain(schema) == {"type": "string"} else schema


def _request(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    ours = promised.document.resolved(promised.spec.get("requestBody", {}))
    theirs = other.document.resolved(other.spec.get("requestBody", {}))
    if theirs.get("required") and not ours.get("required"):
        yield Finding(promised.name, "request body", "must be sent; promised was that it may be left out")
    schema, described = promised.body_schema(), other.body_schema()
    if schema is None or described is None:
        if schema and _fields(inlined(schema, promised.document.raw)):
            others = ", ".join(theirs.get("content", ()))
            says = f"is taken as {others}, and not as {JSON}" if others else "is ignored"
            yield Finding(promised.name, "request body", says)
        return
    inner = sent(inlined(schema, promised.document.raw))
    outer = sent(inlined(described, other.document.raw))
    proof = takes_all_of(outer, inner, look_seconds, only_declared=True)
    if proof.takes is not Takes.EVERYTHING:
        yield Finding(promised.name, "request body", "a body that was promised to be taken is refused", proof)
    for pointer in _ignored(inner, outer):
        yield Finding(promised.name, f"request body {pointer}", "is ignored")


def _ignored(ours: Schema, theirs: Schema, so_far: str = "") -> Iterator[str]:
    """Fields that nobody refuses, and nobody reads. Who knows of no field at all reads whatever comes."""
    known = _fields(theirs)
    if not known or (isinstance(theirs, dict) and theirs.get("additionalProperties") is False):
        return
    for name, schema in _fields(ours).items():
        if name in known:
            yield from _ignored(schema, known[name], f"{so_far}/{name}")
        else:
            yield f"{so_far}/{name}"


def _fields(schema: Schema) -> Json:
    """By name, whichever of its alternatives has them."""
    if isinstance(schema, bool):
        return {}
    found: Json = {}
    for word in _ALTERNATIVES:
        for each in schema.get(word, ()):
            found |= _fields(each)
    found |= schema.get("properties", {})
    return found


def _answers(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    for status, described in other.spec["responses"].items():
        if status == "default":
            continue  # it says that there may be others, and not which
        place = f"answer {status}"
        response = promised.response(status)
        if response is None:
            yield Finding(promised.name, place, f"was not promised, only {', '.join(sorted(promised.statuses))}")
            continue
        yield from _content(place, promised, other, response, other.document.resolved(described), look_seconds)
    if not {str(promised.succeeds_with), "2XX"} & other.statuses:
        yield Finding(promised.name, f"answer {promised.succeeds_with}", "is not described")


def _content(
    place: str, promised: Operation, other: Operation, response: Json, described: Json, look_seconds: float
) -> Iterator[Finding]:
    ours, theirs = response.get("content", {}), described.get("content", {})
    for media_type in sorted(set(theirs) - set(ours)):
        yield Finding(promised.name, place, f"may be {media_type}; promised was {', '.join(ours) or 'no body'}")
    for media_type in sorted(set(ours) - set(theirs)):
        yield Finding(promised.name, place, f"is not described as {media_type}")
    if JSON in ours and JSON in theirs:
        outer = answered(inlined(ours[JSON].get("schema", True), promised.document.raw))
        inner = answered(inlined(theirs[JSON].get("schema", True), other.document.raw))
        proof = takes_all_of(outer, inner, look_seconds, only_declared=True)
        if proof.takes is not Takes.EVERYTHING:
            yield Finding(promised.name, f"{place} body", "may hold what was not promised", proof)
