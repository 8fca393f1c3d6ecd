"""A provider on a real socket, and the official client that talks to it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import openai
import pytest
import uvicorn

from sandbox.ports import listening_socket
from sandbox.provider import Settings, create_app

KEY = "test-key"
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class RunningProvider:
    url: str
    control: httpx.Client

    def fault(self, kind: str, **more: object) -> None:
        self.control.post("/sandbox/faults", json={"kind": kind, **more}).raise_for_status()

    def calls(self) -> dict[str, object]:
        answer: dict[str, object] = self.control.get("/sandbox/calls").json()
        return answer

    def seconds_of_calls(self) -> list[float]:
        """How long each took: a caller may have the whole answer before the provider notes its end."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            seconds = [call["seconds"] for call in self.control.get("/sandbox/calls").json()["calls"]]
            if None not in seconds:
                return seconds
            assert time.monotonic() < deadline, "a call has no end"
            time.sleep(0.01)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    listener = listening_socket(0)
    app = create_app(Settings(0.0, 0.0, 0.0), KEY)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(DEADLINE_SECONDS)
    listener.close()


@pytest.fixture
def provider(provider_url: str) -> Iterator[RunningProvider]:
    with httpx.Client(base_url=provider_url, timeout=DEADLINE_SECONDS) as control:
        control.delete("/sandbox/faults")
        control.delete("/sandbox/calls")
        control.put(
            "/sandbox/settings",
            json={
                "latency_seconds": 0,
                "latency_spread_seconds": 0,
                "tokens_per_second": 0,
                "embedding_latency_seconds": 0,
            },
        )
        yield RunningProvider(provider_url, control)


@pytest.fixture
def client(provider: RunningProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key=KEY, max_retries=0, timeout=DEADLINE_SECONDS) as client:
        yield client
