"""What every test of the router may ask for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ..server import ServerProtocol
from .serving import Protocol, Serving, routes_file, serving
from .wire import Script, Upstream, upstream

DEEP_ENV = "PROPERTIES_DEEP"
"""Set in the environment: generated tests try thousands of examples, and others each time."""

# How fast a busy machine is says nothing about the router, and a run without it draws what the run before drew.
settings.register_profile(
    "router",
    deadline=None,
    derandomize=DEEP_ENV not in os.environ,
    max_examples=3_000 if DEEP_ENV in os.environ else 100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("router")

Backend = tuple[str, dict[str, bool]]

Front = Callable[..., Awaitable[tuple[Serving, Upstream]]]


@pytest.fixture
def anyio_backend() -> Backend:
    """The event loop that `serve` uses."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    """Starts a legacy upstream that follows a script, and the router in front of it."""
    async with AsyncExitStack() as stack:

        async def start(
            script: Script,
            *,
            settings: str = "",
            rest: str = "",
            environ: Mapping[str, str] | None = None,
            protocol: Protocol = ServerProtocol,
        ) -> tuple[Serving, Upstream]:
            legacy = await stack.enter_async_context(upstream(script))
            text = f'[upstreams.legacy]\nurl = "{legacy.url}"\n{settings}\n{rest}'
            router = await stack.enter_async_context(serving(routes_file(tmp_path, text), environ, protocol))
            return router, legacy

        yield start
