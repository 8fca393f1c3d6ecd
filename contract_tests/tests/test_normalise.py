"""A document of OpenAPI 3.0 promises the same in the words of 3.1, and two spellings of one meaning are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract_tests.contractkit.compatible import findings
from contract_tests.contractkit.document import Answer, Json, Promise, PromiseError, load
from contract_tests.contractkit.normalise import answered, as_3_1, closed, inlined, schema_as_3_1, sent
from contract_tests.contractkit.schemas import Takes, takes_all_of

NAMES = ("a", "b", "nullable", "type")
"""Of fields: two are words of schemas elsewhere."""
WORDS = st.sampled_from(["", "x", "xy"])
NUMBERS = st.integers(-2, 2)
FLAGS = st.booleans()


def optional(**words: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional={**words, "nullable": FLAGS, "example": WORDS})


def bounded(lower: Json, upper: Json, schema: Json) -> Json:
    return {**schema, **lower, **upper}


def bound(name: str, exclusive: str) -> st.SearchStrategy[Json]:
    return st.one_of(st.just({}), st.fixed_dictionaries({name: NUMBERS}, optional={exclusive: FLAGS}))


LEAVES = st.one_of(
    st.builds(
        bounded,
        bound("minimum", "exclusiveMinimum"),
        bound("maximum", "exclusiveMaximum"),
        optional(type=st.sampled_from(["integer", "number"])),
    ),
    optional(type=st.just("string"), enum=st.lists(WORDS, min_size=1, unique=True)),
    optional(type=st.just("string"), minLength=st.integers(0, 2), maxLength=st.integers(0, 2)),
)


def composed(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    some = st.lists(inner, min_size=1, max_size=2)
    fields = st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)
    required = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
    objects = optional(
        type=st.just("object"), properties=fields, required=required, additionalProperties=st.one_of(FLAGS, inner)
    )
    lists = optional(type=st.just("array"), items=inner, minItems=st.integers(0, 1))
    several = (optional(**{word: some}) for word in ("allOf", "anyOf", "oneOf"))
    return st.one_of(objects, lists, *several, st.fixed_dictionaries({"not": inner}))


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=5)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, st.just(0.5), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)),
    max_leaves=4,
)


def takes(schema: Any, value: Any) -> bool:
    """OpenAPI 3.0 by its own words: JSON Schema's draft 4, and null wherever `nullable` stands."""
    if isinstance(schema, bool):
        return schema
    if value is None and schema.get("nullable"):
        return True
    if not jsonschema_rs.Draft4Validator({w: v for w, v in schema.items() if w not in INSIDE}).is_valid(value):
        return False
    several = (("allOf", all), ("anyOf", any), ("oneOf", lambda told: sum(told) == 1))
    if not all(how(takes(each, value) for each in schema[word]) for word, how in several if word in schema):
        return False
    if "not" in schema and takes(schema["not"], value):
        return False
    if isinstance(value, list):
        return all(takes(schema.get("items", True), each) for each in value)
    if isinstance(value, dict):
        fields, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        return all(takes(fields.get(name, rest), each) for name, each in value.items())
    return True


INSIDE = ("nullable", "example", "allOf", "anyOf", "oneOf", "not", "items", "properties", "additionalProperties")


@settings(deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=5))
def test_a_schema_takes_the_same_values_in_both_versions(schema: Json, values: list[Any]) -> None:
    told = jsonschema_rs.Draft202012Validator(schema_as_3_1(schema))

    assert [(value, told.is_valid(value)) for value in values] == [(value, takes(schema, value)) for value in values]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "nullable": True},
        {"type": "string", "enum": ["a"], "nullable": True},
        {"$ref": "#/components/schemas/One", "nullable": True},
        {"allOf": [{"$ref": "#/components/schemas/One"}], "nullable": True, "readOnly": True},
        {"oneOf": [{"type": "integer"}, {"enum": [None]}], "nullable": True},
    ],
)
def test_null_is_taken_however_a_generator_lets_it_in(schema: Json) -> None:
    told = inlined(schema_as_3_1(schema), {"components": {"schemas": {"One": {"type": "integer"}}}})

    assert jsonschema_rs.is_valid(told, None)
    assert not jsonschema_rs.is_valid(told, [])


def test_nothing_else_counts_beside_a_reference() -> None:
    assert schema_as_3_1({"$ref": "#/a", "maxLength": 3}) == {"$ref": "#/a"}


def test_only_schemas_are_changed() -> None:
    """A field, a parameter, an answer or an example may be called as a word of schemas is."""
    field = {"type": "object", "properties": {"nullable": {"type": "string", "nullable": True}}}
    content = {"application/json": {"schema": field, "example": {"schema": {"nullable": True}}}}
    parameter = {"name": "schema", "in": "query", "schema": {"type": "integer", "minimum": 1, "exclusiveMinimum": True}}
    operation = {"parameters": [parameter], "responses": {"default": {"description": "", "content": content}}}
    document = {
        "openapi": "3.0.3",
        "paths": {"/schema": {"get": operation}},
        "components": {"schemas": {"schema": field}},
    }

    told = as_3_1(document)

    changed = {"type": "object", "properties": {"nullable": {"type": ["string", "null"]}}}
    found = told["paths"]["/schema"]["get"]
    assert told["openapi"] == "3.1.0"
    assert found["parameters"][0]["schema"] == {"type": "integer", "exclusiveMinimum": 1}
    assert found["responses"]["default"]["content"]["application/json"] == {
        **content["application/json"],
        "schema": changed,
    }
    assert told["components"]["schemas"]["schema"] == changed


def test_a_document_of_3_0_keeps_its_own_promise_and_is_held_to_it() -> None:
    promise = Promise(SHELF)
    [operation] = promise.operations

    def broken(body: Any) -> list[str]:
        answer = Answer(200, [("Content-Type", "application/json")], json.dumps(body).encode())
        return [each.place for each in operation.broken_by(answer)]

    assert findings(promise, promise, "legacy") == []
    assert broken({"id": 1, "place": None}) == []
    assert broken({"id": 0, "place": 1}) == ["body /id", "body /place"]


BOOK = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "readOnly": True},
        "place": {"type": "string", "nullable": True},
    },
}
CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}}
ANSWERS = {"200": {"description": "", "content": CONTENT}}
SHELF: Json = {
    "openapi": "3.0.3",
    "paths": {"/books/{id}": {"put": {"requestBody": {"content": CONTENT}, "responses": ANSWERS}}},
    "components": {"schemas": {"Book": BOOK}},
}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/books/{pk}", []),
        ("/books/{pk}/", ["PUT /books/{id}: operation: is described with another slash at its end: /books/{pk}/"]),
        ("/book/{pk}", ["PUT /books/{id}: operation: is not described"]),
    ],
)
def test_a_name_in_a_path_means_nothing_and_a_slash_at_its_end_does(path: str, says: list[str]) -> None:
    described = {**SHELF, "paths": {path: SHELF["paths"]["/books/{id}"]}}

    assert [str(each) for each in findings(Promise(SHELF), Promise(described), "legacy")] == says


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("404", ["answer 404"]),
        ("4XX", ["answer 4XX"]),
        ("default", []),
    ],
)
def test_an_answer_to_whatever_else_may_come_promises_nothing_and_a_status_does(status: str, says: list[str]) -> None:
    described = _with_answer(status)

    assert [each.place for each in findings(Promise(SHELF), Promise(described), "legacy")] == says
    assert findings(Promise(described), Promise(described), "legacy") == []


@pytest.mark.parametrize("status", ["404", "4XX", "default"])
def test_a_status_is_promised_by_itself_by_its_hundred_or_with_all_others(status: str) -> None:
    [operation] = Promise(_with_answer(status)).operations

    assert operation.broken_by(Answer(404, [], b"")) == []
    assert [each.place for each in Promise(SHELF).operations[0].broken_by(Answer(404, [], b""))] == ["status"]


def _with_answer(status: str) -> Json:
    answers = {**ANSWERS, status: {"description": ""}}
    return {**SHELF, "paths": {"/books/{id}": {"put": {**SHELF["paths"]["/books/{id}"]["put"], "responses": answers}}}}


def test_what_only_answers_have_need_not_be_sent_and_what_only_requests_have_does_not_come() -> None:
    fields = {"id": {"type": "integer", "readOnly": True}, "word": {"type": "string", "writeOnly": True}}
    schema = {"type": "object", "required": ["id", "word"], "properties": fields}

    assert jsonschema_rs.is_valid(sent(schema), {"word": "x"})
    assert not jsonschema_rs.is_valid(sent(schema), {"id": 1})
    assert jsonschema_rs.is_valid(answered(schema), {"id": 1})
    assert not jsonschema_rs.is_valid(answered(schema), {"id": 1, "word": "x"})


def test_what_several_schemas_declare_together_is_all_that_is_sent() -> None:
    """Each of `allOf` for itself would refuse the fields of the others, and nothing at all would be left to compare."""
    one, other = ({"type": "object", "properties": {name: {"type": "integer"}}} for name in "ab")
    together = {"allOf": [one, other]}

    assert jsonschema_rs.is_valid(closed(together), {"a": 1, "b": 2})
    assert not jsonschema_rs.is_valid(closed(together), {"a": 1, "c": 2})
    proof = takes_all_of({"properties": {"b": {"maximum": 5}}}, together, only_declared=True)
    assert (proof.takes, proof.witness) == (Takes.NOT_ALL, {"b": 6})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"allOf": [{"type": "integer", "minimum": 1}]}, {"type": "integer", "minimum": 1, "format": "int64"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"], "description": "x"}),
        ({"oneOf": [{"enum": ["a"]}, {"enum": [None]}]}, {"type": ["string", "null"], "enum": [None, "a"]}),
        ({"oneOf": [{"const": "a"}, {"const": "b"}], "discriminator": {"propertyName": "x"}}, {"enum": ["b", "a"]}),
        ({"type": "string", "format": "byte"}, {"type": "string", "contentEncoding": "base64"}),
    ],
)
def test_two_spellings_of_one_meaning_are_one(one: Json, other: Json) -> None:
    assert (takes_all_of(one, other).takes, takes_all_of(other, one).takes) == (Takes.EVERYTHING, Takes.EVERYTHING)


def test_which_of_tagged_alternatives_it_is_says_the_tag() -> None:
    """Without it, what fits two of them would be refused, and nothing could be proven."""
    cat, dog = (
        {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}, name: {}}} for name in "cd"
    )
    pet = {"oneOf": [cat, dog], "discriminator": {"propertyName": "kind"}}

    assert takes_all_of(pet, {**pet, "description": "x"}, only_declared=True).takes is Takes.EVERYTHING
    assert takes_all_of(pet, cat, only_declared=True).takes is Takes.EVERYTHING
    assert takes_all_of(pet, {"type": "object"}, only_declared=True).witness == {}


@settings(deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, max_size=6))
def test_no_value_contradicts_a_proof(one: Json, other: Json, values: list[Any]) -> None:
    outer, inner = schema_as_3_1(one), schema_as_3_1(other)
    takes, takes_too = jsonschema_rs.validator_for(inner), jsonschema_rs.validator_for(outer)

    proof = takes_all_of(outer, inner, look_seconds=0)

    only_inner = [value for value in values if takes.is_valid(value) and not takes_too.is_valid(value)]
    assert not only_inner or proof.takes is not Takes.EVERYTHING
    assert not proof.has_witness or (takes.is_valid(proof.witness) and not takes_too.is_valid(proof.witness))


def test_a_limit_beyond_all_measure_costs_nothing() -> None:
    far = 10**12
    proof = takes_all_of({"type": "string", "maxLength": far}, {"type": "string", "maxLength": 2 * far}, look_seconds=0)

    assert (proof.takes, proof.has_witness) == (Takes.NOT_ALL, False)


def test_a_format_that_refuses_values_is_a_limit() -> None:
    proof = takes_all_of({"type": "string", "format": "uuid"}, {"type": "string"})

    assert (proof.takes, proof.has_witness) == (Takes.NOT_ALL, True)


def test_what_cannot_be_compared_is_neither_kept_nor_broken() -> None:
    proof = takes_all_of({"type": "string", "pattern": "["}, {"type": "string"})

    assert (proof.takes, proof.why) == (Takes.UNKNOWN, 'invalid regular expression: "["')


def test_a_reference_to_another_file_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^book.yaml#/Book points at nothing in this document$"):
        inlined({"$ref": "book.yaml#/Book"}, SHELF)


def test_statuses_and_days_of_a_yaml_file_are_read_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(
        "openapi: 3.0.3\npaths: {/a: {get: {responses: {200: {description: x, x-since: 2026-01-02}}}}}\n", "utf-8"
    )

    [operation] = load(file).operations

    assert operation.statuses == {"200"}
    assert operation.response("200") == {"description": "x", "x-since": "2026-01-02"}


def test_swagger_2_is_refused_in_a_sentence() -> None:
    with pytest.raises(PromiseError, match=r"^this is Swagger 2\.0: convert it to OpenAPI 3 first"):
        Promise({"swagger": "2.0", "paths": {}})
