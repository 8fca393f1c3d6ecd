"""The operators' address: is it alive, is it ready, how does it stand; for all workers together.

Every worker tells its state on a Unix socket in one folder. Here it is asked for each time, and a worker that does
not answer within a second is named as one that does not.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .measurements import exposition

ASK_SECONDS = 1.0
STATE_BYTES = 16_777_216
"""The longest state of a worker that is read."""

State = dict[str, Any]
Ask = Callable[[], Awaitable[list[State | None]]]


class Admin:
    """Serves on `listener`, in a thread of its own, from `start` until `stop`."""

    def __init__(self, listener: socket, ears: Path, expected: int, file: Path) -> None:
        self._listener = listener
        app = admin_app(lambda: ask_all(ears, expected), file)
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False, loop="asyncio")
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True, name="admin")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(ASK_SECONDS)


def admin_app(ask: Ask, file: Path) -> Starlette:
    """`ask` returns what each worker says, None for one that does not answer."""

    async def livez(_: Request) -> Response:
        return _verdict(not any(await ask()), "no worker answers")

    async def readyz(_: Request) -> Response:
        up = [state for state in await ask() if state]
        if not up:
            return _verdict(True, "no worker answers")
        return _verdict(all(state["is_draining"] for state in up), "draining")

    async def status(_: Request) -> Response:
        return JSONResponse(summary(await ask(), file))

    async def metrics(_: Request) -> Response:
        states = await ask()
        text = exposition([state for state in states if state], len(states))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route(f"/{each.__name__}", each) for each in (livez, readyz, status, metrics)])


def _verdict(is_bad: bool, why: str) -> Response:
    return PlainTextResponse(f"{why}\n" if is_bad else "ok\n", 503 if is_bad else 200)


def summary(states: list[State | None], file: Path) -> State:
    """What `status` shows. `table` is None where workers serve different tables, `routes` are the first worker's."""
    up = [state for state in states if state]
    tables = {state["table"] for state in up}
    return {
        "file": str(file),
        "table": tables.pop() if len(tables) == 1 else None,
        "workers_expected": len(states),
        "workers_silent": [number for number, state in enumerate(states) if not state],
        "problems": sorted({state["problem"] for state in up if state["problem"]}),
        "routes": up[0]["routes"] if up else [],
        "workers": up,
    }


async def ask_all(ears: Path, expected: int) -> list[State | None]:
    return await asyncio.gather(*(_ask(ears / f"{number}.sock") for number in range(expected)))


async def _ask(ear: Path) -> State | None:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_unix_connection(ear, limit=STATE_BYTES)
            try:
                state: State = json.loads(await reader.readuntil(b"\n"))
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    return state
