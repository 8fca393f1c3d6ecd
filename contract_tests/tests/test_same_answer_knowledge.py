"""Whatever a caller wants of the knowledge base, the extracted service answers as the monolith does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from contract_tests.caller import Agent
from contract_tests.cases import (
    STAGES,
    Answers,
    Case,
    assert_alike,
    assert_each_side_answered,
    bodies,
    fields,
    put_to_all_sides,
    strangers,
)
from contract_tests.contractkit.holding import Terms
from contract_tests.sides import Sides
from contract_tests.stack import Stack

SEARCH, ASK, REINDEX, STATUS = "/api/search", "/api/ask", "/api/articles/reindex", "/api/articles/reindex/{job}"
LEAD = "maya"
DEADLINE_SECONDS = 60

QUERIES = {
    # q
    "": 400, "q": 400, "q=": 400, "q=%20%09%0A": 400, "limit=3": 400, "Q=lamp": 400,
    "q=lamp": 200, "q=+dimmer++switch+": 200, "q=dimmer%20switch": 200, "q=lamp&q=refund": 200, "q=lamp&q=": 400,
    "q=lamp;limit=1": 200, "q=lamp&&": 200, "&q=lamp&unknown=1": 200, "q=a=b": 200, "%71=lamp": 200,
    "q=" + "x" * 500: 200, "q=" + "x" * 501: 400, "q=" + "+" * 600 + "x": 200, "q=" + "%C3%A9" * 500: 200,
    "q=%F0%9F%92%A1%E2%80%A8%C2%85x": 200, "q=%00": 400, "q=a%00b": 400, "q=%ff": 200, "q=caf%E9": 200,
    "q=100%": 200, "q=%zz": 200, "q=%": 200, "q=%u0041": 200, "q=<b>%22'&amp;": 200, "q=12": 200, "q=true": 200,
    "q=%ED%A0%80": 200,
    # limit
    "q=lamp&limit=1": 200, "q=lamp&limit=20": 200, "q=lamp&limit=0": 400, "q=lamp&limit=21": 400,
    "q=lamp&limit=-1": 400, "q=lamp&limit=": 200, "q=lamp&limit=3.0": 200, "q=lamp&limit=3.5": 400,
    "q=lamp&limit=+7": 200, "q=lamp&limit=%2B7": 200, "q=lamp&limit=few": 400, "q=lamp&limit=1_0": 200,
    "q=lamp&limit=%D9%A3": 200, "q=lamp&limit=" + "9" * 3000: 400, "q=lamp&limit=3&limit=4": 200, "limit=0": 400,
    "q=%00&limit=0": 400, "q=lamp&limit=1e1": 400, "q=lamp&limit=null": 400,
    # how many fields
    "q=lamp" + "&a" * 999: 200, "q=lamp" + "&a" * 1000: 400,
}  # fmt: skip

CASES = [
    *(Case(f"search ?{query[:40]} ({len(query)})", "GET", f"{SEARCH}?{query}", status=status)
      for query, status in QUERIES.items()),
    Case("search: without a question mark", "GET", SEARCH, status=400),
    Case("search: only its head", "HEAD", f"{SEARCH}?q=lamp"),
    Case("search: only the head of a refusal", "HEAD", SEARCH, status=400),
    Case("search: by a viewer", "GET", f"{SEARCH}?q=lamp", username="otto"),
    Case("search: in another organisation", "GET", f"{SEARCH}?q=lamp&limit=20", username="kwame"),
    Case("search: a body is not looked at", "GET", f"{SEARCH}?q=lamp", body=b'{"q": "refund"}'),
    *strangers(f"{SEARCH}?q=lamp", method="GET", nobody=401),
    Case("search: nobody, only the head", "HEAD", f"{SEARCH}?q=lamp", username=None, status=401),
    *bodies(ASK, status=400),
    *strangers(ASK),
    Case("ask: no permission", path=ASK, username="otto", status=403),
    Case("ask: a permission before the body", path=ASK, body=b"{", username="otto", status=403),
    Case("ask: in another organisation", path=ASK, body=b'{"question": "Where is my parcel?"}', username="kwame"),
    *fields(ASK, "question", {
        '"How do I return a lamp?"': 200, '"  stripped \\n"': 200, "12": 200, "1.50": 200, "0": 200,
        '"' + "a" * 2000 + '"': 200, '"' + "a" * 2001 + '"': 400, "null": 400, '""': 400, '" \\t"': 400, "[]": 400,
        "{}": 400, '["a"]': 400, "true": 400, "false": 400, '"a\\u0000b"': 400, '"\\ud800"': 400,
        '"\\ud83d\\ude00 \\u2028 <b>&\'"': 200, "NaN": 400, '"{{ question }}"': 200,
    }),
    *(case for case in bodies(REINDEX, LEAD, status=202) if case.status == 400),
    Case("reindex: no body", path=REINDEX, username=LEAD, status=202),
    Case("reindex: unknown fields", path=REINDEX, body=b'{"all": true}', username=LEAD, status=202),
    *strangers(REINDEX, LEAD),
    Case("reindex: no permission", path=REINDEX, status=403),
    Case("reindex: a permission before the body", path=REINDEX, body=b"{", status=403),
    *(Case(f"status: {says}", "GET", path, username=username, status=status) for says, path, username, status in (
        ("of a job", STATUS, LEAD, 200),
        ("with a query", f"{STATUS}?x=%ff", LEAD, 200),
        ("no permission", STATUS, "jonas", 403),
        ("no organisation", STATUS, "admin", 403),
        ("nobody", STATUS, None, 401),
        ("another organisation's job", STATUS.replace("job", "other"), LEAD, 404),
        ("an id that nobody has", f"{REINDEX}/999999999", LEAD, 404),
        ("an id too large", f"{REINDEX}/{'9' * 30}", LEAD, 404),
        ("a permission before its job", f"{REINDEX}/999999999", "jonas", 403),
        ("an id that is none", f"{REINDEX}/seven", LEAD, 404),
    )),
    Case("status: only its head", "HEAD", STATUS, username=LEAD),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _in_a_hurry(stack: Stack) -> None:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)


@pytest.fixture(scope="module")
def answers(stack: Stack, sides: Sides, terms: Terms) -> Answers:
    stack.move("legacy")
    with Agent(stack.router, LEAD) as lead, Agent(stack.router, "lucia") as stranger:
        return put_to_all_sides(sides, terms, CASES, {"job": finished(lead)["id"], "other": finished(stranger)["id"]})


def finished(lead: Agent) -> Any:
    """A rebuild that the monolith's jobs have worked off."""
    queued = lead.ask("POST", REINDEX)
    [place] = queued.headers["location"]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (job := lead.get(place))["status"] != "done":
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_every_side_answers_alike(sides: Sides, terms: Terms, answers: Answers, case: Case) -> None:
    """Callers cannot tell who answered, whatever they sent, and whoever it was kept the promise."""
    assert_alike(sides, terms, answers, case)


def test_each_side_answered_what_it_was_asked(answers: Answers) -> None:
    assert_each_side_answered(answers)


@pytest.mark.parametrize("stage", STAGES)
def test_a_rebuild_is_worked_off_whoever_queued_it(stack: Stack, stage: str) -> None:
    """The monolith's jobs do the work in every stage."""
    stack.move(stage)
    with Agent(stack.router, LEAD) as lead:
        job = finished(lead)

    assert (job["done"], job["error"]) == (job["total"], "")
    assert job["finished_at"] > job["created_at"]


@pytest.mark.parametrize(("stage", "status"), [("legacy", 414), ("extracted", 200)])
def test_a_query_that_is_too_long_for_the_monoliths_server_is_answered(stack: Stack, stage: str, status: int) -> None:
    """A declared difference: gunicorn reads request lines of at most 4094 bytes, and 500 emoji need more."""
    stack.move(stage)
    with Agent(stack.router, "jonas") as agent:
        assert agent.ask("GET", f"{SEARCH}?q={'%F0%9F%92%A1' * 500}").status == status
