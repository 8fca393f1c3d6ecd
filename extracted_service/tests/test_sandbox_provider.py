"""The client against the simulated provider, a process of its own, with everything that it can do wrong.

The provider's own record counts the attempts, and says whether the client left before the end.
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from extracted_service.completions import Finish
from extracted_service.errors import Busy, Failed, ProviderError, TimedOut
from extracted_service.provider import Provider, open_provider
from extracted_service.settings import Settings

from .running import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
AWKWARD = " L1\u2028L2 N1\u0085N2 naïve 漢字 👩‍💻 مرحبا e\u0301"
REQUEST = {
    "model": "helpdesk-small",
    "messages": [
        {"role": "system", "content": "Summarise the ticket."},
        {"role": "user", "content": "The lamp flickers since Monday. It was never dropped."},
    ],
    "temperature": 0.2,
    "max_tokens": 60,
}


@dataclass(frozen=True)
class Sandbox:
    control: httpx.Client

    def will(self, kind: str, **more: Any) -> None:
        self.control.post("/sandbox/faults", json={"kind": kind, **more}).raise_for_status()

    def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.get("/sandbox/calls").json()["calls"]
        return found

    def pace(self, latency_seconds: float, tokens_per_second: float) -> None:
        settings = {"latency_seconds": latency_seconds, "tokens_per_second": tokens_per_second}
        self.control.put("/sandbox/settings", json=settings).raise_for_status()


@pytest.fixture(scope="module")
def process() -> Iterator[str]:
    if not (ROOT / "sandbox").exists():
        pytest.skip("The sandbox is not here.")
    for _ in range(3):  # somebody else may take the port before the provider does
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [sys.executable, "-m", "sandbox", "provider", "--port", str(port), "--latency-seconds", "0"]
        running = subprocess.Popen(command, cwd=ROOT)
        try:
            if _is_there(f"http://127.0.0.1:{port}/sandbox/faults", running):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            running.terminate()
            running.wait(DEADLINE_SECONDS)
    raise AssertionError("the provider did not start")


@pytest.fixture
def sandbox(process: str) -> Iterator[Sandbox]:
    with httpx.Client(base_url=process, timeout=DEADLINE_SECONDS, trust_env=False) as control:
        control.delete("/sandbox/faults")
        control.delete("/sandbox/calls")
        sandbox = Sandbox(control)
        sandbox.pace(0, 0)
        yield sandbox


@pytest.fixture
async def provider(process: str, jwks_file: Path) -> AsyncIterator[Provider]:
    async with open_provider(_settings(process, jwks_file, seconds=20)) as provider:
        yield provider


@pytest.fixture
async def hurried_provider(process: str, jwks_file: Path) -> AsyncIterator[Provider]:
    """For those who wait in vain."""
    async with open_provider(_settings(process, jwks_file, seconds=1)) as provider:
        yield provider


def _settings(process: str, jwks_file: Path, *, seconds: float) -> Settings:
    return Settings(
        identity_jwks_file=jwks_file,
        llm_base_url=f"{process}/v1",
        llm_timeout_seconds=seconds,
        llm_connect_seconds=seconds,
        llm_idle_seconds=seconds / 2,
        llm_first_pause_seconds=0.01,
    )


async def completed(provider: Provider, **changes: Any) -> tuple[str, Finish]:
    completion = await provider.complete(REQUEST | changes)
    return completion.text, completion.finish


async def streamed(provider: Provider, **changes: Any) -> tuple[str, Finish]:
    *texts, finish = [item async for item in provider.stream(REQUEST | changes)]
    assert isinstance(finish, Finish)
    return "".join(text for text in texts if isinstance(text, str)), finish


WAYS = pytest.mark.parametrize("ask", [completed, streamed])


@WAYS
@pytest.mark.parametrize("kind", ["408", "409", "429", "500", "502", "503", "504"])
async def test_two_passing_refusals_are_not_seen_by_the_caller(
    sandbox: Sandbox, provider: Provider, kind: str, ask: Any
) -> None:
    sandbox.will(kind, count=2)

    text, finish = await ask(provider)

    assert text
    assert finish.usage.completion_tokens > 0
    assert [call["fault"] for call in sandbox.calls()] == [kind, kind, None]


@WAYS
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *[(kind, Failed) for kind in ("400", "401", "403", "404", "context_length_exceeded")],
        ("insufficient_quota", Busy),
        ("html", Failed),
        ("cut", Failed),
        ("error_in_stream", Failed),
        ("empty_choices", Failed),
        ("bad_json", Failed),
    ],
)
async def test_what_cannot_be_cured_is_asked_once(
    sandbox: Sandbox, provider: Provider, kind: str, error: type[ProviderError], ask: Any
) -> None:
    sandbox.will(kind)

    with pytest.raises(error):
        await ask(provider)

    [call] = await _ended_calls(sandbox)
    assert not call["left_early"]


@WAYS
@pytest.mark.parametrize("kind", ["stall", "timeout"])
async def test_who_waits_in_vain_leaves_and_does_not_come_again(
    sandbox: Sandbox, hurried_provider: Provider, kind: str, ask: Any
) -> None:
    sandbox.will(kind)

    with pytest.raises(TimedOut):
        await ask(hurried_provider)

    [call] = await _ended_calls(sandbox)
    assert call["left_early"]


@WAYS
async def test_a_provider_that_stays_down_is_asked_three_times(sandbox: Sandbox, provider: Provider, ask: Any) -> None:
    sandbox.will("503", count=10)

    with pytest.raises(Failed):
        await ask(provider)

    assert len(sandbox.calls()) == 3


async def test_embeddings_have_the_same_second_chance(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("503", path="/v1/embeddings")

    found = await provider.embed(["A lamp", "a box"])

    assert [len(vector) for vector in found.vectors] == [256, 256]
    assert [(call["path"], call["fault"]) for call in sandbox.calls()] == [
        ("/v1/embeddings", "503"),
        ("/v1/embeddings", None),
    ]


async def test_a_wait_that_the_provider_asks_for_is_kept(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("429", retry_after="1")

    await completed(provider)

    first, second = sandbox.calls()
    assert second["received_at"] - first["received_at"] >= 1


async def test_a_wait_beyond_the_deadline_is_passed_on(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("429", retry_after="90")

    with pytest.raises(Busy) as busy:
        await completed(provider)

    assert (busy.value.retry_after, len(sandbox.calls())) == (90, 1)


@pytest.mark.parametrize("kind", ["keepalive", "crlf", "no_space"])
async def test_a_framing_that_the_standard_allows_changes_no_text(
    sandbox: Sandbox, provider: Provider, kind: str
) -> None:
    plain = await streamed(provider)
    sandbox.will(kind)

    assert await streamed(provider) == plain


@WAYS
@pytest.mark.parametrize("kind", ["unicode", "split_bytes"])
async def test_awkward_characters_arrive_whole(sandbox: Sandbox, provider: Provider, kind: str, ask: Any) -> None:
    sandbox.will(kind)

    text, _ = await ask(provider, max_tokens=3)

    assert text.endswith(AWKWARD)


async def test_a_stream_without_its_end_is_no_answer(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("no_done")

    with pytest.raises(Failed, match="could not answer"):
        await streamed(provider)

    assert len(sandbox.calls()) == 1


async def test_done_is_the_end_even_if_the_provider_stays(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("open_after_done")

    await streamed(provider)

    [call] = await _ended_calls(sandbox)
    assert call["left_early"]


@WAYS
async def test_slow_is_no_failure_within_the_deadline(sandbox: Sandbox, provider: Provider, ask: Any) -> None:
    sandbox.will("slow", seconds=0.3)

    text, _ = await ask(provider)

    assert text


@WAYS
async def test_a_caller_who_leaves_before_the_first_token_closes_the_call(
    sandbox: Sandbox, provider: Provider, ask: Any
) -> None:
    sandbox.will("timeout")
    asking = asyncio.create_task(ask(provider))
    await _until(sandbox.calls)

    asking.cancel()

    [call] = await _ended_calls(sandbox)
    assert call["left_early"]


async def test_a_caller_who_leaves_between_tokens_closes_the_call(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.pace(0, 5)
    stream = provider.stream(REQUEST)
    while not await anext(stream):
        pass

    await stream.aclose()

    [call] = await _ended_calls(sandbox)
    assert call["left_early"]
    assert call["tokens_sent"] < 20


async def test_a_caller_who_leaves_between_attempts_ends_them(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.will("429", retry_after="1", count=2)
    asking = asyncio.create_task(completed(provider))
    await _until(sandbox.calls)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert asking.cancelled()
    assert len(await _ended_calls(sandbox)) == 1


async def _ended_calls(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the provider received, as soon as it knows how each ended."""
    await _until(lambda: all(call["seconds"] is not None for call in sandbox.calls()))
    return sandbox.calls()


async def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def _is_there(url: str, running: "subprocess.Popen[bytes]") -> bool:
    end = time.monotonic() + DEADLINE_SECONDS
    while running.poll() is None and time.monotonic() < end:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return True
    return False
