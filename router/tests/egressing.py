"""The egress on a real socket between a provider that follows a script and applications that ask byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..egress.app import EgressApp
from ..evidence import reading
from ..evidence.database import open_for_reading
from ..evidence.observations import Effect
from ..evidence.tape import SETTLE_SECONDS, Tape
from .evidence import SECONDS
from .serving import listening, routes_file
from .wire import Answer, Script, Talk, Upstream, caller, upstream

PRIMARY, SHADOW = "strangler.role=primary", "strangler.role=shadow"
ONE, TWO = f"{1:032x}", f"{2:032x}"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Between:
    """An egress and its provider."""

    port: int
    provider: Upstream
    app: EgressApp
    url: str
    """Of the evidence database."""

    async def ask(self, exchange: str, role: str, body: Any = None, path: str = "/v1/chat/completions") -> Answer:
        """What a shadow asks, when everything that was recorded before is on the tape."""
        if role == SHADOW:
            await self.written()
        async with caller(self.port) as each:
            return await each.ask(request(exchange, role, body, path))

    async def effects(self, exchange: str, role: str) -> tuple[Effect, ...]:
        await self.written()  # so there is no need to wait for what is late
        tape = Tape(self.url)
        try:
            return await tape.effects_of(exchange, role, ended_at=time.time() - SETTLE_SECONDS)
        finally:
            tape.close()

    async def written(self) -> None:
        """Everything that was handed to the store is in the database."""
        assert self.app._calls is not None
        assert await asyncio.to_thread(self.app._calls._store.flush, SECONDS)

    async def counted(self) -> dict[str, int]:
        await self.written()
        return reading.counted(open_for_reading(self.url)).get("", {})


@contextlib.asynccontextmanager
async def between(script: Script, folder: Path, settings: str = "", url: str = "") -> AsyncIterator[Between]:
    url = url or f"sqlite:///{folder}/evidence.db"
    async with upstream(script) as provider:
        text = f"""
            upstreams = {{ legacy = "http://127.0.0.1:1" }}
            evidence = {{ url = "{url}" }}
            [egress]
            provider = "{provider.url}"
            {settings}"""
        app = EgressApp(routes_file(folder, text))
        async with listening(app) as (port, _):
            yield Between(port, provider, app, url)


def request(exchange: str, role: str, body: Any = None, path: str = "/v1/chat/completions", *more: bytes) -> bytes:
    """A call to the provider; `exchange` and `role` are left out where they are empty."""
    content = body if isinstance(body, bytes) else json.dumps(question() if body is None else body).encode()
    lines = [f"POST {path} HTTP/1.1".encode(), b"host: egress:8010", b"content-type: application/json"]
    lines += [f"traceparent: 00-{exchange}-00000000000000ab-01".encode()] if exchange else []
    lines += [f"baggage: {role}".encode()] if role else []
    lines += [*more, b"content-length: %d" % len(content)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def question(words: str = "Why does it flicker?", **more: Any) -> dict[str, Any]:
    return {"model": "large", "temperature": 1, "messages": [{"role": "user", "content": words}]} | more


def plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def never_the_same() -> Script:
    """A provider that answers every question differently, as models do."""
    numbers = itertools.count(1)

    async def talk(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(plain(b'{"answer": %d}' % next(numbers)))

    return talk


def streaming(*pieces: bytes, seconds: float = 0.0) -> Script:
    """A provider that sends its answer in pieces, and waits before each."""

    async def talk(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(STREAM)
            for piece in pieces:
                await asyncio.sleep(seconds)
                await talk.send(chunk(piece))
            await talk.send(b"0\r\n\r\n")

    return talk
