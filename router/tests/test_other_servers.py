"""Behind servers that do not know the router: no target as it was written, no word when a caller leaves."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .conftest import Front
from .serving import Protocol
from .wire import OK, SECONDS, Talk, always, caller, once, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("protocol", [HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"]),
]

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"


async def test_requests_of_all_kinds_pass(front: Front, protocol: Protocol) -> None:
    router, legacy = await front(always(OK), protocol=protocol)
    async with caller(router.port) as me:
        assert (await me.ask(GET)).body == b"ok"
        assert (await me.ask(b"POST /a%2Fb?q=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")).body == b"ok"
        assert (
            await me.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        ).body

    assert [asked.line for asked in legacy.asked] == [
        b"GET / HTTP/1.1",
        b"POST /a%2Fb?q=%20 HTTP/1.1",
        b"PUT / HTTP/1.1",
    ]
    assert [asked.body for asked in legacy.asked] == [b"", b"abc", b"a"]
    assert legacy.connections == 1


async def test_a_long_upload_arrives_whole(front: Front, protocol: Protocol) -> None:
    body = bytes(range(256)) * 8192
    router, legacy = await front(always(OK), protocol=protocol)

    answer = await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    assert answer.status == 200
    assert legacy.asked[0].body == body


@pytest.mark.parametrize("phase", ["before the head", "in the answer", "in the upload"])
async def test_a_caller_who_leaves_ends_the_upstream_request(front: Front, protocol: Protocol, phase: str) -> None:
    seen, has_left = asyncio.Event(), asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.head()
        if phase == "in the answer":
            await talk.send(BEGUN)
        seen.set()
        await talk.ended()
        has_left.set()

    router, _ = await front(script, protocol=protocol)
    async with caller(router.port) as me:
        await me.send(GET if phase != "in the upload" else b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na")
        await asyncio.wait_for(seen.wait(), SECONDS)
        if phase == "in the answer":
            await me.head()
            await me.piece()

        me.leave()

        await asyncio.wait_for(has_left.wait(), SECONDS)
    await until(lambda: not router.state.tasks)
    assert not router.live.pools["legacy"]._busy


async def test_a_failure_within_an_answer_cuts_the_callers_connection(front: Front, protocol: Protocol) -> None:
    router, _ = await front(once(BEGUN), protocol=protocol)

    answer = await router.ask(GET)

    assert (answer.status, answer.body, answer.is_cut) == (200, b"half", True)


async def test_a_failure_before_an_answer_is_a_status(front: Front, protocol: Protocol) -> None:
    router, _ = await front(once(b""), protocol=protocol)

    assert (await router.ask(GET)).status == 502
