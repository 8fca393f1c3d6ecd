"""The assistant's WebSocket through the router: new in the extracted service, and guarded like everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from contract_tests.caller import Agent
from contract_tests.stack import Stack

SECONDS = 60
VIEWER = "otto"  # sees tickets and articles, and may not use the assistant


def socket(site: str, cookies: dict[str, str], query: str = "", **headers: str) -> ClientConnection:
    said = "; ".join(f"{name}={value}" for name, value in cookies.items())
    url = site.replace("http", "ws", 1) + "/ws/assistant" + query
    return connect(
        url, additional_headers={"Cookie": said, **headers}, proxy=None, open_timeout=SECONDS, close_timeout=1
    )


def session(stack: Stack, username: str = "maya") -> dict[str, str]:
    with Agent(stack.router, username) as agent:
        return dict(agent.cookies)


def frame(connection: ClientConnection) -> dict[str, Any]:
    received: dict[str, Any] = json.loads(connection.recv(timeout=SECONDS))
    return received


def answered(connection: ClientConnection, question: str) -> list[dict[str, Any]]:
    connection.send(json.dumps({"type": "ask", "id": "a", "text": question}))
    frames = [frame(connection)]
    while frames[-1]["type"] == "delta":
        frames.append(frame(connection))
    return frames


def refusal(site: str, cookies: dict[str, str], query: str = "", **headers: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        socket(site, cookies, query, **headers)
    response = refused.value.response
    return response.status_code, json.loads(response.body)["code"]


def test_whoever_is_logged_in_asks_and_hears_the_answer_token_by_token(stack: Stack) -> None:
    cookies = session(stack)

    with socket(stack.router, cookies, Origin=stack.router) as connection:
        begun = frame(connection)
        *deltas, done = answered(connection, "What does a good answer to an angry customer begin with?")
    with socket(stack.router, cookies, f"?conversation={begun['conversation']}") as connection:
        continued = frame(connection)

    assert (begun["type"], begun["messages"]) == ("history", [])
    assert len(deltas) > 1
    assert (done["type"], done["finish_reason"]) == ("done", "stop")
    assert done["usage"]["completion_tokens"] > 0
    assert [message["role"] for message in continued["messages"]] == ["user", "assistant"]
    assert continued["messages"][1]["text"] == "".join(delta["text"] for delta in deltas)


def test_the_socket_stays_where_it_is_when_the_other_routes_move(stack: Stack) -> None:
    cookies = session(stack)

    for stage in ("extracted", "legacy"):
        stack.move(stage)
        with socket(stack.router, cookies) as connection:
            assert frame(connection)["type"] == "history"


def test_a_page_of_another_site_gets_no_socket(stack: Stack) -> None:
    assert refusal(stack.router, session(stack), Origin="http://elsewhere.example")[0] == 403


def test_nobody_in_particular_gets_no_socket(stack: Stack) -> None:
    assert refusal(stack.router, {}) == (401, "not_authenticated")


def test_a_forged_identity_gets_no_socket(stack: Stack) -> None:
    assert refusal(stack.router, {}, **{"X-Internal-Identity": "e30.e30.e30"}) == (401, "not_authenticated")


def test_whoever_may_not_use_the_assistant_gets_no_socket(stack: Stack) -> None:
    viewer = session(stack, VIEWER)

    assert refusal(stack.router, viewer) == (403, "permission_denied")


def test_nobody_gets_anybody_elses_conversation(stack: Stack) -> None:
    with socket(stack.router, session(stack)) as connection:
        conversation = frame(connection)["conversation"]

    assert refusal(stack.router, session(stack, "kwame"), f"?conversation={conversation}") == (404, "not_found")


def test_the_monolith_has_no_socket(stack: Stack) -> None:
    with pytest.raises(InvalidStatus) as refused:
        socket(stack.legacy, session(stack))

    assert refused.value.response.status_code == 404
