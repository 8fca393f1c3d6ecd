"""What is tried again, when, and how often; never what could reach a caller twice, never without end."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest
import respx

from extracted_service.errors import Busy, Failed, ProviderError
from extracted_service.places import Places
from extracted_service.provider import Deadlines, Models, Provider
from extracted_service.retries import (
    ALWAYS_ALLOWED,
    LONGEST_PAUSE_SECONDS,
    MOST_REMEMBERED,
    WINDOW_SECONDS,
    Budget,
    Retries,
    Setback,
    is_transient,
    pause_seconds,
)

from .fake_provider import DONE, END, STOP, STREAM_HEAD, Gate, answer, completion, token
from .running import Running

pytestmark = pytest.mark.anyio

URL = "http://provider.test/v1"
GOOD = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
STREAM = b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
QUOTA = {"error": {"message": "Pay.", "type": "insufficient_quota", "code": "insufficient_quota"}}


@asynccontextmanager
async def client_with(retries: Retries, total: float = 60) -> AsyncIterator[Provider]:
    async with httpx.AsyncClient(base_url=URL) as client:
        yield Provider(client, Models("small", "embed"), Deadlines(total, total, total), retries, Places(1, 0, total))


def soon(attempts: int = 3) -> Retries:
    budget = Budget(percent=20, clock=lambda: 0.0)
    return Retries(attempts, first_pause_seconds=0.001, budget=budget, draw=lambda: 0.5)


async def completed(provider: Provider) -> str:
    return (await provider.complete({"model": "small"})).text


async def streamed(provider: Provider) -> str:
    return "".join([item async for item in provider.stream({"model": "small"}) if isinstance(item, str)])


@pytest.fixture
def chat() -> Iterator[respx.Route]:
    with respx.mock(base_url=URL) as router:
        yield router.post("/chat/completions")


@pytest.mark.parametrize(
    "setback",
    [
        httpx.Response(408),
        httpx.Response(409),
        httpx.Response(429),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(500),
        httpx.Response(503, headers={"Retry-After": "0"}),
        httpx.Response(529),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset before the answer"),
    ],
    ids=str,
)
@pytest.mark.parametrize(("call", "said"), [(completed, {"json": GOOD}), (streamed, {"content": STREAM})])
async def test_a_passing_trouble_is_tried_again(
    chat: respx.Route, setback: httpx.Response | Exception, call: Any, said: dict[str, Any]
) -> None:
    chat.mock(side_effect=[setback, setback, httpx.Response(200, **said)])

    async with client_with(soon()) as provider:
        assert await call(provider) == "Hi"

    assert chat.call_count == 3
    assert len({attempt.request.content for attempt in chat.calls}) == 1


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        *[(httpx.Response(status), Failed) for status in (302, 400, 401, 403, 404, 413, 422)],
        (httpx.Response(429, json=QUOTA, headers={"Retry-After": "0"}), Busy),
        (httpx.Response(429, headers={"Retry-After": "90"}), Busy),
        (httpx.Response(599, headers={"x-should-retry": "false"}), Failed),
        (httpx.Response(429, headers={"x-should-retry": "false", "Retry-After": "0"}), Busy),
        (httpx.Response(200, html="<h1>Proxy</h1>"), Failed),
        (httpx.Response(200, json={"error": {"message": "overloaded"}}), Failed),
        (httpx.RemoteProtocolError("nonsense"), Failed),
    ],
    ids=str,
)
async def test_what_no_second_attempt_cures_is_told_at_once(
    chat: respx.Route, refusal: httpx.Response | Exception, error: type[ProviderError]
) -> None:
    chat.mock(side_effect=[refusal])

    async with client_with(soon()) as provider:
        with pytest.raises(error):
            await completed(provider)

    assert chat.call_count == 1


async def test_nothing_is_tried_again_after_the_first_byte(chat: respx.Route) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield STREAM.split(b"\n\n")[0] + b"\n\n"
        raise httpx.ReadError("cut")

    chat.mock(side_effect=[httpx.Response(200, content=broken())])

    async with client_with(soon()) as provider:
        with pytest.raises(Failed):
            await streamed(provider)

    assert chat.call_count == 1


async def test_the_last_attempt_says_how_the_call_ended(chat: respx.Route) -> None:
    chat.mock(side_effect=[httpx.Response(500), httpx.Response(429, headers={"Retry-After": "0"})])

    async with client_with(soon(attempts=2)) as provider:
        with pytest.raises(Busy) as busy:
            await completed(provider)

    assert busy.value.headers() == {"Retry-After": "0"}


async def test_a_wait_that_would_outlast_the_deadline_is_the_callers(chat: respx.Route) -> None:
    chat.mock(return_value=httpx.Response(429, headers={"Retry-After": "2"}))

    async with client_with(soon(), total=1) as provider:
        with pytest.raises(Busy) as busy:
            await completed(provider)

    assert (busy.value.retry_after, chat.call_count) == (2, 1)


async def test_a_provider_that_is_down_is_not_asked_three_times_as_often(chat: respx.Route) -> None:
    chat.mock(return_value=httpx.Response(503))

    async with client_with(soon()) as provider:
        for _ in range(50):
            with pytest.raises(Failed):
                await completed(provider)

    assert 50 < chat.call_count <= 50 + 50 * 0.2 + 1


async def test_a_long_refusal_is_not_read_to_its_end(chat: respx.Route) -> None:
    sent = count()

    async def endless() -> AsyncIterator[bytes]:
        while next(sent) < 1000:
            yield b" " * 65_536

    chat.mock(side_effect=[httpx.Response(429, content=endless()), httpx.Response(200, content=json.dumps(GOOD))])

    async with client_with(soon()) as provider:
        assert await completed(provider) == "Hi"

    assert next(sent) < 10


@pytest.mark.parametrize(
    ("attempt", "asked", "drawn", "seconds"),
    [
        (1, None, 0.0, 0.0),
        (1, None, 0.5, 0.25),
        (2, None, 0.5, 0.5),
        (3, None, 0.5, 1.0),
        (9, None, 0.5, LONGEST_PAUSE_SECONDS / 2),
        (1, 7.0, 0.0, 7.0),
        (3, 7.0, 0.5, 7.25),
    ],
)
def test_a_pause_grows_and_is_drawn_by_lot(attempt: int, asked: float | None, drawn: float, seconds: float) -> None:
    assert pause_seconds(attempt, 0.5, asked, drawn) == seconds


@pytest.mark.parametrize(("status", "transient"), [(400, False), (408, True), (409, True), (429, False), (500, True)])
def test_a_status_says_whether_it_may_pass(status: int, transient: bool) -> None:
    assert is_transient(status) == transient


def test_few_calls_still_have_a_few_retries() -> None:
    budget = Budget(percent=20, clock=lambda: 0.0)
    budget.called()

    assert [budget.spend() for _ in range(ALWAYS_ALLOWED + 1)] == [True] * ALWAYS_ALLOWED + [False]


def test_many_calls_have_their_share() -> None:
    budget = Budget(percent=20, clock=lambda: 0.0)
    for _ in range(100):
        budget.called()

    assert sum(budget.spend() for _ in range(100)) == 20


def test_what_is_long_ago_neither_counts_nor_is_kept() -> None:
    now = 0.0
    budget = Budget(percent=20, clock=lambda: now)
    for _ in range(2 * MOST_REMEMBERED):
        budget.called()
    while budget.spend():
        pass

    now = WINDOW_SECONDS

    assert sum(budget.spend() for _ in range(100)) == ALWAYS_ALLOWED


def test_a_retry_that_is_not_made_costs_nothing() -> None:
    retries = Retries(budget=Budget(percent=0, clock=lambda: 0.0), draw=lambda: 0.0)
    for _ in range(10):
        assert retries.pause_seconds(Setback(Failed("no"), transient=False), 1, 5.0) is None
        assert retries.pause_seconds(Setback(Busy(9), transient=True, asked_seconds=9.0), 1, 5.0) is None

    assert retries.budget.spend()


@pytest.mark.parametrize("path", ["/api/tickets/7/summary", "/api/tickets/7/reply"])
def test_one_audit_row_stands_for_all_attempts(start: Callable[..., Running], path: str) -> None:
    service = start(llm_attempts=3, llm_first_pause_seconds=0.001)
    good = completion("Hi") if path.endswith("summary") else STREAM_HEAD + token("Hi") + STOP + DONE + END
    for script in (answer("503 Service Unavailable", b"", "Connection: close"), b"", good):
        service.provider.will(script)

    assert service.post(path).status_code == 200

    assert len(service.provider.asked) == 3
    assert service.outcomes() == ["ok"]


def test_a_call_without_a_place_is_busy_and_never_reaches_the_provider(start: Callable[..., Running]) -> None:
    service, gate = start(llm_connections=1, llm_waiting_calls=0), Gate()
    service.provider.will(STREAM_HEAD + token("Hi"), gate, STOP + DONE + END)

    with service.client() as client, client.stream("POST", "/api/tickets/7/reply") as held:
        refused = service.post("/api/tickets/7/summary")
        gate.open()
        held.read()

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "assistant_busy", "5")
    assert len(service.provider.asked) == 1
    assert service.outcomes() == ["busy", "ok"]
