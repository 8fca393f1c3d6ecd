"""Whether a document that an implementation generates keeps the promise, and where it does not.

A request that was promised to be taken must be taken: promised ⊆ described, with only the declared fields in it.
An answer that is described must be one that was promised: described ⊆ promised. Names of operations, components and
parameters in paths, titles, descriptions and the order of anything mean nothing to an HTTP client, and nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .document import JSON, Json, Operation, Promise
from .schemas import LOOK_SECONDS, Proof, Schema, Takes, closed, inlined, takes_all_of


@dataclass(frozen=True)
class Finding:
    """One way in which the described operation is not the promised one."""

    operation: str
    place: str
    """`request body`, `query limit`, `answer 200 body`, `answer 422`, `operation`."""
    says: str
    proof: Proof | None = None

    def __str__(self) -> str:
        shown = ""
        if self.proof and self.proof.has_witness:
            shown = f", for example {json.dumps(self.proof.witness, ensure_ascii=False)[:200]}"
        elif self.proof and self.proof.takes is Takes.UNKNOWN:
            shown = " (not proven either way: nobody found a value that shows it)"
        return f"{self.operation}: {self.place}: {self.says}{shown}"


def findings(promise: Promise, described: Promise, side: str, look_seconds: float = LOOK_SECONDS) -> list[Finding]:
    """Everything in which `described` breaks what `promise` says of this side; empty if nothing.

    So long, for each, a value is looked for that shows it.
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
    other = next((each for each in described.operations if _shape(each) == _shape(promised)), None)
    if other is None:
        yield Finding(promised.name, "operation", "is not described")
        return
    yield from _parameters(promised, other, look_seconds)
    yield from _request(promised, other, look_seconds)
    yield from _answers(promised, other, look_seconds)


def _shape(operation: Operation) -> tuple[str, str]:
    return operation.method, re.sub(r"\{[^}]+\}", "{}", operation.path)


def _parameters(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    theirs = {_key(each): each for each in other.parameters if each["in"] != "path"}
    ours = {_key(each): each for each in promised.parameters if each["in"] != "path"}
    for key, parameter in ours.items():
        place = " ".join(key)
        if key not in theirs:
            if parameter["in"] == "query":  # a header or a cookie may be looked at by somebody in front of it
                yield Finding(promised.name, place, "is ignored")
            continue
        if theirs[key].get("required") and not parameter.get("required"):
            yield Finding(promised.name, place, "must be sent; promised was that it may be left out")
        proof = takes_all_of(_schema(theirs[key], other), _schema(parameter, promised), look_seconds)
        if proof.takes is not Takes.EVERYTHING:
            yield Finding(promised.name, place, "refuses a value that was promised to be taken", proof)
        default, said = theirs[key].get("schema", {}).get("default"), parameter.get("schema", {}).get("default")
        if default != said:
            yield Finding(promised.name, place, f"is {default!r} if left out; promised was {said!r}")
    for key, parameter in theirs.items():
        if key not in ours and parameter.get("required"):
            yield Finding(promised.name, " ".join(key), "must be sent; nobody was told")


def _key(parameter: Json) -> tuple[str, str]:
    name = parameter["name"]
    return parameter["in"], name.lower() if parameter["in"] == "header" else name


def _schema(parameter: Json, operation: Operation) -> Schema:
    found: Schema = inlined(parameter.get("schema", True), operation.document.raw)
    return found


def _request(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    ours = promised.document.resolved(promised.spec.get("requestBody", {}))
    theirs = other.document.resolved(other.spec.get("requestBody", {}))
    if theirs.get("required") and not ours.get("required"):
        yield Finding(promised.name, "request body", "must be sent; promised was that it may be left out")
    schema, described = promised.body_schema(), other.body_schema()
    if schema is None or described is None:
        if schema and schema.get("properties"):
            yield Finding(promised.name, "request body", "is ignored")
        return
    inner = closed(inlined(schema, promised.document.raw))
    proof = takes_all_of(inlined(described, other.document.raw), inner, look_seconds)
    if proof.takes is not Takes.EVERYTHING:
        yield Finding(promised.name, "request body", "a body that was promised to be taken is refused", proof)


def _answers(promised: Operation, other: Operation, look_seconds: float) -> Iterator[Finding]:
    for status, described in other.spec["responses"].items():
        if status == "default":
            continue
        place = f"answer {status}"
        if status not in promised.statuses:
            yield Finding(promised.name, place, f"was not promised, only {', '.join(sorted(promised.statuses))}")
            continue
        yield from _content(place, promised, other, status, described, look_seconds)
    if str(promised.succeeds_with) not in other.statuses:
        yield Finding(promised.name, f"answer {promised.succeeds_with}", "is not described")


def _content(
    place: str, promised: Operation, other: Operation, status: str, described: Json, look_seconds: float
) -> Iterator[Finding]:
    ours = promised.document.resolved(promised.spec["responses"][status]).get("content", {})
    theirs = other.document.resolved(described).get("content", {})
    for media_type in sorted(set(theirs) - set(ours)):
        yield Finding(promised.name, place, f"may be {media_type}; promised was {', '.join(ours) or 'no body'}")
    for media_type in sorted(set(ours) - set(theirs)):
        yield Finding(promised.name, place, f"is not described as {media_type}")
    if JSON in ours and JSON in theirs:
        outer = inlined(ours[JSON].get("schema", True), promised.document.raw)
        inner = inlined(theirs[JSON].get("schema", True), other.document.raw)
        proof = takes_all_of(outer, inner, look_seconds)
        if proof.takes is not Takes.EVERYTHING:
            yield Finding(promised.name, f"{place} body", "may hold what was not promised", proof)
