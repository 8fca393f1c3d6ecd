"""The story of one request: match → decide → identify → forward → answer → offer a copy.

Raw ASGI, no request or response objects: this is the path that every request of the site takes. A request keeps
the `Live` that it began with, whatever is reloaded meanwhile. A caller who leaves cancels the request's task,
and with it everything that was done for them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Receive, Scope, Send

from . import request_bodies, websocket
from .access_log import AccessLog
from .config import LEGACY, Route, Server
from .errors import CallerLeft, ExchangeError, NotRoutable, Stopped, UpstreamError
from .failures import failure_answer, may_fall_back
from .headers import (
    IDENTITY,
    PRIMARY,
    TRACEPARENT,
    Headers,
    announces_body,
    answer_headers,
    first,
    forwarded_of,
    request_head,
)
from .identity import SAFE_METHODS, Exchange, Refusal, Token, is_same_path
from .request_bodies import NO_BODY, Opening, framed, opening_body, received
from .routes import Table
from .shadow import Recording, Shadowing
from .stages import Copied, caller_of, decide
from .telemetry import Telemetry, Trace
from .trips import Attempt, Trips
from .trust import Trust
from .upstream import Connection, Pool, Request
from .websocket import UPGRADE

CALLER = "strangler.caller"
"""The scope's key for the caller's connection, where the server offers it (see `server.py`)."""
TARGET = "strangler.target"
"""The scope's key for the request target as the caller wrote it, where the server offers it."""

_log = logging.getLogger(__name__)


class Caller(websocket.Caller, request_bodies.Caller, Protocol):
    """The caller's connection."""

    has_left: bool
    """They are gone, and the request's task was cancelled for it."""

    def cut(self) -> None:
        """Close at once, so that what was sent cannot be taken for a whole answer."""

    def hint(self, status: int, headers: Headers) -> None:
        """Pass on an interim answer."""


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that a reload replaces, as one object that is swapped whole."""

    server: Server
    table: Table
    pools: Mapping[str, Pool]
    identity: Exchange | None
    identified: frozenset[str]
    """The upstreams whose requests carry a signed identity."""
    sample: float
    """The share of the exchanges that is traced."""
    telemetry: Telemetry
    trips: Trips
    shadowing: Shadowing
    """How exchanges are copied."""
    trust: Trust | None = None
    """None where nobody's word about a caller is believed."""
    access_log: AccessLog | None = None


class Proxy:
    """An ASGI application for HTTP requests."""

    def __init__(self, live: Live) -> None:
        self.live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        live = self.live
        draw = random.random()  # noqa: S311  (chance, no secret)
        with live.telemetry.begin(scope["method"], scope["headers"], live.sample, draw) as trace:
            if live.trust is not None:
                live.trust.believe(scope)
            if live.access_log is None:
                await _told(live, trace, scope, receive, send)
                return
            line = live.access_log.begin(send)
            try:
                await _told(live, trace, scope, receive, line.send)
            finally:
                line.end(scope["method"], trace)


async def _told(live: Live, trace: Trace, scope: Scope, receive: Receive, send: Send) -> None:
    """The exchange, and every way in which it may end."""
    caller: Caller | None = scope.get(CALLER)
    answer = _Answer(send, trace)
    try:
        await _exchange(live, trace, scope, receive, answer)
    except CallerLeft:
        trace.caller_left = True
    except asyncio.CancelledError:
        if not answer.has_nobody and (caller is None or not caller.has_left):
            # Not because the caller left: the server is stopping.
            if caller is None:
                raise
            trace.error = Stopped.__name__
            await _failed(Stopped("the time to drain is over"), trace.exchange_id, scope, answer, caller)
            return
        trace.caller_left = True
    except ExchangeError as error:
        answer.error = error
        trace.error = type(error).__name__
        await _failed(error, trace.exchange_id, scope, answer, caller)
    finally:
        if answer.attempt is not None:
            answer.attempt.over()
        if answer.recording is not None:
            answer.recording.end(answer.error)


class _Answer:
    """The way back to the caller; knows whether anything went there already, and whether nobody is left there."""

    __slots__ = ("_trace", "attempt", "error", "has_begun", "has_nobody", "recording", "send")

    def __init__(self, send: Send, trace: Trace) -> None:
        self.send = send
        self.has_begun = False
        self.has_nobody = False
        self.attempt: Attempt | None = None
        """At the extracted upstream of a route that may trip."""
        self.error: ExchangeError | None = None
        self.recording: Recording | None = None
        self._trace = trace

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> Awaitable[None]:
        self.has_begun = True
        self._trace.status = status
        return self.send({"type": "http.response.start", "status": status, "headers": headers})

    def body(self, body: bytes, *, is_last: bool) -> Awaitable[None]:
        return self.send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _exchange(live: Live, trace: Trace, scope: Scope, receive: Receive, answer: _Answer) -> None:
    method: str = scope["method"]
    path: bytes = scope["raw_path"]
    headers: Headers = scope["headers"]
    address: str = scope["client"][0] if scope["client"] else ""

    route = live.table.match(method, path)
    decision = decide(route, method, caller_of(route, headers, address), trace.exchange_id)
    primary = decision.primary
    if route is not None:
        trace.route, trace.path, trace.stage = route.name, route.path, route.stage
        if route.trip is not None and primary == route.to:
            answer.attempt = live.trips[route.name].admit()
            if answer.attempt is None:
                primary, trace.is_tripped = LEGACY, True
    trace.upstream = primary

    ours = forwarded_of(scope)
    cookies: list[tuple[bytes, bytes]] = []
    if live.identity is not None:
        if is_same_path(path, live.identity.path):
            raise NotRoutable("the identity exchange is the router's alone")
        if primary in live.identified:
            if scope.get(UPGRADE):
                websocket.check_origin(headers)
            who = await _identified(live.identity, trace, method, headers, primary, ours)
            if isinstance(who, Refusal):
                trace.upstream = live.identity.upstream
                await answer.begin(who.status, who.headers + _answered_by(live, headers, live.identity.upstream))
                await answer.body(who.body, is_last=True)
                return
            ours.append((IDENTITY, who.value))
            cookies = who.set_cookies

    if decision.copied is not Copied.NOT_IN_STAGE and route is not None and primary == decision.primary:
        answer.recording = live.shadowing.begin(trace, scope, route, decision, _target(scope, path))
        if answer.recording is not None:
            ours.append(PRIMARY)
            receive, answer.send = answer.recording.hears(receive), answer.recording.sees(answer.send)
    opening = NO_BODY
    if announces_body(headers):
        spool_bytes, caller = live.server.spool_bytes, scope.get(CALLER)
        opening = await opening_body(headers, receive, live.pools[primary], spool_bytes, caller)
    try:
        await _forward(live, trace, scope, receive, answer, route, primary, ours, cookies, opening)
        return
    except UpstreamError as error:
        if answer.attempt is not None:
            answer.attempt.failed()
        is_safe = method in SAFE_METHODS and not opening.has_more
        if route is None or primary == LEGACY or answer.has_begun or not may_fall_back(route, error, is_safe=is_safe):
            raise
        _log.warning("%s %s: %s; legacy answers instead", type(error).__name__, method, error)
        trace.upstream, trace.fallback = LEGACY, type(error).__name__
    live.telemetry.count("strangler.fallbacks", route.name, trace.fallback)
    opening = await opening_body(headers, receive, live.pools[LEGACY], live.server.spool_bytes, None, opening)
    ours = forwarded_of(scope)
    await _forward(live, trace, scope, receive, answer, route, LEGACY, ours, cookies, opening)


async def _forward(
    live: Live,
    trace: Trace,
    scope: Scope,
    receive: Receive,
    answer: _Answer,
    route: Route | None,
    upstream: str,
    ours: list[tuple[bytes, bytes]],
    cookies: list[tuple[bytes, bytes]],
    opening: Opening,
) -> None:
    """Put the request to one upstream, and its answer to the caller. Raises UpstreamError."""
    method: str = scope["method"]
    body, length, has_more = opening
    pool = live.pools[upstream]
    is_upgrade: bool = scope.get(UPGRADE, False)
    caller: Caller | None = scope.get(CALLER)
    if is_upgrade:
        ours += websocket.OFFER
    with trace.call(upstream) as call:
        ours.append((TRACEPARENT, call.traceparent))
        head = request_head(method, _target(scope, scope["raw_path"]), scope["headers"], length=length, ours=ours)
        request = Request(
            head + (framed(body, has_more) if length == -1 else body),
            method == "HEAD",
            method in SAFE_METHODS and not has_more,
            is_upgrade,
            None if route is None else route.deadlines,
            None if caller is None else caller.hint,
        )
        connection = await pool.connect(request)
        listener = None
        if has_more or CALLER not in scope:
            listener = _listen(scope, receive, answer, connection, opening)
        try:
            connection = await pool.answered(connection, request)
            call.status = trace.status = connection.status
            if answer.attempt is not None and not trace.fallback:
                answer.attempt.answered(connection.status)
            answering = answer_headers(connection.status, connection.headers)
            answering += cookies + _answered_by(live, scope["headers"], upstream, always=trace.fallback != "")
            if connection.is_upgraded:
                await websocket.join(scope[CALLER], connection, answering, pool.upstream.websocket_idle_seconds)
                return
            await answer.begin(connection.status, answering)
            if not connection.is_readable:
                await answer.body(b"", is_last=False)  # a head that waits for a body's first piece goes out without
            while True:
                chunk = await connection.read()
                is_last = connection.is_complete  # asked before sending: more may come while the caller is slow
                await answer.body(chunk, is_last=is_last)
                if is_last:
                    return
        finally:
            if listener is not None:
                listener.cancel()
            pool.give_back(connection)


async def _identified(
    identity: Exchange, trace: Trace, method: str, headers: Headers, audience: str, ours: list[tuple[bytes, bytes]]
) -> Token | Refusal:
    with trace.call(identity.upstream, "identity") as call:
        who = await identity.ask(method, headers, audience, [*ours, (TRACEPARENT, call.traceparent)])
        call.status = who.status if isinstance(who, Refusal) else 200
        return who


def _listen(
    scope: Scope, receive: Receive, answer: _Answer, connection: Connection, opening: Opening
) -> asyncio.Task[None]:
    """Somebody has to hear the rest of the body and, on servers that do not tell, the caller's leaving."""
    is_told = CALLER in scope
    is_chunked = opening.length == -1
    connection.is_request_sent = not opening.has_more
    if is_told and opening.has_more and not opening.body:
        connection.await_caller()
    request_task = asyncio.current_task()

    async def hear(has_more: bool) -> None:
        try:
            while has_more:
                body, has_more = await received(receive)
                connection.write(framed(body, has_more) if is_chunked else body)
                await connection.drain()
            connection.is_request_sent = True
            while not is_told:
                await received(receive)
        except CallerLeft:
            answer.has_nobody = True
            if request_task is not None:
                request_task.cancel()

    return asyncio.create_task(hear(opening.has_more))


async def _failed(error: ExchangeError, exchange_id: int, scope: Scope, answer: _Answer, caller: Caller | None) -> None:
    """Say so; or, once the answer has begun, cut it: its end must not look like an end."""
    _log.warning("%s %s: %s", type(error).__name__, scope["method"], error)
    if not answer.has_begun:
        status, headers, body = failure_answer(error, exchange_id, first(scope["headers"], b"accept") or b"")
        await answer.begin(status, headers)
        await answer.body(b"" if scope["method"] == "HEAD" else body, is_last=True)
    elif caller is not None:
        caller.cut()
    else:
        raise error


def _answered_by(live: Live, headers: Headers, upstream: str, *, always: bool = False) -> list[tuple[bytes, bytes]]:
    wanted = live.server.answered_by
    if not (always or wanted is True or (wanted and first(headers, b"x-answered-by") is not None)):
        return []
    return [(b"x-answered-by", upstream.encode("ascii"))]


def _target(scope: Scope, path: bytes) -> bytes:
    """The request target as the caller wrote it; what an absolute one says beside the path is in Host already."""
    target: bytes | None = scope.get(TARGET)
    if target is not None and target.startswith(b"/"):
        return target
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path
