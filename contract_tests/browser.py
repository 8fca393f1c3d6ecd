"""An agent's browser at every endpoint of the assistant, several at once, and what became of each request in a word."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from websockets.sync.client import ClientConnection, connect

from contract_tests import loopback
from contract_tests.caller import Agent
from contract_tests.faults import until
from contract_tests.loopback import PATIENCE_SECONDS
from contract_tests.stack import Stack

SEARCHED, ASKED = "a lamp that flickers", "Why does a lamp hum?"


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True)
class Browser:
    """An agent's, with the endpoints filled in for them."""

    client: httpx.Client
    endpoints: Mapping[str, Endpoint]

    def outcome(self, name: str) -> str:
        received = b""
        try:
            with self.stream(name) as answer:
                for piece in answer.iter_raw():
                    received += piece
        except httpx.RemoteProtocolError:
            return _told(answer, received) + ", cut"
        return _told(answer, received)

    def stream(self, name: str) -> AbstractContextManager[httpx.Response]:
        endpoint = self.endpoints[name]
        return self.client.stream(endpoint.method, endpoint.path, content=endpoint.body)

    @contextmanager
    def under_way(self, *names: str) -> Iterator[dict[str, Future[str]]]:
        """The outcomes of requests that are made at once."""
        with ThreadPoolExecutor(len(names)) as threads:
            yield {name: threads.submit(self.outcome, name) for name in names}

    def outcomes(self, *names: str) -> dict[str, str]:
        with self.under_way(*names) as outcomes:
            return results(outcomes)


def results(outcomes: Mapping[str, Future[str]]) -> dict[str, str]:
    return {name: outcome.result(timeout=PATIENCE_SECONDS) for name, outcome in outcomes.items()}


def _told(answer: httpx.Response, received: bytes) -> str:
    if answer.headers["content-type"] != "text/event-stream":
        told = f"{answer.status_code} {json.loads(received).get('code', '')}".strip()
        wait = answer.headers.get("retry-after")
        return f"{told}, retry after {wait}" if wait else told
    *_, last = received.decode().split("\n\n")[:-1]
    fields = dict(line.split(": ", 1) for line in last.split("\n"))
    return f"{answer.status_code}, {fields['event']} {json.loads(fields['data']).get('code', '')}".strip()


@contextmanager
def browser_of(stack: Stack, username: str = "maya") -> Iterator[Browser]:
    with Agent(stack.router, username) as agent, loopback.client(base_url=stack.router) as client:
        client.cookies, client.headers["X-CSRFToken"] = agent.cookies, agent.csrf_token
        ticket = agent.get("/api/tickets?page_size=1")["results"][0]["id"]
        [(job,)] = stack.rows(
            "INSERT INTO assistant_job (organisation_id, created_by_id, status, done, total, error, created_at)"
            " SELECT organisation_id, id, 'done', 0, 0, '', now() FROM accounts_user WHERE username = ? RETURNING id",
            username,
        )
        yield Browser(
            client,
            {
                "summary": Endpoint("POST", f"/api/tickets/{ticket}/summary"),
                "reply": Endpoint("POST", f"/api/tickets/{ticket}/reply"),
                "triage": Endpoint("POST", f"/api/tickets/{ticket}/triage"),
                "search": Endpoint("GET", f"/api/search?q={quote(SEARCHED)}"),
                "ask": Endpoint("POST", "/api/ask", json.dumps({"question": ASKED}).encode()),
                "reindex": Endpoint("POST", "/api/articles/reindex"),
                "reindex-status": Endpoint("GET", f"/api/articles/reindex/{job}"),
            },
        )


def leave(browser: Browser, name: str, is_under_way: Callable[[], bool]) -> None:
    """Close the connection as soon as the request is under way."""
    endpoint = browser.endpoints[name]
    url = browser.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        request = browser.client.build_request(endpoint.method, endpoint.path, content=endpoint.body)
        lines = [f"{endpoint.method} {endpoint.path} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + (endpoint.body or b""))
        until(is_under_way, f"{name} is under way")


@contextmanager
def conversation(stack: Stack, browser: Browser) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    url = stack.router.replace("http", "ws", 1) + "/ws/assistant"
    with connect(
        url, additional_headers={"Cookie": cookies}, proxy=None, open_timeout=PATIENCE_SECONDS, close_timeout=1
    ) as connection:
        assert frame(connection)["type"] == "history"
        yield connection


def question(name: str) -> str:
    return json.dumps({"type": "ask", "id": name, "text": ASKED})


def frame(connection: ClientConnection) -> dict[str, Any]:
    received: dict[str, Any] = json.loads(connection.recv(timeout=PATIENCE_SECONDS))
    return received


def last_frame(connection: ClientConnection) -> dict[str, Any]:
    """The one that ends an answer."""
    return next(received for received in iter(lambda: frame(connection), None) if received["type"] != "delta")
