"""One spelling of what generators spell in several ways: OpenAPI 3.0 in the words of 3.1, and schemas to be compared.

Schemas of 3.0 are a dialect of their own. `nullable` lets null in wherever it stands: strictly it needs a `type` beside
it, but drf-spectacular writes it beside `allOf` and `oneOf`, and others beside `$ref` and `enum`, and all mean null.
Nothing else counts beside a `$ref`. Exclusive bounds are true or false, and a `discriminator` refuses no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Schema = Json | bool

_SCHEMA_BY_NAME = ("schemas", "x-event-data")
_BY_NAME = ("paths", "responses", "headers", "parameters", "requestBodies", "callbacks", "content", "encoding")
_AS_IT_IS = ("example", "examples", "default", "securitySchemes")
_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf", "not")
_FOR_READERS = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
_ONLY_FOR_PEOPLE = frozenset(
    ("title", "description", "example", "examples", "default", "deprecated", "readOnly", "writeOnly", "externalDocs",
     "discriminator", "xml", "contentEncoding", "contentMediaType")
)  # fmt: skip
_SCHEMAS_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
_VALUES = frozenset(("const", "enum", "default", "examples", "required"))
_FORMATS = frozenset(
    ("date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6",
     "uri", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer", "regex", "uuid")
)  # fmt: skip
"""Those that refuse values. OpenAPI's own (`int64`, `double`, `binary`, `byte`) do not."""


def as_3_1(raw: Json) -> Json:
    """The same document as 3.1."""
    told = {name: _walked({name: value})[name] for name, value in raw.items() if name in ("paths", "components")}
    return {**raw, **told, "openapi": "3.1.0"}


def schema_as_3_1(schema: Any) -> Any:
    """A schema of 3.0 as one of JSON Schema 2020-12, which takes the same values."""
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        told: Json = {"$ref": schema["$ref"]}
    else:
        told = {name: _word(name, value) for name, value in schema.items() if name not in ("nullable", "example")}
        if "example" in schema:
            told["examples"] = [schema["example"]]
        _bound(told, "minimum", "exclusiveMinimum")
        _bound(told, "maximum", "exclusiveMaximum")
    return _or_null(told) if schema.get("nullable") is True else told


def _word(name: str, value: Any) -> Any:
    match name:
        case "properties" | "patternProperties" if isinstance(value, Mapping):
            return {key: schema_as_3_1(each) for key, each in value.items()}
        case "allOf" | "anyOf" | "oneOf" if isinstance(value, list):
            return list(map(schema_as_3_1, value))
        case "items" | "not" | "additionalProperties":
            return schema_as_3_1(value)
        case _:
            return value


def _bound(told: Json, bound: str, exclusive: str) -> None:
    if not isinstance(told.get(exclusive), bool):
        return  # absent, or written as in 3.1 already
    if told.pop(exclusive) and bound in told:
        told[exclusive] = told.pop(bound)


def _or_null(told: Json) -> Json:
    if any(name in told for name in _COMPOSED):
        beside = {name: told.pop(name) for name in _FOR_READERS if name in told}
        return {**beside, "anyOf": [told, {"type": "null"}]}
    if "type" in told:
        types = told["type"] if isinstance(told["type"], list) else [told["type"]]
        told["type"] = [*types, "null"] if "null" not in types else types
    if "enum" in told and None not in told["enum"]:
        told["enum"] = [*told["enum"], None]
    return told


def _walked(value: Any) -> Any:
    """The same with its schemas changed: not whatever is called `schema`, an operation's own names are its own."""
    if isinstance(value, list):
        return list(map(_walked, value))
    if not isinstance(value, Mapping):
        return value
    found: Json = {}
    for name, each in value.items():
        if name == "schema":
            found[name] = schema_as_3_1(each)
        elif name in _SCHEMA_BY_NAME:
            found[name] = {key: schema_as_3_1(schema) for key, schema in each.items()}
        elif name in _BY_NAME and isinstance(each, Mapping):
            found[name] = {key: _walked(named) for key, named in each.items()}
        else:
            found[name] = each if name in _AS_IT_IS else _walked(each)
    return found


# --- for comparing schemas


def inlined(schema: Any, root: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """The schema with what its references point at in their place; one inside itself takes anything there.

    Raises ValueError if one points at nothing in this document.
    """
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
        try:
            for step in pointer.removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError):
            raise ValueError(f"{pointer} points at nothing in this document") from None
        target = inlined(found, root, (*seen, pointer))
        rest = inlined(beside, root, seen)
        return {"allOf": [target, rest]} if plain(rest) not in ({}, True) else target
    return {name: inlined(value, root, seen) for name, value in schema.items()}


def plain(schema: Any) -> Any:
    """Without the words that refuse no value."""
    if not isinstance(schema, Mapping):
        return list(map(plain, schema)) if isinstance(schema, list) else schema
    if "discriminator" in schema and "oneOf" in schema and "anyOf" not in schema:
        schema = {"anyOf" if name == "oneOf" else name: value for name, value in schema.items()}  # the tag says which
    told = {
        name: value
        for name, value in schema.items()
        if name not in _ONLY_FOR_PEOPLE and not name.startswith("x-") and (name != "format" or value in _FORMATS)
    }
    return _inside(told, plain)


def sent(schema: Any) -> Any:
    """Of a request: without what only answers have; who sends it all the same sees it ignored."""
    return _without("readOnly", schema)


def answered(schema: Any) -> Any:
    """Of an answer: without what only requests have."""
    return _without("writeOnly", schema)


def _without(mark: str, schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return [_without(mark, each) for each in schema] if isinstance(schema, list) else schema
    less = _inside(schema, lambda each: _without(mark, each))
    gone = {name for name, each in schema.get("properties", {}).items() if _says(mark, each)}
    for name in gone:
        if mark == "readOnly":
            del less["properties"][name]
        else:
            less["properties"][name] = False
    if gone and "required" in schema:
        less["required"] = [name for name in schema["required"] if name not in gone]
    return less


def _says(mark: str, schema: Any) -> bool:
    """Also behind a reference, which is inlined as one of `allOf`."""
    if not isinstance(schema, Mapping):
        return False
    return schema.get(mark) is True or any(_says(mark, each) for each in schema.get("allOf", ()))


def closed(schema: Any) -> Any:
    """Only what is declared, or every optional field that the other side declares besides would be a difference."""
    if not isinstance(schema, Mapping):
        return list(map(closed, schema)) if isinstance(schema, list) else schema
    shut = _with_closed_parts(schema)
    if "allOf" not in schema:
        return {"additionalProperties": False, **shut} if "properties" in schema else shut
    return {"unevaluatedProperties": False, **shut} if _declares(schema) else shut


def _with_closed_parts(schema: Mapping[str, Any]) -> Json:
    """What is one of `allOf` stays open itself: the others declare the rest."""
    shut = _inside(schema, closed)
    if "allOf" in schema:
        shut["allOf"] = [_with_closed_parts(each) if isinstance(each, Mapping) else each for each in schema["allOf"]]
    if "not" in schema:
        shut["not"] = schema["not"]
    return shut


def _declares(schema: Any) -> bool:
    return isinstance(schema, Mapping) and ("properties" in schema or any(map(_declares, schema.get("allOf", ()))))


def _inside(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> Json:
    """With each schema in it changed; values that stand in it are not schemas, and names of fields are not words."""
    return {
        name: value
        if name in _VALUES
        else {key: change(each) for key, each in value.items()}
        if name in _SCHEMAS_BY_NAME
        else change(value)
        for name, value in schema.items()
    }
