"""What each consumer sends, reads and tolerates, held against the promise by proof, and against answers one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .document import JSON, STREAM, Answer, Json, Operation, Promise
from .event_streams import parse
from .files import text_of
from .messages import Finding
from .normalise import inlined
from .places import pointer_of, schemas_at
from .schemas import LOOK_SECONDS, Takes, shown, takes_all_of


class NeedsError(Exception):
    """A consumer's needs cannot be used; the sentence says where and why."""


@dataclass(frozen=True)
class Need:
    """What a consumer makes of one operation."""

    sends: Json | None
    """A schema of the bodies that it sends."""
    reads: Mapping[str, Json]
    """By status, a schema that every body must fit, or the consumer breaks."""
    events: Mapping[str, Json]
    """The same for each event of a stream that it understands."""
    statuses: frozenset[str]
    """Those that it knows how to take."""


@dataclass(frozen=True)
class Consumer:
    name: str
    owner: str
    tolerates: frozenset[str]
    """`other-statuses`, `other-events`: it shows them as a failure, and goes on."""
    needs: Mapping[str, Need]
    """By operation."""


def load_all(folder: Path) -> tuple[Consumer, ...]:
    """One from each `NAME/needs.yaml`. Raises NeedsError."""
    return tuple(_consumer(file) for file in sorted(folder.glob("*/needs.yaml")))


def unmet(consumer: Consumer, promise: Promise, look_seconds: float = LOOK_SECONDS) -> Iterator[Finding]:
    """Every need that the promise does not meet; so long, for each, a value is looked for that shows it."""
    for name, need in consumer.needs.items():
        operation = next((each for each in promise.operations if each.name == name), None)
        if operation is None:
            yield _finding(consumer, name, "operation", "is not promised")
            continue
        yield from _sent(consumer, operation, need, look_seconds)
        yield from _read(consumer, operation, need, look_seconds)


def hurt_by(consumer: Consumer, operation: Operation, answer: Answer, promise: Promise) -> Iterator[Finding]:
    """What in one answer this consumer cannot take."""
    need = consumer.needs.get(operation.name)
    if need is None:
        return
    if str(answer.status) not in need.statuses and "other-statuses" not in consumer.tolerates:
        yield _finding(consumer, operation.name, "status", f"it does not know what to do with {answer.status}")
    schema = need.reads.get(str(answer.status))
    if schema is not None and answer.media_type == JSON:
        for error in promise.errors(schema, json.loads(answer.body)):
            yield _finding(consumer, operation.name, f"body {error.place}", error.why)
    if need.events and answer.media_type == STREAM:
        for number, event in enumerate(parse(answer.body)[0]):
            if event.name in need.events:
                for error in promise.errors(need.events[event.name], json.loads(event.data)):
                    yield _finding(consumer, operation.name, f"event {number} {event.name} {error.place}", error.why)
            elif "other-events" not in consumer.tolerates:
                yield _finding(consumer, operation.name, f"event {number} {event.name}", "it does not know this event")


def noticing(consumers: Sequence[Consumer], operation: Operation | None, status: int, place: str) -> tuple[str, ...]:
    """Who relies on this place of an operation's answer, and how."""
    found = []
    for consumer in consumers:
        need = consumer.needs.get(operation.name) if operation else None
        if need is None or operation is None:
            continue
        if place == "status":
            found.append(f"{consumer.name} (handles {', '.join(sorted(need.statuses))})")
            continue
        schema = need.reads.get(str(status))
        if place.startswith("event "):
            schema = next((need.events[name] for name in place.split() if name in need.events), None)
        steps = pointer_of(place)
        if schema is not None and any(True for _ in schemas_at(operation.document, schema, steps)):
            found.append(f"{consumer.name} (reads /{'/'.join(steps)})" if steps else f"{consumer.name} (reads it)")
    return tuple(found)


def _sent(consumer: Consumer, operation: Operation, need: Need, look_seconds: float) -> Iterator[Finding]:
    promised = operation.body_schema()
    if need.sends is None or promised is None:
        if need.sends is not None:
            yield _finding(consumer, operation.name, "request body", "it sends one, and none is promised to be read")
        return
    outer = inlined(promised, operation.document.raw)
    proof = takes_all_of(outer, need.sends, look_seconds, only_declared=True)
    if proof.takes is not Takes.EVERYTHING:
        example = f", for example {shown(proof.witness)}" if proof.has_witness else ""
        yield _finding(consumer, operation.name, "request body", f"it sends what need not be taken{example}")
    ignored = set(need.sends.get("properties", {})) - _names(operation, promised)
    for name in sorted(ignored):
        yield _finding(consumer, operation.name, f"request body /{name}", "it sends this, and it is ignored")


def _names(operation: Operation, schema: Json) -> set[str]:
    found = schemas_at(operation.document, schema, [])
    return {name for each in found if not isinstance(each, bool) for name in each.get("properties", {})}


def _read(consumer: Consumer, operation: Operation, need: Need, look_seconds: float) -> Iterator[Finding]:
    for status in sorted(operation.statuses - need.statuses):
        if "other-statuses" not in consumer.tolerates:
            yield _finding(consumer, operation.name, f"answer {status}", "may come, and it does not know what to do")
    for status, schema in need.reads.items():
        if status not in operation.statuses:
            yield _finding(consumer, operation.name, f"answer {status}", "it waits for one, and none is promised")
            continue
        content = operation.document.resolved(operation.spec["responses"][status]).get("content", {})
        yield from _fits(
            consumer, operation, f"answer {status} body", schema, content.get(JSON, {}).get("schema"), look_seconds
        )
    if need.events:
        content = operation.document.resolved(operation.spec["responses"]["200"]).get("content", {})
        promised = content.get(STREAM, {}).get("x-event-data", {})
        for name, schema in need.events.items():
            yield from _fits(consumer, operation, f"event {name}", schema, promised.get(name), look_seconds)
        for name in sorted(set(promised) - set(need.events)):
            if "other-events" not in consumer.tolerates:
                yield _finding(consumer, operation.name, f"event {name}", "may come, and it does not know it")


def _fits(
    consumer: Consumer, operation: Operation, place: str, reads: Json, promised: Any, look_seconds: float
) -> Iterator[Finding]:
    if promised is None:
        yield _finding(consumer, operation.name, place, "it reads one, and none is promised")
        return
    proof = takes_all_of(reads, inlined(promised, operation.document.raw), look_seconds)
    if proof.takes is not Takes.EVERYTHING:
        example = f", for example {shown(proof.witness)}" if proof.has_witness else ""
        unsure = " (not proven either way)" if proof.takes is Takes.UNKNOWN else ""
        yield _finding(consumer, operation.name, place, f"may be what it cannot read{example}{unsure}")


def _finding(consumer: Consumer, operation: str, place: str, says: str) -> Finding:
    return Finding("consumer", operation, place, f"breaks {consumer.name}: {says}", notices=(consumer.name,))


def _consumer(file: Path) -> Consumer:
    try:
        told = yaml.safe_load(text_of(file))
        needs = {name: _need(need) for name, need in told["operations"].items()}
        return Consumer(file.parent.name, told["owner"], frozenset(told.get("tolerates", ())), needs)
    except OSError as error:
        raise NeedsError(f"{file} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise NeedsError(f"{file} cannot be used: there is no {error} in it") from None
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise NeedsError(f"{file} cannot be used: {error}") from None


def _need(told: Json) -> Need:
    reads = {str(status): schema for status, schema in told.get("reads", {}).items()}
    statuses = frozenset(map(str, told.get("statuses", ()))) | frozenset(reads)
    return Need(told.get("sends"), reads, told.get("events", {}), statuses)
