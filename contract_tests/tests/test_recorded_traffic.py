"""From recorded traffic of the demo's callers to a promise that the monolith keeps, with nothing of anybody's in it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract_tests.caller import Agent
from contract_tests.contractkit.document import Promise
from contract_tests.contractkit.holding import Terms, hold
from contract_tests.contractkit.messages import text
from contract_tests.contractkit.targets import Request
from contract_tests.faults import until
from contract_tests.sides import Sides
from contract_tests.stack import Stack
from contract_tests.terms import CONTRACT

JSON = {"Content-Type": "application/json"}


@contextmanager
def recorded(to: str, folder: Path) -> Iterator[str]:
    """The address of `python -m contract_tests record`, which writes traffic.har when the block ends."""
    log = folder / "record.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "contract_tests", "record", "--to", to, "--har", str(folder / "traffic.har")],
            stdout=out,
        )
    try:
        until(lambda: "Call http" in log.read_text("utf-8"), "the recorder listens")
        yield log.read_text("utf-8").split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def traffic(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the demo's callers do, and an agent who leafs through everything and gets some of it wrong."""
    stack.pace(latency_seconds=0.02, tokens_per_second=2000)
    stack.move("legacy")
    folder: Path = tmp_path_factory.mktemp("traffic")
    with recorded(stack.router, folder) as url:
        crowd = ["--readers", "4", "--assistants", "4", "--at-once", "2", "--seconds", "2", "--think-seconds", "0.02"]
        subprocess.run([sys.executable, "-m", "sandbox", "callers", "--url", url, *crowd], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        with Agent(url, "jonas") as agent:
            for ticket in agent.get("/api/tickets?page_size=40")["results"]:
                agent.get(f"/api/tickets/{ticket['id']}")
                agent.get(f"/api/tickets/{ticket['id']}/comments")
            for ticket in agent.get("/api/tickets?page_size=4")["results"]:
                for kind in ("summary", "reply"):  # a busy machine's crowd may come to nothing
                    agent.ask("POST", f"/api/tickets/{ticket['id']}/{kind}", b"{}", JSON)
            for article in agent.get("/api/articles?page_size=20")["results"]:
                agent.get(f"/api/articles/{article['slug']}")
            agent.ask("GET", "/api/search?q=a%20lamp%20that%20hums")
            agent.ask("POST", "/api/ask", b'{"question": "How do I return a lamp?"}', JSON)
            agent.ask("GET", "/api/tickets?page=none")
            agent.ask("GET", "/api/tickets/999999999")
    return folder / "traffic.har"


@pytest.fixture(scope="module")
def proposal(traffic: Path) -> str:
    """What `learn` prints."""
    command = [sys.executable, "-m", "contract_tests", "learn", str(traffic), "--path", "/api/"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_paths_are_templates(proposal: str) -> None:
    assert sorted(yaml.safe_load(proposal)["paths"]) == [
        "/api/articles",
        "/api/articles/{article_name}",
        "/api/ask",
        "/api/search",
        "/api/tickets",
        "/api/tickets/{ticket_id}",
        "/api/tickets/{ticket_id}/comments",
        "/api/tickets/{ticket_id}/reply",
        "/api/tickets/{ticket_id}/summary",
    ]


def test_the_monolith_keeps_the_proposed_promise(proposal: str, stack: Stack, sides: Sides) -> None:
    """Requests that were recorded, and others of their kind."""
    terms = Terms(Promise(yaml.safe_load(proposal)))
    [legacy] = [each for each in sides.targets("maya") if each.name == "legacy"]
    with Agent(stack.legacy, "maya") as agent:
        ids = [each["id"] for each in agent.get("/api/tickets?page_size=10")["results"]]
        slugs = [each["slug"] for each in agent.get("/api/articles?page_size=5")["results"]]
    requests = [
        Request("GET", "/api/tickets?page_size=10"),
        Request("GET", "/api/tickets/999999998"),
        Request("GET", "/api/articles?page_size=5"),
        *(Request("GET", f"/api/tickets/{number}{rest}") for number in ids for rest in ("", "/comments")),
        *(Request("GET", f"/api/articles/{slug}") for slug in slugs),
        *(Request("POST", f"/api/tickets/{ids[0]}/{kind}", (), b"{}") for kind in ("summary", "reply")),
        Request("GET", "/api/search?q=refund"),
        Request("POST", "/api/ask", (), b'{"question": "May I send it back?"}'),
    ]

    report = hold(terms, [legacy], requests)

    assert text(report.findings) == ""
    assert {name for name, _, _ in report.exercised} == {each.name for each in terms.promise.operations}


def test_the_traffic_breaks_nothing_that_was_promised(traffic: Path) -> None:
    command = [sys.executable, "-m", "contract_tests", "learn", str(traffic), "--path", "/api/"]
    against = ["--out", str(traffic.with_name("proposal.yaml")), "--against", str(CONTRACT / "openapi.yaml")]

    told = subprocess.run([*command, *against], capture_output=True, text=True, check=False, timeout=60)

    assert (told.returncode, told.stdout.count("\n")) == (0, 1), told.stdout
    assert "Promised, and not called: POST /api/tickets, PATCH /api/tickets/{id}, " in told.stderr
    assert "GET /api/tickets/{id} 401, 403" in told.stderr


def test_no_token_cookie_address_or_prompt_is_in_it(proposal: str, traffic: Path, stack: Stack) -> None:
    har = traffic.read_text("utf-8")
    secrets = somebodys(stack)

    found = [each for each in secrets if each in proposal]

    assert found == []
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", proposal), "an address"
    assert not re.search(r"eyJ|[A-Za-z0-9_-]{28,}", proposal.replace("/api/tickets/{ticket_id}/comments", "")), (
        "a token"
    )
    assert sum(each in har for each in secrets) > 10, "the recording holds what must not get out of it"


def test_the_recording_has_no_cookies(traffic: Path) -> None:
    har = traffic.read_text("utf-8")

    assert "sessionid=" not in har
    assert "csrftoken=" not in har


def somebodys(stack: Stack) -> list[str]:
    """Customers' names, addresses and words, and what was asked of the provider."""
    found: list[Any] = [text for row in stack.rows("SELECT name, email FROM tickets_customer") for text in row]
    found += [text for row in stack.rows("SELECT subject, body FROM tickets_ticket") for text in row]
    found += [text for (text,) in stack.rows("SELECT body FROM tickets_comment")]
    found += [text for row in stack.rows("SELECT title, slug, body FROM knowledge_article") for text in row]
    found += ["a lamp that hums", "How do I return a lamp?"]
    asked = [call["body"] for call in stack.calls() if isinstance(call.get("body"), dict)]
    found += [message["content"] for body in asked for message in body.get("messages", ())]
    return [each for each in found if len(each) > 6]
