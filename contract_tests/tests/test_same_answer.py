"""Whatever a caller sends about a ticket, the extracted service answers as the monolith does."""

from __future__ import annotations

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

SUMMARY, REPLY, TRIAGE = (f"/api/tickets/{{own}}/{kind}" for kind in ("summary", "reply", "triage"))


def _of_a_ticket(path: str) -> list[Case]:
    kind = path.rpartition("/")[2]
    return [
        *bodies(path),
        *strangers(path),
        Case(f"{kind}: no permission", path=path, username="otto", status=403),
        Case(f"{kind}: another organisation's ticket", path=path.replace("own", "other"), status=404),
        Case(f"{kind}: an id that nobody has", path=path.replace("{own}", "999999999"), status=404),
        Case(f"{kind}: an id too large", path=path.replace("{own}", "9" * 30), status=404),
        Case(f"{kind}: an id that is none", path=path.replace("{own}", "seven"), status=404),
        Case(f"{kind}: an id with an encoded digit", path=path.replace("{own}", "%39" * 9), status=404),
        Case(f"{kind}: a ticket before its body", path=path.replace("own", "other"), body=b"{", status=404),
        Case(f"{kind}: a permission before its ticket", path=path.replace("own", "other"), username="otto", status=403),
    ]


CASES = [
    *_of_a_ticket(SUMMARY),
    *_of_a_ticket(REPLY),
    *_of_a_ticket(TRIAGE),
    *fields(SUMMARY, "max_words", {
        "20": 200, "300": 200, '"40"': 200, "40.0": 200, "null": 200, '""': 200, '" 40 "': 200,
        "19": 400, "301": 400, "40.5": 400, "true": 400, '"many"': 400, "[40]": 400, "{}": 200, "-1": 400,
        "1e400": 400, "NaN": 400, "9" * 5000: 400,
    }),
    *fields(REPLY, "tone", {
        '"formal"': 200, "null": 200, '""': 200, '"rude"': 400, "1": 400, "[]": 200, '["brief"]': 400, "true": 400,
    }),
    *fields(REPLY, "instructions", {
        '"  Offer a refund.  "': 200, "null": 200, '"' + "a" * 2000 + '"': 200, '"' + "a" * 2001 + '"': 400,
        '"a\\u0000b"': 400, '"\\ud83d\\ude00 \\u2028"': 200, "12": 200, '"\\ud800"': 400,
    }),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _in_a_hurry(stack: Stack) -> None:
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)


@pytest.fixture(scope="module")
def answers(stack: Stack, sides: Sides, terms: Terms) -> Answers:
    with Agent(stack.router, "jonas") as agent, Agent(stack.router, "kwame") as stranger:
        own, other = (one.get("/api/tickets?page_size=1")["results"][0]["id"] for one in (agent, stranger))
    return put_to_all_sides(sides, terms, CASES, {"own": own, "other": other})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_every_side_answers_alike(sides: Sides, terms: Terms, answers: Answers, case: Case) -> None:
    """Callers cannot tell who answered, whatever they sent, and whoever it was kept the promise."""
    assert_alike(sides, terms, answers, case)


def test_each_side_answered_what_it_was_asked(answers: Answers) -> None:
    assert_each_side_answered(answers)


@pytest.mark.parametrize("stage", STAGES)
def test_a_verdict_is_found_on_the_ticket_whoever_reached_it(stack: Stack, stage: str) -> None:
    """The monolith writes the ticket in every stage; it moves to the top of the inbox, and nothing else changes."""
    stack.move(stage)
    with Agent(stack.router, "jonas") as agent:
        ticket = agent.get("/api/tickets?page_size=20")["results"][19]
        said = agent.ask("POST", f"/api/tickets/{ticket['id']}/triage").json()
        found = agent.get("/api/tickets?page_size=1")["results"][0]

    assert (found["id"], found["category"], found["priority"]) == (ticket["id"], said["category"], said["priority"])
    changed = {name for name in ticket if found[name] != ticket[name]}
    assert "updated_at" in changed
    assert changed <= {"updated_at", "category", "priority"}


def test_nobody_commands_the_monolith_through_the_router(stack: Stack) -> None:
    """The header that a command needs is taken away from every caller; without it nothing is at that address."""
    with Agent(stack.router, "jonas") as agent:
        own = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
        for name in ("X-Internal-Identity", "X_Internal_Identity"):
            refused = agent.ask("POST", f"/internal/tickets/{own}/triage", b"{}", {name: "a.b.c"})

            assert (refused.status, refused.answered_by) == (404, "legacy")
