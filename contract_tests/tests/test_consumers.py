"""What each consumer needs is promised, by proof; and whoever is broken by a change is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contract_tests.contractkit.consumers import Consumer, hurt_by, noticing, unmet
from contract_tests.contractkit.document import Answer, Json, Operation, Promise
from contract_tests.contractkit.holding import Terms

SUMMARY = "POST /api/tickets/{id}/summary"


def consumer(terms: Terms, name: str) -> Consumer:
    return next(each for each in terms.consumers if each.name == name)


def operation(promise: Promise, name: str) -> Operation:
    return next(each for each in promise.operations if each.name == name)


@pytest.mark.parametrize("name", ["mobile", "nightly", "web_pages"])
def test_what_a_consumer_needs_is_promised(terms: Terms, name: str) -> None:
    assert [each.title for each in unmet(consumer(terms, name), terms.promise)] == []


def _of_a_schema(name: str, change: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda document: change(document["components"]["schemas"][name])


BREAKS: dict[str, tuple[str, str, Callable[[Json], Any]]] = {
    "a field may be missing": (
        "mobile", "answer 200 body", _of_a_schema("Summary", lambda s: s["required"].remove("usage")),
    ),
    "a new choice": (
        "mobile", "answer 200 body", _of_a_schema("Status", lambda s: s["enum"].append("snoozed")),
    ),
    "a value may be null": (
        "web_pages", "event delta",
        _of_a_schema("Delta", lambda s: s["properties"]["text"].update(type=["string", "null"])),
    ),
    "a body is refused that was taken": (
        "mobile", "request body",
        lambda d: d["paths"]["/api/tickets/{id}/summary"]["post"]["requestBody"]["content"]["application/json"][
            "schema"]["properties"]["max_words"].update(minimum=40),
    ),
    "a new status": (
        "mobile", "answer 409",
        lambda d: d["paths"]["/api/search"]["get"]["responses"].update({"409": {"description": "x"}}),
    ),
    "an operation is gone": ("nightly", "operation", lambda d: d["paths"].pop("/api/articles/reindex/{id}")),
}  # fmt: skip


@pytest.mark.parametrize("change", BREAKS)
def test_a_change_of_the_promise_names_whom_it_breaks(terms: Terms, change: str) -> None:
    name, place, edit = BREAKS[change]
    document = copy.deepcopy(terms.promise.raw)
    edit(document)

    found = [each for each in unmet(consumer(terms, name), Promise(document), look_seconds=0) if each.place == place]

    assert found
    assert found[0].notices == (name,)


def test_an_answer_that_a_consumer_cannot_read_names_it(terms: Terms) -> None:
    answer = Answer(200, [("Content-Type", "application/json")], b'{"text": "x", "created_at": "", "usage": {}}')

    found = list(hurt_by(consumer(terms, "mobile"), operation(terms.promise, SUMMARY), answer, terms.promise))

    assert [each.place for each in found] == ["body /usage", "body /usage"]
    assert found[0].says.startswith("breaks mobile: ")


def test_a_place_names_who_reads_it(terms: Terms) -> None:
    summary = operation(terms.promise, SUMMARY)

    assert noticing(terms.consumers, summary, 200, "body /usage/prompt_tokens") == (
        "mobile (reads /usage/prompt_tokens)",
    )
    assert noticing(terms.consumers, summary, 200, "body /model") == ("web_pages (reads /model)",)
    assert noticing(terms.consumers, summary, 200, "body /created_by") == ()


def test_whoever_tolerates_nothing_new_is_told_of_a_new_event(terms: Terms) -> None:
    strict = replace(consumer(terms, "web_pages"), tolerates=frozenset())
    document = copy.deepcopy(terms.promise.raw)
    stream = document["paths"]["/api/ask"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    stream["x-event-data"]["usage"] = {"type": "object"}

    found = {(each.operation, each.place) for each in unmet(strict, Promise(document), look_seconds=0)}

    assert ("POST /api/ask", "event usage") in found
