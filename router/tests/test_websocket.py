"""A WebSocket is joined end to end: its bytes are nobody's business in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from .. import websocket
from .serving import Serving, routes_file, serving
from .wire import OK, SECONDS, Caller, Script, Talk, Upstream, always, caller, once, until, upstream

pytestmark = pytest.mark.anyio

OFFER = (
    b"GET /ws/a%2Fb?x=%41 HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: sessionid=s\r\n\r\n"
)
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1\r\n\r\n"
)
FRAMES = bytes(range(256)) * 3
"""What is in them does not matter."""

ROUTES = """
[server]
answered_by = true
[upstreams]
legacy = {{ url = "{legacy}", websocket_idle_seconds = {idle} }}
assistant = {{ url = "{assistant}", websocket_idle_seconds = {idle} }}
[identity]
secret_env = "SHARED"
[[routes]]
name = "talk"
path = "/ws/{{rest:path}}"
stage = "{stage}"
"""
TOKEN = b'{"token": "a.b.c", "expires_in": 60}'
GRANTED = b"HTTP/1.1 200 OK\r\nSet-Cookie: slid=1\r\nContent-Length: %d\r\n\r\n%b" % (len(TOKEN), TOKEN)


async def agree(talk: Talk) -> None:
    """Agrees, and then says everything back."""
    if await talk.request() is not None:
        await talk.send(AGREED)
        while data := await talk.reader.read(65_536):
            await talk.send(data)


class Stage:
    """A router between a monolith and a service."""

    def __init__(self, router: Serving, file: Path, legacy: Upstream, assistant: Upstream) -> None:
        self.router = router
        self.file = file
        self.legacy = legacy
        self.assistant = assistant


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def start(script: Script = agree, stage: str = "extracted", idle: float = 60) -> Stage:
            legacy = await stack.enter_async_context(upstream(always(GRANTED) if stage == "extracted" else script))
            assistant = await stack.enter_async_context(upstream(script))
            text = ROUTES.format(legacy=legacy.url, assistant=assistant.url, stage=stage, idle=idle)
            file = routes_file(tmp_path, text)
            router = await stack.enter_async_context(serving(file, {"SHARED": "secret"}))
            return Stage(router, file, legacy, assistant)

        yield start


@contextlib.asynccontextmanager
async def joined(all_: Stage) -> AsyncIterator[Caller]:
    async with caller(all_.router.port) as me:
        await me.send(OFFER)
        await agreement(me)
        yield me


async def agreement(me: Caller) -> list[bytes]:
    """The lines of the 101."""
    head = await asyncio.wait_for(me.reader.readuntil(b"\r\n\r\n"), SECONDS)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return head.split(b"\r\n")[1:-2]


async def test_the_offer_reaches_the_upstream_as_the_caller_made_it(stage: Open) -> None:
    all_ = await stage()

    async with joined(all_):
        pass

    (asked,) = all_.assistant.asked
    assert asked.line == b"GET /ws/a%2Fb?x=%41 HTTP/1.1"
    for name, value in {
        b"host": b"shop.example",
        b"connection": b"Upgrade",
        b"upgrade": b"websocket",
        b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
        b"sec-websocket-version": b"13",
        b"sec-websocket-protocol": b"chat",
        b"sec-websocket-extensions": b"permessage-deflate",
        b"x-forwarded-for": b"127.0.0.1",
        b"x-internal-identity": b"a.b.c",
    }.items():
        assert asked.values(name) == [value]


async def test_the_agreement_reaches_the_caller_with_all_cookies(stage: Open) -> None:
    all_ = await stage()

    async with caller(all_.router.port) as me:
        await me.send(OFFER)
        lines = await agreement(me)

    assert sorted(lines) == sorted(
        [
            b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            b"sec-websocket-protocol: chat",
            b"set-cookie: a=1",
            b"set-cookie: slid=1",
            b"x-answered-by: assistant",
            b"connection: Upgrade",
            b"upgrade: websocket",
        ]
    )


@pytest.mark.parametrize("where", ["legacy", "extracted"])
async def test_bytes_go_both_ways_as_they_are_to_either_upstream(stage: Open, where: str) -> None:
    all_ = await stage(stage=where)

    async with joined(all_) as me:
        await me.send(FRAMES)

        assert await me.reader.readexactly(len(FRAMES)) == FRAMES
    assert len((all_.legacy if where == "legacy" else all_.assistant).asked) == 1


async def test_what_either_side_says_early_is_not_lost(stage: Open) -> None:
    async def eager(talk: Talk) -> None:
        await talk.request()
        await talk.send(AGREED + b"first")
        await talk.send(await talk.reader.readexactly(9))
        await talk.ended()

    all_ = await stage(eager)

    async with caller(all_.router.port) as me:
        await me.send(OFFER + b"too ")
        await me.send(b"early")
        await agreement(me)

        assert await me.reader.readexactly(14) == b"firsttoo early"


async def test_the_upstreams_end_is_the_callers_end_after_everything_was_said(stage: Open) -> None:
    async def leaving(talk: Talk) -> None:
        await talk.request()
        await talk.send(AGREED + FRAMES * 1000)

    all_ = await stage(leaving)

    async with joined(all_) as me:
        assert await me.ended() == FRAMES * 1000
    await until(lambda: not all_.router.state.tasks)


async def test_the_callers_end_is_the_upstreams_end(stage: Open) -> None:
    all_ = await stage()

    async with joined(all_) as me:
        await until(lambda: all_.assistant.open)
        me.leave()

        await until(lambda: not all_.assistant.open)
    await until(lambda: not all_.router.state.tasks and not all_.router.state.connections)


async def test_a_caller_who_leaves_before_the_upstream_agrees_ends_the_asking(stage: Open) -> None:
    async def silent(talk: Talk) -> None:
        await talk.request()
        await talk.ended()

    all_ = await stage(silent)

    async with caller(all_.router.port) as me:
        await me.send(OFFER)
        await until(lambda: all_.assistant.asked)
        me.leave()

        await until(lambda: not all_.assistant.open)


async def test_a_caller_who_reads_nothing_makes_the_upstream_wait(stage: Open) -> None:
    sent = 0

    async def flood(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.send(AGREED)
        while True:
            await talk.send(bytes(65_536))
            sent += 65_536

    all_ = await stage(flood)

    async with caller(all_.router.port, limit=1024) as me:
        await me.send(OFFER)
        await until(lambda: sent)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)

        assert sent < 30_000_000  # the kernel's buffers and a little; not what a second could carry
        me.leave()


async def test_an_upstream_that_declines_is_an_ordinary_answer(stage: Open) -> None:
    all_ = await stage(always(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))

    async with caller(all_.router.port) as me:
        got = await me.ask(OFFER)

    assert (got.status, got.body) == (403, b"no")


async def test_an_upstream_that_changes_to_something_else_is_a_502(stage: Open) -> None:
    all_ = await stage(always(AGREED.replace(b"Upgrade: websocket", b"Upgrade: h2c")))

    async with caller(all_.router.port) as me:
        got = await me.ask(OFFER)

    assert (got.status, json.loads(got.body)["code"]) == (502, "upstream_malformed")


async def test_an_agreement_that_does_not_say_so_in_connection_is_a_502(stage: Open) -> None:
    """Its caller would have to fail it (RFC 6455 §4.1), and what comes right behind it would be lost."""
    it = await stage(once(AGREED.replace(b"Connection: Upgrade\r\n", b"") + b"\x81\x02hi"))

    answer = await it.router.ask(OFFER)

    assert answer.status == 502


async def test_an_offer_that_says_it_has_no_body_is_one(stage: Open) -> None:
    it = await stage()
    async with caller(it.router.port) as me:
        await me.send(OFFER.replace(b"Upgrade: websocket\r\n", b"Upgrade: websocket\r\nContent-Length: 0\r\n"))

        assert (await me.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def test_silence_both_ways_ends_it(stage: Open) -> None:
    all_ = await stage(idle=0.1)

    async with joined(all_) as me:
        assert await me.ended() == b""
    await until(lambda: not all_.assistant.open)


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"https://shop.example.evil.example", b""])
async def test_a_page_of_another_site_is_refused_before_anybody_is_asked(stage: Open, origin: bytes) -> None:
    """A browser sends the visitor's cookies with any WebSocket that any page opens."""
    all_ = await stage()

    async with caller(all_.router.port) as me:
        got = await me.ask(OFFER.replace(b"Cookie:", b"Origin: %b\r\nCookie:" % origin))

    assert (got.status, json.loads(got.body)["code"]) == (403, "foreign_origin")
    assert all_.legacy.connections == all_.assistant.connections == 0


async def test_a_page_of_the_same_site_is_let_through(stage: Open) -> None:
    all_ = await stage()

    async with caller(all_.router.port) as me:
        await me.send(OFFER.replace(b"Cookie:", b"Origin: https://Shop.example\r\nCookie:"))

        await agreement(me)


async def test_legacy_judges_origins_itself(stage: Open) -> None:
    all_ = await stage(stage="legacy")

    async with caller(all_.router.port) as me:
        await me.send(OFFER.replace(b"Cookie:", b"Origin: https://evil.example\r\nCookie:"))

        await agreement(me)


@pytest.mark.parametrize(
    "request_",
    [
        OFFER.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nab"),
        OFFER.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nab"),
        OFFER.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        OFFER.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_what_is_no_websocket_is_an_ordinary_request(stage: Open, request_: bytes) -> None:
    all_ = await stage(always(OK))

    async with caller(all_.router.port) as me:
        got = await me.ask(request_)

    assert got.status == 200
    assert all_.assistant.asked[0].values(b"upgrade") == []


async def test_a_reload_leaves_open_ones_alone(stage: Open) -> None:
    all_ = await stage()

    async with joined(all_) as me:
        before = all_.router.live
        all_.file.write_text(all_.file.read_text().replace('"extracted"', '"legacy"').replace("= 60", "= 61"))
        await until(lambda: all_.router.live is not before)
        await me.send(FRAMES)

        assert await me.reader.readexactly(len(FRAMES)) == FRAMES


async def test_one_side_that_never_reads_the_rest_does_not_hold_the_connection(
    stage: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.2)

    async def flooding(talk: Talk) -> None:
        await talk.request()
        await talk.send(AGREED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    await talk.send(bytes(65_536))

    all_ = await stage(flooding, idle=0.2)  # while nothing can be written on, the upstream's end goes unread

    async with caller(all_.router.port, limit=1024) as me:
        await me.send(OFFER)
        await until(lambda: all_.assistant.connections)

        await until(lambda: not all_.assistant.open and not all_.router.state.tasks)
