"""Requests that are put to every side, thought of by hand, each with the status that is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract_tests.contractkit.examples import filled
from contract_tests.contractkit.holding import Report, Terms, judged
from contract_tests.contractkit.messages import text
from contract_tests.contractkit.parity import Exchange, put
from contract_tests.contractkit.targets import Request
from contract_tests.sides import Sides

LIMIT = 2_621_440
"""The longest request body, in bytes."""

STAGES = ("legacy", "extracted")
JSON = {"Content-Type": "application/json"}

Answers = dict[str, Exchange]
"""By what the case says."""


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

    def request(self, names: Mapping[str, object]) -> Request:
        early = len(self.body or b"") > LIMIT
        return Request(
            self.method, filled(self.path, names), tuple(self.headers.items()), self.body, may_be_answered_early=early
        )


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


def put_to_all_sides(sides: Sides, terms: Terms, cases: Sequence[Case], names: Mapping[str, object]) -> Answers:
    return {case.says: put(terms.promise, case.request(names), sides.targets(case.username)) for case in cases}


def assert_alike(sides: Sides, terms: Terms, answers: Answers, case: Case) -> None:
    """Every side answers with this status, as promised, and as the monolith does."""
    exchange, targets = answers[case.says], sides.targets(case.username)
    found = list(judged(terms, targets, exchange, "", Report()))
    assert not found, "\n" + text(found)
    assert {answer.status for answer in exchange.answers.values()} == {case.status}


def assert_each_side_answered(answers: Answers) -> None:
    """A comparison of legacy with itself would prove nothing."""
    for side, name in (("router", b"legacy"), ("extracted", b"assistant")):
        succeeded = [one for each in answers.values() if (one := each.answers[side]).status < 300]
        assert {dict(one.headers)[b"x-answered-by"] for one in succeeded} == {name}
