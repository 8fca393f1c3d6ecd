"""A copy is the same request, sent to the other upstream after the caller has their answer, and marked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .shadowing import QUIET, both, settled
from .wire import OK, Talk, always, caller, until

pytestmark = pytest.mark.anyio

GET = b"GET /a?b=%2F HTTP/1.1\r\nHost: h\r\nCookie: sessionid=s\r\nX-Odd: \xe9\r\nX-Odd: 2\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
PRIMARY, SHADOW = b"strangler.role=primary", b"strangler.role=shadow"
REVERSE = f'stage = "reverse"\n{QUIET}'
SPLIT = f'stage = "split"\nsplit = {{ percent = 50, by = "header:X-Caller" }}\n{QUIET}'


async def test_a_copy_is_the_same_request_byte_for_byte(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        answer = await all_.router.ask(GET)
        await settled(all_)

    (original,), (copy,) = all_.legacy.asked, all_.service.asked
    ours = (b"baggage", b"traceparent")
    assert (answer.status, answer.body) == (200, b"ok")
    assert copy.line == original.line == b"GET /a?b=%2F HTTP/1.1"
    assert [each for each in copy.headers if each[0] not in ours] == [
        each for each in original.headers if each[0] not in ours
    ]
    assert (all_.counts.offered, all_.counts.sent, all_.counts.failed) == (1, 1, 0)


@pytest.mark.parametrize("request_", [POST, CHUNKED])
async def test_a_copy_has_the_body_with_its_length(tmp_path: Path, request_: bytes) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(request_)
        await settled(all_)

    (copy,) = all_.service.asked
    assert (copy.body, copy.values(b"content-length"), copy.values(b"transfer-encoding")) == (b"abc", [b"3"], [])


async def test_both_are_marked_and_share_the_exchanges_id(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(GET)
        await settled(all_)

    (original,), (copy,) = all_.legacy.asked, all_.service.asked
    first, second = original.values(b"traceparent")[0].split(b"-"), copy.values(b"traceparent")[0].split(b"-")
    assert (original.values(b"baggage"), copy.values(b"baggage")) == ([PRIMARY], [SHADOW])
    assert first[1] == second[1]
    assert first[2] != second[2]
    assert first[3] == second[3]


async def test_what_is_not_copied_is_not_marked(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), route='stage = "shadow"\nshadow = { percent = 0 }') as all_:
        await all_.router.ask(GET)

    assert all_.legacy.asked[0].values(b"baggage") == []
    assert all_.service.asked == []


@pytest.mark.parametrize("name", [b"Baggage", b"baggage", b"BAGGAGE"])
@pytest.mark.parametrize("mark", [SHADOW, PRIMARY, b"a=1, " + SHADOW])
async def test_a_caller_cannot_forge_a_mark(tmp_path: Path, name: bytes, mark: bytes) -> None:
    forged = b"GET / HTTP/1.1\r\nHost: h\r\n%b: %b\r\nTracestate: x=1\r\nTrace_state: x=1\r\n\r\n" % (name, mark)
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(forged)
        await settled(all_)

    for asked, role in ((all_.legacy.asked[0], PRIMARY), (all_.service.asked[0], SHADOW)):
        assert asked.values(b"baggage") == [role]
        assert asked.values(b"tracestate") == []


async def test_a_copy_goes_out_only_after_the_caller_has_the_last_byte(tmp_path: Path) -> None:
    last = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await last.wait()
        await talk.send(b"k")

    async with both(tmp_path, slow, always(OK)) as all_, caller(all_.router.port) as me:
        await me.send(GET)
        await me.head()
        await me.piece()
        assert all_.service.connections == 0
        last.set()
        await me.piece()
        await settled(all_)

    assert len(all_.service.asked) == 1


async def test_what_a_copy_is_answered_never_reaches_the_caller(tmp_path: Path) -> None:
    cookie = b"HTTP/1.1 500 Oh\r\nset-cookie: sessionid=new\r\ncontent-length: 3\r\n\r\nbad"
    async with both(tmp_path, always(OK), always(cookie)) as all_, caller(all_.router.port) as me:
        answers = [await me.ask(GET) for _ in range(3)]
        await settled(all_)

    assert [(each.status, each.body, each.values(b"set-cookie")) for each in answers] == [(200, b"ok", [])] * 3


async def test_in_reverse_the_copy_goes_to_legacy_with_the_callers_cookies(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), route=REVERSE) as all_:
        await all_.router.ask(GET)
        await settled(all_)

    (copy,), (original,) = all_.legacy.asked, all_.service.asked
    assert (original.values(b"baggage"), copy.values(b"baggage")) == ([PRIMARY], [SHADOW])
    assert copy.values(b"cookie") == [b"sessionid=s"]


async def test_in_a_split_only_what_legacy_answered_is_copied(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), route=SPLIT) as all_:
        for number in range(20):
            await all_.router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX-Caller: %d\r\n\r\n" % number)
        await settled(all_)

    by_legacy = len(all_.legacy.asked)
    copies = [each for each in all_.service.asked if each.values(b"baggage") == [SHADOW]]
    assert 0 < by_legacy < 20
    assert len(copies) == by_legacy == all_.counts.offered
    assert len(all_.service.asked) == 20


async def test_a_head_request_is_copied_as_one(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK[:-2]), always(OK[:-2])) as all_:
        await all_.router.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        await settled(all_)

    assert all_.service.asked[0].line == b"HEAD / HTTP/1.1"
    assert all_.counts.failed == 0


async def test_an_expectation_is_answered_here_and_not_copied(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n", 1))
        await settled(all_)

    assert all_.service.asked[0].values(b"expect") == []
    assert all_.service.asked[0].body == b"abc"


async def test_a_reload_swaps_the_settings_and_a_request_keeps_those_it_began_with(tmp_path: Path) -> None:
    last = asyncio.Event()

    async def slow(talk: Talk) -> None:
        while await talk.request() is not None:
            await last.wait()
            await talk.send(OK)

    async with both(tmp_path, slow, always(OK)) as all_, caller(all_.router.port) as me:
        file = tmp_path / "routes.toml"
        before = all_.router.live
        await me.send(GET)
        await until(lambda: all_.legacy.asked)
        file.write_text(file.read_text().replace('"none",', '"none", percent = 0,'))
        await until(lambda: all_.router.live is not before)
        last.set()
        await me.answer()
        await settled(all_)
        await all_.router.ask(GET)

        assert (all_.counts.offered, all_.counts.sent) == (1, 1)
        assert len(all_.links) == 1


async def test_without_a_route_that_copies_there_is_no_shadow_process(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), route=f'stage = "legacy"\n{QUIET}') as all_:
        await all_.router.ask(GET)
        assert all_.links == []

        file = tmp_path / "routes.toml"
        file.write_text(file.read_text().replace('"legacy"', '"shadow"'))
        await until(lambda: all_.links)
        await all_.router.ask(GET)
        await settled(all_)

    assert all_.counts.sent == 1
