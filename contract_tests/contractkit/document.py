"""The promise as data: which operations there are, and whether an answer is one that was promised."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import yaml

from .event_streams import Grammar, parse
from .files import text_of
from .normalise import as_3_1

Json = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
JSON, STREAM = "application/json", "text/event-stream"


class PromiseError(Exception):
    """The document cannot be used; the sentence says where and why."""


@dataclass(frozen=True)
class Answer:
    """What somebody answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    """In order, repeated ones repeated; names in any case."""
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name.lower()]

    @property
    def media_type(self) -> str:
        return ("".join(self.values("content-type")[:1]).partition(";")[0]).strip().lower()


@dataclass(frozen=True)
class Broken:
    """A place in which an answer is not what was promised."""

    place: str
    """`status`, `header location`, `body /usage/prompt_tokens`, `event 3 delta /text`, `events`."""
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True)
class Operation:
    """One thing that clients can do, and what they were promised."""

    method: str
    path: str
    spec: Json
    document: Promise

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def sides(self) -> tuple[str, ...]:
        """Who has to keep the promise."""
        return ("legacy",) if self.spec.get("x-migration") == "legacy" else ("legacy", "extracted")

    @property
    def statuses(self) -> frozenset[str]:
        return frozenset(self.spec["responses"])

    @property
    def succeeds_with(self) -> int:
        return min((int(status) for status in self.statuses if re.fullmatch("2[0-9][0-9]", status)), default=200)

    def response(self, status: str) -> Json | None:
        """What is said of answers with this status: by itself, with its hundred (`4XX`), or with all that are not named
        (`default`)."""
        for key in (status, f"{status[0]}XX", "default"):
            if key in self.spec["responses"]:
                return self.document.resolved(self.spec["responses"][key])
        return None

    @cached_property
    def parameters(self) -> tuple[Json, ...]:
        shared = self.document.raw["paths"][self.path].get("parameters", [])
        return tuple(self.document.resolved(each) for each in [*shared, *self.spec.get("parameters", [])])

    def body_schema(self) -> Json | None:
        content = self.document.resolved(self.spec.get("requestBody", {})).get("content", {})
        schema: Json | None = content.get(JSON, {}).get("schema")
        return schema

    def first_event_within_seconds(self, status: int) -> float | None:
        """What is promised of a stream with this status; None: nothing."""
        content = (self.response(str(status)) or {}).get("content", {})
        milliseconds = content.get(STREAM, {}).get("x-first-event-within-ms")
        return None if milliseconds is None else milliseconds / 1000

    def broken_by(self, answer: Answer) -> list[Broken]:
        """Every way in which the answer is not one that was promised; empty if it is."""
        response = self.response(str(answer.status))
        if response is None:
            return [Broken("status", f"{answer.status} was not promised, only {', '.join(sorted(self.statuses))}")]
        return [*self._headers(response, answer), *self._content(response, answer)]

    def _headers(self, response: Json, answer: Answer) -> Iterator[Broken]:
        for name, said in response.get("headers", {}).items():
            header = self.document.resolved(said)
            values = answer.values(name)
            place = f"header {name.lower()}"
            if not values and header.get("required"):
                yield Broken(place, "is missing")
            for value in values:
                for error in self.document.errors(header.get("schema", {}), value):
                    yield Broken(place, error.why)

    def _content(self, response: Json, answer: Answer) -> Iterator[Broken]:
        content = response.get("content", {})
        if not content:
            if answer.body:
                yield Broken("body", "there should be none")
            return
        if answer.media_type not in content:
            yield Broken("header content-type", f"is {answer.media_type!r}; promised: {', '.join(content)}")
            return
        if answer.media_type == STREAM:
            yield from self._stream(content[STREAM], answer.body)
            return
        if answer.media_type == JSON:
            try:
                value = json.loads(answer.body)
            except ValueError as wrong:
                yield Broken("body", f"is not JSON: {wrong}")
                return
            for error in self.document.errors(content[JSON].get("schema", True), value):
                yield Broken(f"body {error.place}", error.why)

    def _stream(self, content: Json, body: bytes) -> Iterator[Broken]:
        events, rest = parse(body)
        if rest:
            yield Broken("events", "the stream ends in the middle of an event")
        if (sequence := content.get("x-event-sequence")) and (why := Grammar(sequence).broken_by(events)):
            yield Broken("events", why)
        schemas = content.get("x-event-data", {})
        for number, event in enumerate(events):
            place = f"event {number} {event.name}"
            if event.name not in schemas:
                if schemas:
                    yield Broken(place, f"was not promised, only {', '.join(schemas)}")
                continue
            try:
                value = json.loads(event.data)
            except ValueError as wrong:
                yield Broken(place, f"its data is not JSON: {wrong}")
                continue
            for error in self.document.errors(schemas[event.name], value):
                yield Broken(f"{place} {error.place}", error.why)


class Promise:
    """A whole document. One of OpenAPI 3.0 is read as 3.1 at once, and `raw` is that."""

    def __init__(self, raw: Json) -> None:
        """Raises PromiseError if it is neither version of OpenAPI, or points at nothing."""
        self.raw = _in_3_1(raw)
        self._validators: dict[str, Any] = {}
        self.operations = tuple(self._operations())

    def resolved(self, value: Json) -> Json:
        """What it says, or what its `$ref` points at."""
        if "$ref" not in value:
            return value
        found: Any = self.raw
        for step in value["$ref"].removeprefix("#/").split("/"):
            try:
                found = found[step.replace("~1", "/").replace("~0", "~")]
            except (KeyError, TypeError):
                raise PromiseError(f"{value['$ref']} points at nothing") from None
        return self.resolved(found)

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a request's method and path; a fixed path goes before one with parameters, whatever it has
        operations for (OpenAPI 3.1, paths object)."""
        fitting = [each for each in self.raw.get("paths", {}) if _fits(each, path)]
        best = min(fitting, key=lambda each: each.count("{"), default=None)
        return next((each for each in self.operations if (each.method, each.path) == (method, best)), None)

    def errors(self, schema: Json | bool, value: Any) -> Iterator[Broken]:
        """How a value breaks a schema: JSON pointer and reason."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = schema if isinstance(schema, bool) else {**schema, "components": self.raw.get("components", {})}
            self._validators[key] = jsonschema_rs.validator_for(whole, validate_formats=True)
        for error in self._validators[key].iter_errors(value):
            pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.instance_path)
            yield Broken(pointer, error.message[:200])

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.raw.get("paths", {}).items():
            for method in METHODS:
                if method in item:
                    yield Operation(method.upper(), path, item[method], self)


def load(file: Path) -> Promise:
    """Read a document from YAML or JSON. Raises PromiseError."""
    try:
        raw = yaml.load(text_of(file), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except OSError as error:
        raise PromiseError(f"{file} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise PromiseError(f"{file} is not YAML: {error}") from None
    if not isinstance(raw, Mapping):
        raise PromiseError(f"{file} holds no object")
    return Promise(json.loads(json.dumps(raw, default=str)))  # YAML reads a status as a number, and a day as a date


def _in_3_1(raw: Json) -> Json:
    if "swagger" in raw:
        raise PromiseError("this is Swagger 2.0: convert it to OpenAPI 3 first, as its schemas and bodies are others")
    match str(raw.get("openapi")).split("."):
        case ["3", "1", *_]:
            return raw
        case ["3", "0", *_]:
            return as_3_1(raw)
        case _:
            raise PromiseError(f"this is OpenAPI {raw.get('openapi')!r}; write 3.0 or 3.1")


def _fits(template: str, path: str) -> bool:
    pattern = "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", template)
    )
    return re.fullmatch(pattern, unquote(path.partition("?")[0])) is not None
