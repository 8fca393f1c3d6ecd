"""Two sides that are the same are found to be the same, at every endpoint, and copies cost the provider nothing.

A hundred and sixty exchanges; `make shadow-proof` puts a thousand.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from contract_tests.caller import Agent
from contract_tests.comparing import Compared, calls_of_copies, differing, is_too_late, latest, report, wait_for
from contract_tests.stack import Stack, running_stack

pytestmark = pytest.mark.timeout(400)  # a stack of its own and all its evidence, on a machine that may be busy
EXCHANGES = int(os.environ.get("IDENTICAL_EXCHANGES", "160"))
AGENTS = ("jonas", "maya", "priya", "kwame")
"""Of two organisations; each has tickets of their own here, so that nobody changes what another's copy reads."""
TICKETS_EACH = 4
SECONDS_EACH = 1.0
ROUTES = {
    "ticket-triage": [("POST", "/api/tickets/{ticket}/triage", b"{}", 200)],
    "ticket-summary": [
        ("POST", "/api/tickets/{ticket}/summary", b"{}", 200),
        ("POST", "/api/tickets/{ticket}/summary", b'{"max_words": 40}', 200),
        ("POST", "/api/tickets/{ticket}/summary", b'{"max_words": 0}', 400),
        ("POST", "/api/tickets/999999/summary", b"{}", 404),
    ],
    "ticket-reply": [
        ("POST", "/api/tickets/{ticket}/reply", b'{"tone": "brief"}', 200),
        ("POST", "/api/tickets/{ticket}/reply", b'{"tone": "friendly"}', 200),
        ("POST", "/api/tickets/{ticket}/reply", b"{", 400),
    ],
    "search": [
        ("GET", "/api/search?q=lamp", b"", 200),
        ("GET", "/api/search?q=refund+in+part&limit=20", b"", 200),
        ("GET", "/api/search?q=caf%C3%A9", b"", 200),
        ("GET", "/api/search", b"", 400),
    ],
    "ask": [
        ("POST", "/api/ask", b'{"question": "How do I return a lamp?"}', 200),
        ("POST", "/api/ask", b'{"question": "Where is my parcel?"}', 200),
        ("POST", "/api/ask", b'{"question": ""}', 400),
    ],
}
"""Of each route the requests that are put in turn, with their status."""
JOBS = 6


class Outcome(NamedTuple):
    """What one route's callers and its copies came to."""

    answers: Counter[tuple[int, str]]
    """By status, and by whether it is the one expected."""
    comparisons: list[Compared]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data: Path = tmp_path_factory.mktemp("identical")
    with running_stack(data) as stack:
        # So few exchanges can show no smaller a rate, and a few of their copies may say nothing.
        allowed = 6 * len(ROUTES) / EXCHANGES
        # How long a side takes says nothing on a machine that does other things besides: nearly nothing is slow.
        shares = f"mismatches = {allowed}, errors = {allowed}, slower_share = {allowed}"
        table = f"gate = {{ {shares}, slower_floor_seconds = 3 }}"
        text = stack.routes.read_text("utf-8")
        # A quick machine asks for more than the fifty copies per second that a route gets by itself.
        text = re.sub(r"(?m)^gate\s*=.*$", table, text)
        text = text.replace("[[routes]]", "[shadow]\nper_second = 10000\n\n[[routes]]", 1)
        stack.serve(text)
        stack.move("shadow")
        stack.pace(latency_seconds=0.01, tokens_per_second=2000)
        stack.forget_calls()
        yield stack


@pytest.fixture(scope="module")
def outcomes(stack: Stack) -> dict[str, Outcome]:
    """Route after route: what one changes, the next one's copies find unchanged again."""
    agents = [Agent(stack.router, name) for name in AGENTS]
    tickets = [
        [ticket["id"] for ticket in agent.get(f"/api/tickets?page_size={TICKETS_EACH}&page={page}")["results"]]
        for page, agent in enumerate(agents, 1)
    ]
    assert all(len(own) == TICKETS_EACH for own in tickets)
    each = EXCHANGES // len(ROUTES) // len(AGENTS)

    def put(requests: list[tuple[str, str, bytes, int]], place: int) -> list[tuple[int, str]]:
        said = []
        for turn in range(each):
            method, path, body, status = requests[turn % len(requests)]
            ticket = tickets[place][turn // len(requests) % TICKETS_EACH]
            answer = agents[place].ask(method, path.format(ticket=ticket), body)
            said.append((answer.status, "as expected" if answer.status == status else f"not {status}"))
        return said

    found = {}
    with ThreadPoolExecutor(len(AGENTS)) as threads:
        for route, requests in ROUTES.items():
            before = latest(stack.evidence_url)
            told = list(threads.map(put, [requests] * len(AGENTS), range(len(AGENTS))))
            number = each * len(AGENTS)
            compared = wait_for(stack.evidence_url, number, before, seconds=90 + number * SECONDS_EACH)
            found[route] = Outcome(Counter(one for own in told for one in own), compared)
    for agent in agents:
        agent.__exit__(None, None, None)
    return found


def test_callers_get_what_they_should(outcomes: dict[str, Outcome]) -> None:
    assert {said for each in outcomes.values() for _, said in each.answers} == {"as expected"}


def test_every_copy_is_compared_and_none_differs(outcomes: dict[str, Outcome]) -> None:
    comparisons = [each for route in outcomes.values() for each in route.comparisons]
    too_late = sum(map(is_too_late, comparisons))
    compared = {route: len(each.comparisons) for route, each in outcomes.items()}

    assert differing(comparisons) == []
    assert compared == {route: each.answers.total() for route, each in outcomes.items()}
    assert too_late < len(comparisons) / 10
    print(f"\n{len(comparisons)} exchanges compared, none differs: {compared}; of {too_late} nothing can be said")


def test_no_copy_asks_the_provider(stack: Stack, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    print(f"\n{stack.number_of_calls()} provider calls, of copies {calls_of_copies(stack)}")
    assert stack.number_of_calls() > EXCHANGES / 2
    assert calls_of_copies(stack) == 0


def test_every_route_may_move_on(stack: Stack, outcomes: dict[str, Outcome]) -> None:
    told = report(stack)
    said = {route: told[route]["says"] for route in outcomes}

    print("\n" + "\n".join(f"{route}: {says}, {told[route]['rates']}" for route, says in said.items()))
    assert said == dict.fromkeys(ROUTES, "go")


def test_background_jobs_are_the_same_too(stack: Stack, outcomes: dict[str, Outcome]) -> None:
    """A copy's job is rolled back before anybody works on it; what is told of a job is read by both."""
    before = latest(stack.evidence_url)
    with Agent(stack.router, "maya") as lead:
        begun = [lead.ask("POST", "/api/articles/reindex") for _ in range(JOBS)]
        jobs = [each.json()["id"] for each in begun]
        early = [lead.get(f"/api/articles/reindex/{job}")["id"] for job in jobs]
        stack.end_jobs()
        meanwhile = wait_for(stack.evidence_url, JOBS, before, route="reindex-status")
        over = latest(stack.evidence_url)
        done = [lead.get(f"/api/articles/reindex/{job}")["status"] for job in jobs]

    of_jobs = wait_for(stack.evidence_url, JOBS, before, route="reindex")
    afterwards = wait_for(stack.evidence_url, JOBS, over, route="reindex-status")

    assert {each.status for each in begun} == {202}
    assert (early, done) == (jobs, ["done"] * JOBS)
    assert [(each.verdict, each.differences) for each in of_jobs] == [("match", [])] * JOBS
    assert len(meanwhile) == JOBS
    assert {each.verdict for each in meanwhile} <= {"match", "inconclusive"}, meanwhile
    assert [each.verdict for each in afterwards] == ["match"] * JOBS, "of a job that is over, nothing changes"
