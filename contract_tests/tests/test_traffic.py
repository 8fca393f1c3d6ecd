"""Recorded traffic is held against a promise: what nobody promised is found, and what nobody met is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from contract_tests.contractkit.document import Promise
from contract_tests.contractkit.learn import Recorded, propose
from contract_tests.contractkit.traffic import broken_in, unmet_in

TICKET = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}}
TAGGED = {"X-Made-At": {"required": True, "schema": {"pattern": "^[0-9]+$"}}}
PROMISE = Promise(
    {
        "openapi": "3.1.0",
        "paths": {
            "/tickets/{id}": {
                "get": {
                    "responses": {
                        "200": {"headers": TAGGED, "content": {"application/json": {"schema": TICKET}}},
                        "404": {"content": {"application/json": {"schema": {}}}},
                    }
                },
                "delete": {"responses": {"204": {}}},
            }
        },
    }
)
SEEN = Recorded(
    "GET", "/tickets/7", (), b"", 200, frozenset({"content-type", "x-made-at"}), "application/json", b'{"id": 7}'
)


def broken(*recorded: Recorded) -> list[str]:
    return [each.title for each in broken_in(recorded, PROMISE, propose(recorded, "Tickets"))]


def test_what_was_promised_is_no_finding() -> None:
    assert broken(SEEN, replace(SEEN, path="/tickets/8")) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": 409}, "GET /tickets/{id}: status: 409 was not promised, only 200, 404"),
        ({"answer_body": b'{"id": "7"}'}, 'GET /tickets/{id}: body /id: "7" is not of type "integer"'),
        ({"answer_type": "text/html"}, "is 'text/html'; promised: application/json"),
        ({"headers": frozenset({"content-type"})}, "GET /tickets/{id}: header x-made-at: is missing"),
    ],
)
def test_an_answer_that_nobody_promised_is_found(changed: dict[str, Any], says: str) -> None:
    [found] = broken(SEEN, replace(SEEN, **changed))

    assert found.endswith(says)


def test_what_a_recording_leaves_out_is_no_finding() -> None:
    assert broken(replace(SEEN, answer_body=b"")) == []


def test_an_operation_that_nobody_promised_is_named_by_its_template() -> None:
    notes = [replace(SEEN, path=f"/tickets/{number}/notes") for number in range(3)]

    assert broken(SEEN, *notes) == [
        "GET /tickets/{ticket_id}/notes: operation: is answered, and nobody promised it",
    ]


def test_the_same_in_many_answers_is_one_finding() -> None:
    many: Sequence[Recorded] = [replace(SEEN, answer_body=json.dumps({"id": str(n)}).encode()) for n in range(9)]

    [found] = broken_in(many, PROMISE, propose(many, "Tickets"))

    assert found.times == 9


def test_what_was_promised_and_not_met_is_told_by_operation_and_by_status() -> None:
    assert unmet_in([SEEN], PROMISE) == (["DELETE /tickets/{id}"], {"GET /tickets/{id}": ["404"]})
