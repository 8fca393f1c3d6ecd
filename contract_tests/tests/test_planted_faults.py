"""Faults are planted in the candidate, one after another; the comparison finds each, and names its place.

Between them it finds nothing, so what it finds is the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract_tests.caller import Agent
from contract_tests.comparing import Compared, calls_of_copies, comparison_of, is_too_late, report
from contract_tests.loopback import asking
from contract_tests.stack import Stack, running_stack

pytestmark = pytest.mark.timeout(400)  # a stack of its own and all its evidence, on a machine that may be busy
ASKED = {
    "summary": ("POST", "/api/tickets/{ticket}/summary", b"{}"),
    "reply": ("POST", "/api/tickets/{ticket}/reply", b'{"tone": "brief"}'),
    "triage": ("POST", "/api/tickets/{ticket}/triage", b"{}"),
    "search": ("GET", "/api/search?q=lamp", b""),
    "ask": ("POST", "/api/ask", b'{"question": "How do I return a lamp?"}'),
}
FAST, AT_A_READERS_PACE = 2000, 40
"""Tokens per second."""
UNHURRIED = ("buffered", "none")
"""Whether a stream was held back can be said only of one that took its time."""
NO_DIFFERENCE = "slow-start"
SLOWER_SECONDS = 1.0
ATTEMPTS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data: Path = tmp_path_factory.mktemp("faulty")
    with running_stack(data, faulty=True) as stack:
        stack.move("shadow")
        stack.forget_calls()
        yield stack


@pytest.fixture(scope="module")
def agent(stack: Stack) -> Iterator[Agent]:
    with Agent(stack.router, "jonas") as agent:
        yield agent


@pytest.fixture(scope="module")
def faults(stack: Stack) -> dict[str, dict[str, str]]:
    """What can be planted: the endpoint that shows it, and the place and kind that must name it."""
    told: dict[str, dict[str, str]] = asking().get(f"{stack.candidate}/sandbox/fault").json()["faults"]
    return told


@pytest.fixture(scope="module")
def found(stack: Stack, agent: Agent, faults: dict[str, dict[str, str]]) -> dict[str, Compared]:
    """What the comparison said of each fault, and before each endpoint's faults and after all of them of none."""
    said = {}
    for endpoint in ASKED:
        said[f"no fault: {endpoint}"] = shown(stack, agent, "none", endpoint)
        for name, fault in faults.items():
            if fault["shown_by"] == endpoint:
                said[name] = shown(stack, agent, name, endpoint)
    for endpoint in ASKED:
        said[f"no fault any more: {endpoint}"] = shown(stack, agent, "none", endpoint)
    return said


def shown(stack: Stack, agent: Agent, fault: str, endpoint: str) -> Compared:
    """The comparison of one request to the endpoint, with this fault planted; of another one if it says nothing."""
    method, path, body = ASKED[endpoint]
    ticket = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
    stack.plant(fault)
    stack.pace(0.02, AT_A_READERS_PACE if endpoint == "reply" and fault in UNHURRIED else FAST)
    for _ in range(ATTEMPTS):
        answer = agent.ask(method, path.format(ticket=ticket), body)
        assert (answer.status, answer.answered_by) == (200, "legacy"), fault
        compared = comparison_of(stack.evidence_url, stack.last_exchange())
        if not is_too_late(compared):
            break
    return compared


def test_where_there_is_no_fault_none_is_found(found: dict[str, Compared]) -> None:
    without = {name: (each.verdict, each.differences) for name, each in found.items() if name.startswith("no fault")}

    assert len(without) == 2 * len(ASKED)
    assert without == dict.fromkeys(without, ("match", []))


def test_every_fault_is_found_and_named_by_its_place(
    faults: dict[str, dict[str, str]], found: dict[str, Compared]
) -> None:
    differing = {name: fault for name, fault in faults.items() if name != NO_DIFFERENCE}

    missed = {
        name: found[name].differences or found[name].verdict
        for name, fault in differing.items()
        if found[name].verdict != "mismatch" or not names(found[name], fault)
    }

    assert missed == {}
    assert len(differing) >= 20


def test_a_fault_of_the_answer_is_the_only_thing_that_is_found(
    faults: dict[str, dict[str, str]], found: dict[str, Compared]
) -> None:
    of_answers = [name for name, fault in faults.items() if not fault["place"].startswith("effect") and fault["place"]]

    beside = {name: found[name].differences for name in of_answers if len(found[name].differences) != 1}

    assert beside == {}


def test_a_slower_beginning_is_no_difference_but_counts_as_slower(stack: Stack, found: dict[str, Compared]) -> None:
    slow, as_ever = found[NO_DIFFERENCE], found["no fault: reply"]

    assert slow.verdict == "match"
    assert first_seconds_more(slow) > SLOWER_SECONDS > first_seconds_more(as_ever)
    assert slow.candidate_seconds - slow.control_seconds > SLOWER_SECONDS
    assert report(stack)["ticket-reply"]["rates"]["slower"]["hits"] >= 1


def test_the_report_names_every_fault(stack: Stack, faults: dict[str, Any], found: dict[str, Compared]) -> None:
    """Numbers in places are left out there, so that one fault is one finding wherever it shows."""
    told = report(stack)
    named = {(each["place"], each["kind"]) for route in told.values() for each in route["clusters"]}

    places = {name: found[name].differences for name in faults if name != NO_DIFFERENCE}

    unnamed = {name for name, each in places.items() if not {(starred(place), kind) for place, kind in each} & named}
    assert unnamed == set()
    assert "no-go" in {route["verdict"] for route in told.values()}


def test_no_copy_asked_the_provider(stack: Stack, found: dict[str, Compared]) -> None:
    assert found
    assert calls_of_copies(stack) == 0


def names(compared: Compared, fault: dict[str, str]) -> bool:
    return any(re.fullmatch(fault["place"], place) and kind == fault["kind"] for place, kind in compared.differences)


def first_seconds_more(compared: Compared) -> float:
    """How much later than the control's the candidate's answer began."""
    assert compared.candidate_first_seconds is not None
    assert compared.control_first_seconds is not None
    return compared.candidate_first_seconds - compared.control_first_seconds


def starred(place: str) -> str:
    return re.sub(r"(?<=/)\d+(?=/|$)|(?<=^event )\d+", "*", place)
