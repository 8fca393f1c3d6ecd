"""Latency, rate, determinism and the ledger of calls."""

import json
import time

import httpx
import pytest

from sandbox.provider import drawn
from sandbox.requests import chat_request, json_object

from .conftest import KEY, RunningProvider

BODY = {"model": "helpdesk-small", "messages": [{"role": "user", "content": "one two three four"}]}
HEADERS = {"Authorization": f"Bearer {KEY}", "traceparent": "00-1-2-01"}
PATH = "/v1/chat/completions"
TICK_SECONDS = 0.005
"""A loop's timer counts in milliseconds, from when the loop last looked at the clock: it may be early by some."""


def test_a_plain_answer_takes_the_latency_and_a_time_per_token(provider: RunningProvider) -> None:
    provider.control.put("/sandbox/settings", json={"latency_seconds": 0.1, "tokens_per_second": 50})
    began = time.monotonic()

    usage = provider.control.post(PATH, json=BODY, headers=HEADERS).json()["usage"]

    assert time.monotonic() - began >= 0.1 + usage["completion_tokens"] / 50 - TICK_SECONDS


def test_the_first_token_of_a_stream_comes_after_the_latency_and_the_others_one_by_one(
    provider: RunningProvider,
) -> None:
    provider.control.put("/sandbox/settings", json={"latency_seconds": 0.1, "tokens_per_second": 20})
    began = time.monotonic()

    with provider.control.stream("POST", PATH, json={**BODY, "stream": True}, headers=HEADERS) as answer:
        times = [time.monotonic() - began for part in answer.iter_raw() if b'"content"' in part]

    assert times[0] >= 0.1 - TICK_SECONDS
    assert times[-1] - times[0] >= 0.1
    assert len(times) >= 4


def test_a_spread_latency_is_the_same_for_the_same_prompt_and_another_for_another(provider: RunningProvider) -> None:
    provider.control.put("/sandbox/settings", json={"latency_seconds": 0, "latency_spread_seconds": 0.5})
    other = {**BODY, "messages": [{"role": "user", "content": "something else"}]}

    for body in (BODY, BODY, other):
        provider.control.post(PATH, json=body, headers=HEADERS)

    least, other_least = (0.5 * drawn(chat_request(json_object(json.dumps(body).encode()))) for body in (BODY, other))
    first, again, another = provider.seconds_of_calls()
    assert abs(least - other_least) > 0.05
    assert min(first, again) >= least - TICK_SECONDS
    assert another >= other_least - TICK_SECONDS


def test_the_same_prompt_gets_the_same_answer(provider: RunningProvider) -> None:
    answers = [provider.control.post(PATH, json=BODY, headers=HEADERS).json() for _ in range(2)]

    assert answers[0]["choices"] == answers[1]["choices"]
    assert answers[0]["id"] == answers[1]["id"]


@pytest.mark.parametrize("wrong", [{"latency_seconds": -1}, {"speed": 1}, {"tokens_per_second": "fast"}, []])
def test_settings_that_make_no_sense_are_refused_and_nothing_changes(provider: RunningProvider, wrong: object) -> None:
    before = provider.control.get("/sandbox/settings").json()

    answer = provider.control.put("/sandbox/settings", json=wrong)

    assert answer.status_code == 400
    assert provider.control.get("/sandbox/settings").json() == before


def test_the_ledger_shows_what_was_received_without_the_key(provider: RunningProvider) -> None:
    provider.control.post(PATH, json=BODY, headers=HEADERS)

    ledger = httpx.get(f"{provider.url}/sandbox/calls").json()

    call = ledger["calls"][0]
    assert (call["path"], call["body"], call["status"], call["left_early"]) == (PATH, BODY, 200, False)
    assert call["headers"]["traceparent"] == "00-1-2-01"
    assert KEY not in str(ledger)
    assert ledger["by_path"] == {PATH: 1}


def test_a_cleared_ledger_is_empty(provider: RunningProvider) -> None:
    provider.control.post(PATH, json=BODY, headers=HEADERS)

    provider.control.delete("/sandbox/calls")

    assert (provider.calls()["received"], provider.calls()["calls"]) == (0, [])
