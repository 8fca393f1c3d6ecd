"""Requests that are put to both sides, and their answers in a form that must be equal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from contract_tests.caller import Agent, Got
from contract_tests.stack import Stack

LIMIT = 2_621_440
"""The longest request body, in bytes."""

STAGES = ("legacy", "extracted")
JSON = {"Content-Type": "application/json"}

Answers = dict[str, dict[str, Got]]
"""Stage, then what the case says."""


@dataclass(frozen=True)
class Case:
    """One request. Names in braces in the path are filled in: `{own}` may be a ticket of the caller's organisation."""

    says: str
    method: str = "POST"
    path: str = "/"
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    username: str | None = "jonas"
    status: int = 200


def bodies(path: str, username: str = "jonas", *, status: int = 200) -> list[Case]:
    """Bodies good and bad; `status` is the answer to one that says nothing."""
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
    good: dict[str, tuple[bytes | None, dict[str, str]]] = {
        "no body": (None, {}),
        "an empty object": (b"{}", JSON),
        "unknown fields": (b'{"unknown": [1, {"a": null}]}', JSON),
        "no content type": (b"{}", {}),
        "a wrong content type": (b"{}", {"Content-Type": "text/plain"}),
    }
    return [
        *(Case(f"{kind}: body {name}", "POST", path, body, JSON, username, 400) for name, body in bad.items()),
        *(Case(f"{kind}: {name}", "POST", path, body, sent, username, status) for name, (body, sent) in good.items()),
    ]


def strangers(path: str, username: str = "jonas", *, nobody: int = 403, **request: Any) -> list[Case]:
    """Who may not; `nobody` is the status for whoever is not signed in: CSRF is checked first, if it is."""
    kind = path.partition("?")[0].rpartition("/")[2]
    session = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
    cases = [
        Case(f"{kind}: nobody", path=path, username=None, status=nobody, **request),
        Case(f"{kind}: nobody, with a session that never was", path=path, headers=session, username=None,
             status=nobody, **request),
        Case(f"{kind}: no organisation", path=path, username="admin", status=403, **request),
    ]  # fmt: skip
    forged = {
        "no CSRF token": {"X-CSRFToken": ""},
        "a wrong CSRF token": {"X-CSRFToken": "a" * 64},
        "a foreign origin": {"Origin": "https://evil.example"},
        "an opaque origin": {"Origin": "null"},
    }
    if nobody == 403:
        cases += [
            Case(f"{kind}: {name}", path=path, headers=sent, username=username, status=403, **request)
            for name, sent in forged.items()
        ]
    return cases


def fields(path: str, name: str, values: Mapping[str, int]) -> list[Case]:
    """A field's values, as JSON, and the status of each."""
    return [
        Case(f"{name} = {value[:40]} ({len(value)})", path=path, body=f'{{"{name}": {value}}}'.encode(), headers=JSON,
             status=status)
        for value, status in values.items()
    ]  # fmt: skip


def put_to_both_sides(stack: Stack, cases: Sequence[Case], names: Mapping[str, object]) -> Answers:
    with ExitStack() as open_agents:
        agents = {name: open_agents.enter_context(Agent(stack.router, name)) for name in {c.username for c in cases}}
        found: Answers = {}
        for stage in STAGES:
            stack.move(stage)
            found[stage] = {
                case.says: agents[case.username].ask(case.method, _filled(case.path, names), case.body, case.headers)
                for case in cases
            }
        return found


def _filled(path: str, names: Mapping[str, object]) -> str:
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def assert_alike(answers: Answers, case: Case) -> None:
    legacy, extracted = answers["legacy"][case.says], answers["extracted"][case.says]
    assert legacy.status == case.status, legacy.body[:500]
    assert extracted.status == legacy.status, extracted.body[:500]
    assert extracted.set_cookies == legacy.set_cookies
    assert _comparable(extracted, case) == _comparable(legacy, case)


def assert_each_side_answered(answers: Answers) -> None:
    """A comparison of legacy with itself would prove nothing."""
    for stage, name in (("legacy", "legacy"), ("extracted", "assistant")):
        assert {got.answered_by for got in answers[stage].values() if got.status < 300} == {name}


def _comparable(got: Got, case: Case) -> Any:
    """Headers and body; less how the provider's text was cut into deltas, and the id and time of what was made."""
    if "text/event-stream" in got.headers.get("content-type", []):
        events = got.events()
        text = "".join(data["text"] for name, data in events if name == "delta")
        return got.headers, [name for name, _ in events][:1], text, [event for event in events if event[0] != "delta"]
    if case.method != "POST":
        return got.headers, got.body
    headers = {name: [re.sub(r"\d+$", "N", value) for value in values] for name, values in got.headers.items()}
    body = re.sub(rb'"id": \d+', b'"id": N', got.body)
    return headers, re.sub(rb'"created_at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"', b'"created_at": T', body)
