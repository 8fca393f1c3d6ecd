"""The router on a real socket in the test's own event loop, with uvicorn's protocol and lifespan but no process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from ..app import RouterApp
from ..proxy import Live
from ..server import ServerProtocol
from ..shadow import Process, RouteCounts, Start
from .wire import Answer, caller

Protocol = type[asyncio.Protocol]


@dataclass(frozen=True)
class Serving:
    """A router that serves."""

    port: int
    app: RouterApp
    state: ServerState

    @property
    def live(self) -> Live:
        proxy = self.app._proxy
        assert proxy is not None
        return proxy.live

    @property
    def counts(self) -> dict[str, RouteCounts]:
        return self.live.shadowing.counts

    async def ask(self, request: bytes) -> Answer:
        """One request on a connection of its own."""
        async with caller(self.port) as each:
            return await each.ask(request)


@contextlib.asynccontextmanager
async def serving(
    file: Path,
    environ: Mapping[str, str] | None = None,
    protocol: Protocol = ServerProtocol,
    start: Start = Process,
) -> AsyncIterator[Serving]:
    """The router for a routes.toml on a free port."""
    app = RouterApp(file, environ or {}, start)
    async with listening(app, protocol) as (port, state):
        yield Serving(port, app, state)


@contextlib.asynccontextmanager
async def listening(app: Any, protocol: Protocol = ServerProtocol) -> AsyncIterator[tuple[int, ServerState]]:
    """Any ASGI application on a free port, begun and ended as by its server."""
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="on", log_config=None, access_log=False, proxy_headers=False
    )
    config.load()
    lifespan = LifespanOn(config)
    await lifespan.startup()
    assert not lifespan.should_exit
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
        "127.0.0.1",
        0,
    )
    try:
        yield server.sockets[0].getsockname()[1], state
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await lifespan.shutdown()


def routes_file(folder: Path, text: str) -> Path:
    file = folder / "routes.toml"
    file.write_text(text, "utf-8")
    return file
