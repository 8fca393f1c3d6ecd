"""What Django Ninja and drf-spectacular say of the same endpoints is compared by meaning, and each change is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from contract_tests.contractkit.compatible import Finding, findings
from contract_tests.contractkit.document import Json, Promise, load
from contract_tests.terms import CONTRACT

GENERATORS = {"ninja": "3.1", "rest_framework": "3.0"}
SUMMARY, SEARCH, JOB = "/api/tickets/{id}/summary", "/api/search", "/api/articles/reindex/{id}"
SECONDS = 60


def promised() -> Promise:
    """Of the whole promise, what the small applications offer."""
    raw = load(CONTRACT / "openapi.yaml").raw
    return Promise({**raw, "paths": {path: raw["paths"][path] for path in (SUMMARY, SEARCH, JOB)}})


@cache
def printed_by(generator: str) -> dict[str, Json]:
    """By change; "" is without any."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": f"{__package__}.generators.settings"}
    command = [sys.executable, "-m", f"{__package__}.generators.{generator}"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS)
    found: dict[str, Json] = json.loads(told.stdout)
    return found


@pytest.fixture(scope="module", params=GENERATORS)
def documents(request: pytest.FixtureRequest) -> dict[str, Json]:
    found = printed_by(request.param)
    assert found[""]["openapi"].startswith(GENERATORS[request.param])
    return found


def test_what_was_written_as_promised_keeps_the_promise(documents: dict[str, Json]) -> None:
    assert list(map(str, findings(promised(), Promise(documents[""]), "legacy"))) == []


def test_drf_spectacular_says_the_same_in_3_0_and_in_3_1() -> None:
    """It spells them differently itself: `nullable` in the one, types and alternatives in the other."""
    older, newer = (Promise(printed_by("rest_framework")[key]) for key in ("", "as 3.1"))

    assert [list(map(str, findings(one, other, "legacy"))) for one, other in ((older, newer), (newer, older))] == [
        [],
        [],
    ]


REQUEST, ANSWER = "request body", "answer 200 body"
CHANGES: list[tuple[str, str, str, Any]] = [
    ("a smaller maximum", SUMMARY, REQUEST, {"max_words": 201}),
    ("null is refused", SUMMARY, REQUEST, {"max_words": None}),
    ("a new must", SUMMARY, REQUEST, {}),
    ("a shorter text", SEARCH, "query q", "a" * 101),
    ("a lost field", SUMMARY, ANSWER, "model"),
    ("a field that may be left out", SUMMARY, ANSWER, "usage"),
    ("null", SUMMARY, ANSWER, {"model": None}),
    ("null instead of an object", SUMMARY, ANSWER, {"usage": None}),
    ("another type", SUMMARY, ANSWER, {"created_by": ""}),
    ("another time format", SUMMARY, ANSWER, {"created_at": "2000-01-01T00:00:00+01:00"}),
    ("a new choice", JOB, ANSWER, {"status": "paused"}),
    ("a number below", JOB, ANSWER, {"done": -1}),
]


@pytest.mark.parametrize(("change", "path", "place", "example"), CHANGES, ids=[each[0] for each in CHANGES])
def test_a_change_is_named_and_a_value_shows_it(
    documents: dict[str, Json], change: str, path: str, place: str, example: Any
) -> None:
    """Of an answer, whatever else stands in the value; a field's name: the value is without it."""
    found = only(documents, change, path, place)

    assert found.proof is not None
    witness = found.proof.witness
    if place != ANSWER:
        assert witness == example
    elif isinstance(example, str):
        assert example not in witness
    else:
        assert witness == witness | example


def test_a_change_inside_a_list_is_shown_by_a_list(documents: dict[str, Json]) -> None:
    wider = only(documents, "a wider range in a list", SEARCH, ANSWER).proof
    longer = only(documents, "a longer list", SEARCH, ANSWER).proof

    assert wider is not None
    assert [hit["score"] > 1 for hit in wider.witness["results"]] == [True]
    assert longer is not None
    assert len(longer.witness["results"]) == 21


def test_what_no_value_shows_is_said_in_words(documents: dict[str, Json]) -> None:
    assert only(documents, "another name", SUMMARY, "request body /max_words").says == "is ignored"
    assert only(documents, "another default", SEARCH, "query limit").says == "is 10 if left out; promised was 5"


def only(documents: dict[str, Json], change: str, path: str, place: str) -> Finding:
    """The finding there, with a proof if one has. There are none at other operations."""
    found = findings(promised(), Promise(documents[change]), "legacy")
    assert {each.operation.split()[1] for each in found} == {path}, list(map(str, found))
    return max((each for each in found if each.place == place), key=lambda each: each.proof is not None)
