"""A promise is proposed from recorded traffic, and nothing that is somebody's gets into it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from contract_tests.contractkit.document import Answer, Promise
from contract_tests.contractkit.learn import TrafficError, propose, read_har

SECRETS = ("s3cr3t-session-of-jonas", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "mara@lumen.example", "Write to the customer:")


def entry(
    method: str, url: str, status: int = 200, answer: Any = None, body: Any = None, media_type: str = "application/json"
) -> dict[str, Any]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    sent = {"Cookie": f"sessionid={SECRETS[0]}", "Authorization": f"Bearer {SECRETS[1]}"}
    headers = [{"name": name, "value": value} for name, value in sent.items()]
    request: dict[str, Any] = {"method": method, "url": f"https://desk.example{url}", "headers": headers}
    if body is not None:
        request["postData"] = {"mimeType": "application/json; charset=utf-8", "text": json.dumps(body)}
    return {
        "request": request,
        "response": {
            "status": status,
            "headers": [{"name": "Set-Cookie", "value": SECRETS[0]}, {"name": "Location", "value": f"/x/{SECRETS[0]}"}],
            "content": {"mimeType": media_type, "text": text},
        },
    }


def proposed(*entries: dict[str, Any]) -> dict[str, Any]:
    return propose(read_har(json.dumps({"log": {"entries": list(entries)}})), "Desk")


def answered(found: dict[str, Any], path: str) -> dict[str, Any]:
    schema: dict[str, Any] = found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return schema


def ticket(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "status": "open" if number % 2 else "closed", "mail": SECRETS[2], "note": None, **more}


def test_numbers_and_ids_in_paths_become_parameters_and_so_do_many_names_in_one_place() -> None:
    found = proposed(
        *(entry("GET", f"/api/tickets/{number}", answer=ticket(number)) for number in range(3)),
        entry("GET", "/api/tickets/3fa85f64-5717-4562-b3fc-2c963f66afa6/notes", answer=[]),
        *(entry("GET", f"/api/articles/how-to-{name}", answer={}) for name in "abcdef"),
        entry("POST", "/api/articles/reindex", 202, answer={}),
    )

    assert sorted(found["paths"]) == [
        "/api/articles/reindex",
        "/api/articles/{article_name}",
        "/api/tickets/{ticket_id}",
        "/api/tickets/{ticket_id}/notes",
    ]
    assert found["paths"]["/api/tickets/{ticket_id}"]["get"]["parameters"] == [
        {"name": "ticket_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    ]


def test_endpoints_beside_each_other_whose_answers_are_not_alike_are_not_values_of_a_parameter() -> None:
    kinds = {"tickets": {"id": 1, "status": "open"}, "users": {"login": "x"}, "boxes": [{"width": 1}], "queues": [2]}

    found = proposed(
        *(entry("GET", f"/api/{name}", answer=answer) for name, answer in kinds.items()),
        entry("GET", "/api/health", answer={"ok": True}),
        entry("GET", "/api/feed", answer={"entries": []}),
    )

    assert sorted(found["paths"]) == [f"/api/{name}" for name in sorted([*kinds, "health", "feed"])]


@pytest.mark.parametrize(
    ("many", "one"),
    [("dishes", "dish"), ("boxes", "box"), ("categories", "category"), ("classes", "class"), ("houses", "house"),
     ("address", "address"), ("bus", "bus")],
)  # fmt: skip
def test_a_parameter_has_the_name_of_one(many: str, one: str) -> None:
    assert f"/{many}/{{{one}_id}}" in proposed(entry("GET", f"/{many}/7", answer={}))["paths"]


def test_a_field_is_required_only_if_every_object_has_it() -> None:
    found = proposed(
        entry("GET", "/t/1", answer=ticket(1)), entry("GET", "/t/2", answer=ticket(2, extra=True, note="x"))
    )

    schema = found["paths"]["/t/{t_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["id", "mail", "note", "status"]
    assert schema["properties"]["note"]["type"] == ["null", "string"]
    assert schema["properties"]["extra"] == {"type": "boolean", "x-seen": 1}


def test_a_few_words_that_come_again_and_again_are_choices_and_nothing_else_is() -> None:
    found = proposed(*(entry("GET", f"/t/{number}", answer=ticket(number)) for number in range(40)))

    fields = found["paths"]["/t/{t_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"][
        "properties"
    ]
    assert fields["status"]["enum"] == ["closed", "open"]
    assert "enum" not in fields["mail"]


def test_the_few_people_who_come_again_and_again_are_no_choices() -> None:
    people = [{"assignee": {"username": name}, "owner": name, "cc_names": [name]} for name in ("mara", "otto")]
    found = proposed(*(entry("GET", f"/t?assignee={each['owner']}", answer=each) for each in people * 20))

    assert "mara" not in json.dumps(found)
    assert "enum" not in json.dumps(found)


def test_what_was_refused_says_nothing_about_bodies_that_are_taken() -> None:
    found = proposed(
        entry("POST", "/t", 201, answer=ticket(1), body={"subject": "a", "count": 1}),
        entry("POST", "/t", 400, answer={"detail": "no"}, body={"subject": 7}),
    )

    operation = found["paths"]["/t"]["post"]
    assert (
        operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["subject"]["type"] == "string"
    )
    assert sorted(operation["responses"]) == ["201", "400"]
    assert operation["responses"]["201"]["headers"]["location"]["required"] is True


def test_streams_are_learned_by_event_and_order() -> None:
    delta, done = 'event: delta\ndata: {"text": "a"}\n\n', 'event: done\ndata: {"tokens": 3}\n\n'
    streams = [delta * times + done for times in (2, 5, 1)]
    found = proposed(*(entry("POST", "/ask", answer=stream, media_type="text/event-stream") for stream in streams))

    content = found["paths"]["/ask"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    assert content["x-event-sequence"] == "(delta done) | (delta+ done)"
    assert content["x-event-data"]["delta"]["required"] == ["text"]


def test_no_secret_address_or_prompt_gets_into_the_proposal() -> None:
    url = f"/u/{SECRETS[1]}/{SECRETS[2]}/t?token={SECRETS[0]}&{SECRETS[2]}=1"
    answer = {"by": {SECRETS[2]: 1}, "prompt": SECRETS[3]}
    found = proposed(*(entry("POST", url, 200, {**answer, **ticket(n)}, {"prompt": SECRETS[3]}) for n in range(50)))

    text = json.dumps(found)
    assert not [secret for secret in SECRETS if secret in text]
    assert "sessionid" not in text
    assert "additionalProperties" in text


def test_the_proposal_is_kept_by_the_traffic_it_was_learned_from() -> None:
    answers = [ticket(number, tags=["a"] * number, score=number / 2) for number in range(1, 9)]
    found = proposed(*(entry("GET", f"/t/{each['id']}", answer=each) for each in answers))

    operation = Promise(found).operation("GET", "/t/4")
    assert operation
    headers = [("Content-Type", "application/json"), ("Location", "/x")]
    for each in answers:
        assert operation.broken_by(Answer(200, headers, json.dumps(each).encode())) == []
    assert operation.broken_by(Answer(200, headers, b'{"id": "4"}'))


def test_bodies_in_base64_are_read() -> None:
    encoded = entry("GET", "/t", answer="")
    encoded["response"]["content"].update(encoding="base64", text=base64.b64encode(b'{"a": 1}').decode())

    found = proposed(encoded)

    schema = answered(found, "/t")
    assert schema["properties"]["a"]["type"] == "integer"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"log": {"entries": [{}]}}'])
def test_what_is_no_archive_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(TrafficError, match="this is no HTTP Archive"):
        read_har(text)


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(TrafficError, match="no request"):
        propose([], "Desk")
