"""Two routers with two egresses share one PostgreSQL; and what is lost when one of their processes is killed."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from contract_tests import database, loopback
from contract_tests.caller import Agent
from contract_tests.comparing import calls_of_copies, comparisons, differing, latest, report, wait_for
from contract_tests.faults import until
from contract_tests.loopback import PATIENCE_SECONDS
from contract_tests.stack import Stack, stack_on_postgresql

pytestmark = pytest.mark.timeout(400)  # a stack of its own and all its evidence, on a machine that may be busy
AGENTS = ("jonas", "maya", "priya")
EACH = 4
STREAMS = 8
LAST_SECOND = 1.0
COMPARISONS = 20
"""Of the load before a process is killed, and of that after it."""


class Two(NamedTuple):
    """The stack with a second router, which has two workers, and a second egress, which the candidate asks."""

    stack: Stack
    routers: tuple[str, str]
    second_pid: int


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with stack_on_postgresql() as stack, stack.another("egress") as egress:
        base_url = f"{egress.url}/v1"
        with (
            stack.another("extracted", LLM_BASE_URL=base_url) as service,
            stack.another("router", "--workers", "2") as router,
        ):
            stack = dataclasses.replace(stack, admins=(*stack.admins, router.admin))
            stack.serve(stack.routes.read_text("utf-8").replace(stack.extracted, service.url))
            stack.pace(0.02, 1000)
            both = Two(stack, (stack.router, router.url), router.pid)
            until(lambda: len(workers(both)) == 2, "two workers run")
            yield both


def workers(two: Two) -> list[psutil.Process]:
    """Of the second router: those who have a shadow process."""
    return [child for child in psutil.Process(two.second_pid).children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    return "spawn_main" in command(process) or bool(shadows(process.pid))


def shadows(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "shadow" in command(child)]


def command(process: psutil.Process) -> str:
    """Empty for one that has just ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def test_what_two_routers_compare_is_added_up(two: Two) -> None:
    assert two.stack.evidence_url.startswith("postgresql")
    two.stack.move("shadow")
    two.stack.forget_calls()
    before = latest(two.stack.evidence_url)
    number = 4 * EACH * len(AGENTS)

    for so_far, site in enumerate(two.routers, 1):
        with ThreadPoolExecutor(len(AGENTS)) as threads:
            said = list(threads.map(asked, [site] * len(AGENTS), AGENTS))
        found = wait_for(two.stack.evidence_url, so_far * number, before)
        told = sum(route["comparisons"] for route in report(two.stack).values())

        assert {status for each in said for status in each} == {200}
        assert differing(found) == []
        assert (len(found), told) == (so_far * number, so_far * number)
    assert calls_of_copies(two.stack) == 0
    print(f"\n{2 * number} exchanges over two routers, none differs, provider calls of copies: 0")


def asked(site: str, name: str) -> list[int]:
    """The statuses of so many questions to each of four endpoints, each agent's about a ticket of their own."""
    with Agent(site, name) as agent:
        page = AGENTS.index(name) + 1
        ticket = agent.get(f"/api/tickets?page_size=1&page={page}")["results"][0]["id"]
        return [
            agent.ask(method, path, body).status
            for _ in range(EACH)
            for method, path, body in (
                ("POST", f"/api/tickets/{ticket}/summary", b"{}"),
                ("POST", f"/api/tickets/{ticket}/reply", b'{"tone": "brief"}'),
                ("GET", "/api/search?q=lamp", b""),
                ("POST", "/api/ask", b'{"question": "How do I return a lamp?"}'),
            )
        ]


def test_a_shadow_process_that_is_killed_loses_at_most_the_last_second(two: Two) -> None:
    two.stack.move("shadow")
    url, before = two.stack.evidence_url, latest(two.stack.evidence_url)
    stopped = threading.Event()
    began = time.time()

    with ThreadPoolExecutor(len(AGENTS)) as threads, ExitStack() as leaving:
        leaving.callback(stopped.set)
        load = [threads.submit(summaries, two.stack.router, name, stopped) for name in AGENTS]
        until(lambda: len(comparisons(url, before)) > COMPARISONS, "load")
        (shadow,) = shadows(two.stack.pids["router"])
        shadow.kill()
        killed = time.time()
        until(lambda: shadow.pid not in {each.pid for each in shadows(two.stack.pids["router"])}, "it is gone")
        until(lambda: shadows(two.stack.pids["router"]), "it is there again")
        (again,) = (each.create_time() for each in shadows(two.stack.pids["router"]))
        until(lambda: len(compared(url, before).keys() & ended_copies(url, again)) > COMPARISONS, "more load")
        leaving.close()
        statuses = [status for each in load for status in each.result()]
    seen = ended_copies(url, began)
    later = {exchange for exchange, at in seen.items() if at > again}
    until(lambda: later <= compared(url, before).keys(), "all later ones are compared")

    found = compared(url, before)
    slowest = max(at - seen[exchange] for exchange, at in found.items() if exchange in seen)
    lost = {exchange: at - killed for exchange, at in seen.items() if exchange not in found}
    assert set(statuses) == {200}
    assert [at for at in lost.values() if at < -(slowest + LAST_SECOND)] == [], "some were compared, and not kept"
    at_seconds = sorted(round(at, 2) for at in lost.values())
    print(f"\n{len(seen)} copies, {len(lost)} comparisons lost, of copies that ended at {at_seconds} s")


def summaries(site: str, name: str, stopped: threading.Event) -> list[int]:
    said = []
    with Agent(site, name) as agent:
        ticket = agent.get(f"/api/tickets?page_size=1&page={AGENTS.index(name) + 1}")["results"][0]["id"]
        while not stopped.is_set():
            said.append(agent.ask("POST", f"/api/tickets/{ticket}/summary", b"{}").status)
    return said


def ended_copies(url: str, since: float) -> dict[str, float]:
    """When the copies had their answers from the tape, by exchange."""
    query = (
        "SELECT exchange_id, max(began + seconds) FROM tape_calls "
        "WHERE role = 'shadow' AND state = 'whole' AND began > ? GROUP BY exchange_id"
    )
    return dict(database.rows(url, query, since))


def compared(url: str, after: int) -> dict[str, float]:
    """When the copies were compared, by exchange."""
    return dict(database.rows(url, "SELECT exchange_id, at FROM evidence_comparisons WHERE id > ?", after))


class Stream(NamedTuple):
    """One reply, as its caller got it: who served it, and whether it came whole."""

    worker: int
    whole: bool


def test_a_worker_that_is_killed_takes_nobody_elses_answer_with_it(two: Two) -> None:
    two.stack.move("reverse")
    url, before = two.stack.evidence_url, latest(two.stack.evidence_url)
    site = two.routers[1]
    earlier = [status for name in AGENTS for status in asked(site, name)]
    two.stack.fault("held", path="/v1/chat/completions", count=STREAMS)

    agents = [Agent(site, AGENTS[number % len(AGENTS)]) for number in range(STREAMS)]
    all_began, killed = threading.Barrier(STREAMS + 1), threading.Event()
    with ThreadPoolExecutor(STREAMS) as threads, ExitStack() as leaving:
        leaving.callback(two.stack.forget_faults)
        load = [threads.submit(streamed, two, agent, all_began, killed) for agent in agents]
        all_began.wait(PATIENCE_SECONDS)
        victim = min(workers(two), key=lambda each: connections(each) or 2 * STREAMS).pid
        psutil.Process(victim).kill()
        killed.set()
        leaving.close()
        streams = [each.result() for each in load]
    whole = sum(each.whole for each in streams)
    number = len(earlier) + whole
    found = wait_for(url, number, before, stage="reverse")  # copies of an earlier test may still be compared

    assert set(earlier) == {200}
    assert {each.worker for each in streams if not each.whole} == {victim}
    assert len(found) == number
    assert differing(found) == []
    until(lambda: len(workers(two)) == 2, "the worker is replaced")
    assert set(asked(site, AGENTS[0])) == {200}
    said = f"{STREAMS - whole} of {STREAMS} streams cut with their worker, {whole} whole"
    print(f"\n{said}; {len(found)} comparisons, none lost")


def connections(worker: psutil.Process) -> int:
    return len([each for each in worker.net_connections("tcp") if each.status == "ESTABLISHED"])


def streamed(two: Two, agent: Agent, all_began: threading.Barrier, killed: threading.Event) -> Stream:
    """A reply that is read on only after the worker was killed."""
    with agent, loopback.client(cookies=agent.cookies) as client:
        ticket = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
        url, headers = f"{two.routers[1]}/api/tickets/{ticket}/reply", {"X-CSRFToken": agent.csrf_token}
        with client.stream("POST", url, headers=headers, json={"tone": "friendly"}) as answer:
            port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            pieces: Iterator[bytes] = answer.iter_raw()
            got = next(pieces)
            worker = next(each.pid for each in workers(two) if is_served(each, port))
            all_began.wait(PATIENCE_SECONDS)
            killed.wait(PATIENCE_SECONDS)
            try:
                got += b"".join(pieces)
            except httpx.TransportError:
                return Stream(worker, whole=False)
            return Stream(worker, whole=b"event: done" in got)


def is_served(worker: psutil.Process, port: int) -> bool:
    found: Any = worker.net_connections("tcp")
    return any(each.raddr and each.raddr.port == port for each in found)
