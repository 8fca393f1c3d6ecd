"""One call passed on to the provider, and its answer back as it comes; who looks on is told every piece."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from .. import request_bodies
from ..errors import CallerLeft
from ..headers import TRACEPARENT, Headers, answer_headers, first, request_head
from ..identity import SAFE_METHODS
from ..request_bodies import framed
from ..upstream import Connection, Pool, Request

ACCEPT_ENCODING = b"accept-encoding"


class Asked(NamedTuple):
    """A call as far as it has come: whole, unless it is longer than what may be recorded."""

    method: str
    target: bytes
    headers: Headers
    body: bytes
    has_more: bool
    is_too_long: bool


class Onlooker(Protocol):
    """Sees an answer go by; must not wait or raise."""

    def head(self, status: int, headers: Headers) -> None: ...

    def piece(self, body: bytes) -> None: ...


async def received(scope: Scope, receive: Receive, target: bytes, most_bytes: int) -> Asked:
    """Wait for the request, or for so much of it that it is too long. Raises CallerLeft."""
    chunks: list[bytes] = []
    length, has_more = 0, True
    while has_more and length <= most_bytes:
        body, has_more = await request_bodies.received(receive)
        chunks.append(body)
        length += len(body)
    return Asked(scope["method"], target, scope["headers"], b"".join(chunks), has_more, length > most_bytes)


async def forward(pool: Pool, asked: Asked, receive: Receive, send: Send, onlooker: Onlooker | None) -> None:
    """Raises an ExchangeError; what was begun to be sent then has to be cut."""
    announced = first(asked.headers, b"content-length")
    has_body = announced is not None or first(asked.headers, b"transfer-encoding") is not None
    is_chunked = asked.has_more and announced is None
    length = -1 if is_chunked else int(announced or 0) if asked.has_more else len(asked.body)
    head = request_head(
        asked.method,
        asked.target,
        _for_provider(pool, asked.headers, is_recorded=onlooker is not None),
        length=length if has_body else None,
        ours=[(TRACEPARENT, value) for name, value in asked.headers if name == TRACEPARENT],
    )
    body = framed(asked.body, has_more=True) if is_chunked else asked.body
    is_safe = asked.method in SAFE_METHODS and not asked.has_more
    request = Request(head + body, asked.method == "HEAD", is_safe)
    connection = await pool.connect(request)
    rest = _send_rest(connection, receive, is_chunked=is_chunked) if asked.has_more else None
    try:
        connection = await pool.answered(connection, request)
        headers = answer_headers(connection.status, connection.headers)
        if onlooker is not None:
            onlooker.head(connection.status, headers)
        await send({"type": "http.response.start", "status": connection.status, "headers": headers})
        while True:
            chunk = await connection.read()
            is_last = connection.is_complete  # asked before sending: more may come while the application is slow
            if onlooker is not None:
                onlooker.piece(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
            if is_last:
                return
    finally:
        if rest is not None:
            rest.cancel()
        pool.give_back(connection)


def _for_provider(pool: Pool, headers: Headers, *, is_recorded: bool) -> Headers:
    """With the provider's name for Host; what is recorded is not packed, as the shadow may unpack other things."""
    ours = [(b"host", urlsplit(pool.upstream.url).netloc.encode())]
    if is_recorded:
        ours.append((ACCEPT_ENCODING, b"identity"))
    names = {name for name, _ in ours}
    return [*ours, *((name, value) for name, value in headers if name not in names)]


def _send_rest(connection: Connection, receive: Receive, *, is_chunked: bool) -> asyncio.Task[None]:
    connection.is_request_sent = False
    request_task = asyncio.current_task()

    async def send_rest() -> None:
        has_more = True
        try:
            while has_more:
                body, has_more = await request_bodies.received(receive)
                connection.write(framed(body, has_more) if is_chunked else body)
                await connection.drain()
            connection.is_request_sent = True
        except CallerLeft:
            if request_task is not None:
                request_task.cancel()

    return asyncio.create_task(send_rest())
