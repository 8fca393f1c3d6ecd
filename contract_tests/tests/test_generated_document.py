"""What FastAPI generates for the service keeps the promise; whatever breaks it is named, with a value that shows it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract_tests.contractkit.compatible import Finding, findings, undescribed
from contract_tests.contractkit.document import Json, Promise, load
from contract_tests.contractkit.schemas import Takes

PROMISE = load(Path(__file__).parents[1] / "contract" / "openapi.yaml")
SUMMARY, REPLY, TRIAGE = (f"/api/tickets/{{ticket_id}}/{kind}" for kind in ("summary", "reply", "triage"))


@pytest.fixture(scope="module")
def described() -> Json:
    """The service's own words, as it prints them."""
    told = subprocess.run(
        [sys.executable, "-m", "extracted_service.openapi"], capture_output=True, text=True, check=True, timeout=60
    )
    document: Json = json.loads(told.stdout)
    return document


def test_the_generated_document_keeps_the_promise(described: Json) -> None:
    assert findings(PROMISE, Promise(described), "extracted") == []


def test_the_service_offers_nothing_that_was_not_promised(described: Json) -> None:
    assert undescribed(PROMISE, Promise(described)) == []


def test_a_document_keeps_its_own_promise() -> None:
    assert findings(PROMISE, PROMISE, "legacy") == []


def _schema(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def _fields(document: Json, name: str) -> Json:
    found: Json = _schema(document, name)["properties"]
    return found


def _parameters(document: Json) -> list[Json]:
    found: list[Json] = document["paths"]["/api/search"]["get"]["parameters"]
    return found


def _limit(document: Json) -> Json:
    return next(each for each in _parameters(document) if each["name"] == "limit")


def _body(document: Json, path: str) -> Json:
    found: Json = _request(document, path)["content"]["application/json"]["schema"]["properties"]
    return found


def _request(document: Json, path: str) -> Json:
    found: Json = document["paths"][path]["post"]["requestBody"]
    return found


def _answers(document: Json, path: str, method: str = "post") -> Json:
    found: Json = document["paths"][path][method]["responses"]
    return found


def _rename_in_path(document: Json) -> None:
    document["paths"]["/api/tickets/{pk}/triage"] = document["paths"].pop(TRIAGE)
    document["paths"]["/api/tickets/{pk}/triage"]["post"]["parameters"][0]["name"] = "pk"


def _ask_as(document: Json, method: str) -> None:
    document["paths"][TRIAGE] = {method: document["paths"][TRIAGE]["post"]}


def _rename_tone(document: Json) -> None:
    fields = _body(document, REPLY)
    fields["style"] = fields.pop("tone")
    _request(document, REPLY)["content"]["application/json"]["schema"]["additionalProperties"] = False


def _succeed_with_200(document: Json) -> None:
    answers = _answers(document, "/api/articles/reindex")
    answers["200"] = answers.pop("202")


def _codes(document: Json) -> list[str]:
    problem = _answers(document, SUMMARY)["403"]["content"]["application/json"]["schema"]
    found: list[str] = problem["properties"]["code"]["enum"]
    return found


def _id(document: Json) -> Json:
    found: Json = document["paths"][TRIAGE]["post"]["parameters"][0]
    return found


FORM = "application/x-www-form-urlencoded"
LANGUAGE = {"name": "language", "in": "query", "schema": {"type": "string"}}
PROBLEM = {"description": "Unprocessable", "content": {"application/json": {"schema": {"type": "object"}}}}
LIST = {"application/json": {"schema": {"type": "array"}}}

Edit = Callable[[Json], Any]

BREAKS: list[tuple[str, str, str, Edit]] = [
    ("an operation is gone", "triage", "operation", lambda d: d["paths"].pop(TRIAGE)),
    ("another method", "triage", "operation", lambda d: _ask_as(d, "put")),
    ("a smaller maximum", "summary", "request body", lambda d: _body(d, SUMMARY)["max_words"].update(maximum=200)),
    ("a larger minimum", "summary", "request body", lambda d: _body(d, SUMMARY)["max_words"].update(minimum=21)),
    ("null is refused", "summary", "request body", lambda d: _body(d, SUMMARY)["max_words"].update(type="integer")),
    ("a shorter text", "reply", "request body", lambda d: _body(d, REPLY)["instructions"].update(maxLength=1000)),
    ("a choice is gone", "reply", "request body", lambda d: _body(d, REPLY)["tone"]["enum"].remove("brief")),
    ("another name", "reply", "request body", _rename_tone),
    ("a field that nobody reads", "reply", "request body /tone", lambda d: _body(d, REPLY).pop("tone")),
    ("a form", "reply", "request body", lambda d: _request(d, REPLY).update(content={FORM: {"schema": {}}})),
    ("a path of small numbers", "triage", "path id", lambda d: _id(d).update(schema={"type": "integer", "maximum": 9})),
    ("must have a body", "summary", "request body", lambda d: _request(d, SUMMARY).update(required=True)),
    ("a parameter is ignored", "search", "query limit", lambda d: _parameters(d).remove(_limit(d))),
    ("a parameter is required", "search", "query limit", lambda d: _limit(d).update(required=True)),
    ("a parameter is bounded", "search", "query limit", lambda d: _limit(d)["schema"].update(maximum=10)),
    ("another default", "search", "query limit", lambda d: _limit(d)["schema"].update(default=10)),
    ("a new must", "search", "query language", lambda d: _parameters(d).append({**LANGUAGE, "required": True})),
    ("a lost field", "summary", "answer 200 body", lambda d: _schema(d, "SummaryAnswer")["required"].remove("usage")),
    (
        "null",
        "summary",
        "answer 200 body",
        lambda d: _fields(d, "SummaryAnswer")["model"].update(type=["string", "null"]),
    ),
    ("text", "summary", "answer 200 body", lambda d: _fields(d, "Usage")["prompt_tokens"].update(type="string")),
    (
        "a new choice",
        "reindex",
        "answer 202 body",
        lambda d: _fields(d, "JobAnswer")["status"]["enum"].append("x"),
    ),
    (
        "another time format",
        "reindex",
        "answer 202 body",
        lambda d: _fields(d, "JobAnswer")["created_at"].pop("pattern"),
    ),
    ("a list", "search", "answer 200 body", lambda d: _answers(d, "/api/search", "get")["200"].update(content=LIST)),
    ("a status nobody knows", "summary", "answer 422", lambda d: _answers(d, SUMMARY).update({"422": PROBLEM})),
    ("success is another status", "reindex", "answer 202", _succeed_with_200),
    ("a stream is a list", "reply", "answer 200", lambda d: _answers(d, REPLY)["200"].update(content=LIST)),
    ("a new code of an error", "summary", "answer 403 body", lambda d: _codes(d).append("banned")),
]


@pytest.mark.parametrize(
    ("operation", "place", "edit"), [each[1:] for each in BREAKS], ids=[each[0] for each in BREAKS]
)
def test_a_break_is_named_with_operation_and_place(described: Json, operation: str, place: str, edit: Edit) -> None:
    """Each is one edit that somebody could make to the service. Where schemas differ, a value shows it."""
    changed = copy.deepcopy(described)
    edit(changed)

    found = findings(PROMISE, Promise(changed), "extracted", look_seconds=0)

    assert [each for each in found if operation in each.operation and each.place == place], list(map(str, found))
    assert [str(each) for each in found if each.proof and not each.proof.has_witness] == []


ALTERNATIVES = {"anyOf": [{"const": status} for status in ("queued", "running", "done", "failed")]}

HARMLESS: dict[str, Edit] = {
    "other words for people": lambda d: d["paths"][SUMMARY]["post"].update(summary="x", operationId="y"),
    "a larger maximum": lambda d: _body(d, SUMMARY)["max_words"].update(maximum=500),
    "an optional field more": lambda d: _body(d, SUMMARY).update(language={"type": "string"}),
    "a field more in the answer": lambda d: _fields(d, "SummaryAnswer").update(cost={"type": "number"}),
    "a choice less in the answer": lambda d: _fields(d, "JobAnswer")["status"]["enum"].remove("running"),
    "an optional parameter more": lambda d: _parameters(d).append(LANGUAGE),
    "another name in the path": _rename_in_path,
    "any text in the path": lambda d: _id(d).update(schema={"type": "string"}),
    "alternatives instead of choices": lambda d: _fields(d, "JobAnswer").update(status=ALTERNATIVES),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_no_client_can_notice_is_not_complained_about(described: Json, change: str) -> None:
    changed = copy.deepcopy(described)
    HARMLESS[change](changed)

    assert findings(PROMISE, Promise(changed), "extracted") == []


def test_a_finding_shows_a_value_that_both_schemas_were_asked_about(described: Json) -> None:
    changed = copy.deepcopy(described)
    _body(changed, SUMMARY)["max_words"]["type"] = "integer"

    [found] = findings(PROMISE, Promise(changed), "extracted", look_seconds=60)

    assert isinstance(found, Finding)
    assert found.proof is not None
    assert (found.proof.takes, found.proof.witness) == (Takes.NOT_ALL, {"max_words": None})
    assert str(found).endswith('a body that was promised to be taken is refused, for example {"max_words": null}')
