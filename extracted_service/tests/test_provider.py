"""The provider client by itself: what it sends, and what it makes of each way to fail."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx

from extracted_service import completions
from extracted_service.completions import Finish, Usage
from extracted_service.errors import Busy, Failed, ProviderError, TimedOut
from extracted_service.places import Places
from extracted_service.provider import LARGEST_ANSWER_BYTES, Deadlines, Models, Provider, retry_after_seconds
from extracted_service.retries import Retries

pytestmark = pytest.mark.anyio

URL = "http://provider.test/v1"
REQUEST = {"model": "small", "messages": [{"role": "user", "content": "half a pair: \ud83d"}]}
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with httpx.AsyncClient(base_url=URL) as client:
        deadlines = Deadlines(first_token=60, idle=60, total=60)
        yield Provider(client, Models("small", "embed"), deadlines, Retries(attempts=1), Places(1, 0, 5))


def completion(**changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    return {"model": "small-0126", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 1}} | changes


@respx.mock(base_url=URL)
async def test_a_completion_is_its_text_and_how_it_ended(respx_mock: respx.MockRouter, provider: Provider) -> None:
    call = respx_mock.post("/chat/completions").respond(json=completion())

    found = await provider.complete(REQUEST)

    assert (found.text, found.finish) == ("Hi", Finish("stop", "small-0126", Usage(5, 1)))
    assert b"\\ud83d" in call.calls.last.request.content


@respx.mock(base_url=URL)
async def test_a_provider_that_counts_nothing_costs_nothing(respx_mock: respx.MockRouter, provider: Provider) -> None:
    odd = {"prompt_tokens": True, "completion_tokens": -1}
    respx_mock.post("/chat/completions").respond(json=completion(usage=odd, model=None))

    found = await provider.complete(REQUEST)

    assert found.finish == Finish("stop", "small", Usage(0, 0))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ConnectError("refused"), Failed),
        (httpx.ConnectTimeout("slow"), TimedOut),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.RemoteProtocolError("nonsense"), Failed),
        (httpx.DecodingError("no gzip"), Failed),
    ],
)
@respx.mock(base_url=URL)
async def test_every_failure_of_the_connection_has_a_name(
    respx_mock: respx.MockRouter, provider: Provider, failure: Exception, expected: type[ProviderError]
) -> None:
    respx_mock.post("/chat/completions").mock(side_effect=failure)

    with pytest.raises(expected):
        await provider.complete(REQUEST)
    with pytest.raises(expected):
        await anext(provider.stream(REQUEST))


@respx.mock(base_url=URL)
async def test_an_endless_answer_is_refused(respx_mock: respx.MockRouter, provider: Provider) -> None:
    respx_mock.post("/chat/completions").respond(content=b" " * (LARGEST_ANSWER_BYTES + 1))

    with pytest.raises(Failed) as failed:
        await provider.complete(REQUEST)

    assert "longer than" in failed.value.reason


@respx.mock(base_url=URL)
async def test_an_endless_event_is_refused(respx_mock: respx.MockRouter, provider: Provider) -> None:
    respx_mock.post("/chat/completions").respond(content=b"data: " + b"x" * 2_000_000)

    with pytest.raises(Failed) as failed:
        await anext(provider.stream(REQUEST))

    assert failed.value.reason == "it sent an event that is too large"


@respx.mock(base_url=URL)
async def test_a_huge_token_is_passed_on_whole(respx_mock: respx.MockRouter, provider: Provider) -> None:
    huge = "né\u2028" * 100_000
    chunk = json.dumps({"choices": [{"delta": {"content": huge}, "finish_reason": "stop"}]}, ensure_ascii=False)
    respx_mock.post("/chat/completions").respond(content=f"data: {chunk}\n\ndata: [DONE]\n\n".encode())

    said = [item async for item in provider.stream(REQUEST)]

    assert said[0] == huge


@respx.mock(base_url=URL)
async def test_what_follows_done_is_not_read(respx_mock: respx.MockRouter, provider: Provider) -> None:
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "length"}]}\n\n'
    respx_mock.post("/chat/completions").respond(content=chunk + b"data: [DONE]\n\ndata: {nonsense\n\n")

    said = [item async for item in provider.stream(REQUEST)]

    assert said == ["Hi", Finish("length", "small", Usage())]


@pytest.mark.parametrize("model", ["half of a pair: \ud83d", "nothing: \x00", 7, ""])
def test_a_model_whose_name_cannot_be_stored_goes_by_the_one_that_was_asked_for(model: object) -> None:
    content = json.dumps(completion(model=model)).encode()

    assert completions.completion(content, "small").finish.model == "small"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17),
        ("0", 0),
        ("", 5),
        ("soon", 5),
        ("-1", 5),
        ("1.5", 5),
        ("Mon, 05 Jan 2026 09:30:20 GMT", 20),
        ("Mon, 05 Jan 2026 09:00:00 GMT", 0),
        ("9" * 5000, 999_999_999),
        ("Mon, 05 Jan 99999999999999 09:30:20 GMT", 5),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int) -> None:
    assert retry_after_seconds(value, NOW) == seconds


def test_a_busy_provider_says_for_how_long() -> None:
    assert Busy(17).headers() == {"Retry-After": "17"}
