"""Whatever a caller sends, the extracted service answers as the monolith does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from contract_tests.caller import Agent, Got
from contract_tests.stack import Stack

LIMIT = 2_621_440
"""The longest request body, in bytes."""


@dataclass(frozen=True)
class Case:
    """One request. `{own}` in the path is a ticket of the caller's organisation, `{other}` of another one."""

    says: str
    method: str = "POST"
    path: str = "/api/tickets/{own}/summary"
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    username: str | None = "jonas"
    status: int = 200


SUMMARY, REPLY = "/api/tickets/{own}/summary", "/api/tickets/{own}/reply"
JSON = {"Content-Type": "application/json"}


def _bodies(path: str) -> list[Case]:
    kind = path.rpartition("/")[2]
    bad: dict[str, bytes] = {
        "truncated": b'{"max_words": ',
        "not UTF-8": b'{"tone": "\xff"}',
        "an array": b"[1, 2]",
        "null": b"null",
        "a string": b'"x"',
        "nested too deeply": b"[" * 100_000,
        "one byte too long": b'{"x": "' + b"a" * (LIMIT - 8) + b'"}',
    }
    cases = [Case(f"{kind}: body {name}", path=path, body=body, headers=JSON, status=400) for name, body in bad.items()]
    return [
        *cases,
        Case(f"{kind}: no body", path=path),
        Case(f"{kind}: an empty object", path=path, body=b"{}", headers=JSON),
        Case(f"{kind}: unknown fields", path=path, body=b'{"unknown": [1, {"a": null}]}', headers=JSON),
        Case(f"{kind}: no content type", path=path, body=b"{}"),
        Case(f"{kind}: a wrong content type", path=path, body=b"{}", headers={"Content-Type": "text/plain"}),
        Case(f"{kind}: nobody", path=path, username=None, status=403),
        Case(f"{kind}: nobody, with a session that never was", path=path, username=None, status=403,
             headers={"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}),
        Case(f"{kind}: no CSRF token", path=path, headers={"X-CSRFToken": ""}, status=403),
        Case(f"{kind}: a wrong CSRF token", path=path, headers={"X-CSRFToken": "a" * 64}, status=403),
        Case(f"{kind}: a foreign origin", path=path, headers={"Origin": "https://evil.example"}, status=403),
        Case(f"{kind}: an opaque origin", path=path, headers={"Origin": "null"}, status=403),
        Case(f"{kind}: no permission", path=path, username="otto", status=403),
        Case(f"{kind}: no organisation", path=path, username="admin", status=403),
        Case(f"{kind}: another organisation's ticket", path=path.replace("own", "other"), status=404),
        Case(f"{kind}: an id that nobody has", path=path.replace("{own}", "999999999"), status=404),
        Case(f"{kind}: an id too large", path=path.replace("{own}", "9" * 30), status=404),
    ]  # fmt: skip


def _field(path: str, name: str, values: dict[str, int]) -> list[Case]:
    return [
        Case(f"{name} = {value}", path=path, body=f'{{"{name}": {value}}}'.encode(), headers=JSON, status=status)
        for value, status in values.items()
    ]


CASES = [
    *_bodies(SUMMARY),
    *_bodies(REPLY),
    *_field(SUMMARY, "max_words", {
        "20": 200, "300": 200, '"40"': 200, "40.0": 200, "null": 200, '""': 200, '" 40 "': 200,
        "19": 400, "301": 400, "40.5": 400, "true": 400, '"many"': 400, "[40]": 400, "{}": 200, "-1": 400,
        "1e400": 400, "NaN": 400, "9" * 5000: 400,
    }),
    *_field(REPLY, "tone", {
        '"formal"': 200, "null": 200, '""': 200, '"rude"': 400, "1": 400, "[]": 200, '["brief"]': 400, "true": 400,
    }),
    *_field(REPLY, "instructions", {
        '"  Offer a refund.  "': 200, "null": 200, '"' + "a" * 2000 + '"': 200, '"' + "a" * 2001 + '"': 400,
        '"a\\u0000b"': 400, '"\\ud83d\\ude00 \\u2028"': 200, "12": 200, '"\\ud800"': 400,
    }),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _in_a_hurry(stack: Stack) -> None:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)


@pytest.fixture(scope="module")
def answers(stack: Stack) -> Iterator[dict[str, dict[str, Got]]]:
    """Every case, put to both sides: stage, then what the case says."""
    with ExitStack() as open_agents:
        names = {case.username for case in CASES}
        agents = {name: open_agents.enter_context(Agent(stack.router, name)) for name in names}
        own = agents["jonas"].get("/api/tickets?page_size=1")["results"][0]["id"]
        with Agent(stack.router, "kwame") as stranger:
            other = stranger.get("/api/tickets?page_size=1")["results"][0]["id"]
        found: dict[str, dict[str, Got]] = {}
        for stage in ("legacy", "extracted"):
            stack.move(stage)
            found[stage] = {
                case.says: agents[case.username].ask(
                    case.method, case.path.format(own=own, other=other), case.body, case.headers
                )
                for case in CASES
            }
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_both_sides_answer_alike(answers: dict[str, dict[str, Got]], case: Case) -> None:
    """Callers cannot tell who answered, whatever they sent."""
    legacy, extracted = answers["legacy"][case.says], answers["extracted"][case.says]

    assert legacy.status == case.status, legacy.body[:500]
    assert extracted.status == legacy.status, extracted.body[:500]
    assert extracted.headers == legacy.headers
    assert extracted.set_cookies == legacy.set_cookies
    assert _comparable(extracted) == _comparable(legacy)


@pytest.mark.parametrize("stage", ["legacy", "extracted"])
def test_each_side_answered_what_it_was_asked(answers: dict[str, dict[str, Got]], stage: str) -> None:
    """A comparison of legacy with itself would prove nothing."""
    answered_by = {got.answered_by for got in answers[stage].values() if got.status == 200}

    assert answered_by == {"legacy" if stage == "legacy" else "assistant"}


def _comparable(got: Got) -> Any:
    """The body, less what belongs to one answer alone: the id and the time of a stored summary."""
    if "text/event-stream" in got.headers.get("content-type", []):
        events = got.events()
        text = "".join(data["text"] for name, data in events if name == "delta")
        return text, [event for event in events if event[0] != "delta"]
    body = got.json()
    if "created_at" in body:
        assert list(body) == ["id", "ticket", "text", "model", "usage", "created_by", "created_at"]
        assert len(body["created_at"]) == len("2026-01-05T09:30:12.123Z")
        return {name: value for name, value in body.items() if name not in ("id", "created_at")}
    return got.body


def test_both_sides_ask_the_provider_the_same_byte_for_byte(stack: Stack) -> None:
    """The model's answer can only be the same if the question is."""
    asked: dict[str, list[str]] = {}
    for stage in ("legacy", "extracted"):
        stack.move(stage)
        stack.forget_calls()
        with Agent(stack.router, "jonas") as agent:
            for ticket in agent.get("/api/tickets?page_size=8")["results"]:
                path = f"/api/tickets/{ticket['id']}"
                agent.ask("POST", f"{path}/summary", b'{"max_words": 33}')
                agent.ask("POST", f"{path}/reply", json.dumps({"tone": "brief", "instructions": "<b>&'\" é"}).encode())
        asked[stage] = [json.dumps(call["body"]) for call in stack.calls()]

    assert len(asked["legacy"]) == 16
    assert asked["extracted"] == asked["legacy"]
