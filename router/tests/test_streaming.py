"""Answers and uploads pass as they come, at the pace of the slower side, and end when either side leaves."""

from __future__ import annotations

import asyncio

import pytest

from ..upstream import Connection
from .conftest import Backend, Front
from .serving import Serving
from .wire import OK, SECONDS, Talk, always, caller, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1_048_576


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_the_first_event_is_out_while_the_second_does_not_exist_yet(front: Front) -> None:
    has_first = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENTS + chunk(b"data: 1\n\n"))
        await has_first.wait()
        await talk.send(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    router, _ = await front(script)
    async with caller(router.port) as me:
        await me.send(GET)

        answer = await me.head()
        first = await me.piece()
        has_first.set()
        second = await me.piece()

        assert answer.values(b"content-type") == [b"text/event-stream"]
        assert (first, second, await me.piece()) == (b"data: 1\n\n", b"data: 2\n\n", b"")


async def test_the_head_is_out_while_the_body_does_not_exist_yet(front: Front) -> None:
    has_head = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await has_head.wait()
        await talk.send(b"ok")

    router, _ = await front(script)
    async with caller(router.port) as me:
        await me.send(GET)

        assert (await me.head()).status == 200
        has_head.set()

        assert await me.piece() == b"ok"


@pytest.mark.parametrize("shape", ["length", "chunked", "close"])
async def test_a_slow_caller_gets_all_of_a_long_answer(front: Front, shape: str) -> None:
    body = bytes(range(256)) * 4096 * 8

    async def script(talk: Talk) -> None:
        await talk.request()
        if shape == "length":
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        elif shape == "chunked":
            pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
            await talk.send(EVENTS + b"".join(map(chunk, pieces)) + b"0\r\n\r\n")
        else:
            await talk.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)

    router, _ = await front(script)
    async with caller(router.port, limit=1024) as me:
        await me.send(GET)
        await until(lambda: me.reader._paused)  # type: ignore[attr-defined]

        answer = await me.answer()

        assert not answer.is_cut
        assert answer.body == body


async def test_a_caller_who_does_not_read_makes_the_upstream_wait(front: Front) -> None:
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await talk.send(b"a" * 65_536)
            sent += 65_536

    router, _ = await front(script)
    async with caller(router.port, limit=1024) as me:
        await me.send(GET)
        connection = await the_busy_one(router)
        await until(lambda: connection._is_paused)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)

        assert connection._buffered < 600_000
        assert sent < 32 * MEGABYTE


async def test_an_upstream_that_does_not_read_makes_the_caller_wait(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await asyncio.Event().wait()

    router, _ = await front(script)
    async with caller(router.port) as me:
        me.writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
        me.writer.write(b"a" * 64 * MEGABYTE)
        connection = await the_busy_one(router)
        await until(lambda: connection._writable is not None)
        before = -1
        while before != (now := me.writer.transport.get_write_buffer_size()):
            before = now
            await asyncio.sleep(0.05)

        assert before > 32 * MEGABYTE


async def test_chunks_of_a_streamed_upload_pass_as_they_come(front: Front) -> None:
    seen: list[bytes] = []
    arrived = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.head()
        while not b"".join(seen).endswith(b"0\r\n\r\n"):
            seen.append(await talk.reader.read(65_536))
            arrived.set()
        await talk.send(OK)

    router, legacy = await front(script, settings='chunked_requests = "stream"')
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"one"))
        await asyncio.wait_for(arrived.wait(), SECONDS)
        assert b"".join(seen) == chunk(b"one")
        await me.send(chunk(b"two") + b"0\r\nX-Trailer: dropped\r\n\r\n")

        answer = await me.answer(b"POST")

    assert answer.status == 200
    assert b"".join(seen) == chunk(b"one") + chunk(b"two") + b"0\r\n\r\n"
    assert legacy.asked[0].values(b"transfer-encoding") == [b"chunked"]
    assert legacy.asked[0].values(b"content-length") == []


async def test_a_long_upload_arrives_whole(front: Front) -> None:
    body = bytes(range(256)) * 4096 * 4
    router, legacy = await front(always(OK))

    answer = await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    assert answer.status == 200
    assert legacy.asked[0].body == body


async def test_an_upload_may_take_longer_than_the_first_byte_may(front: Front) -> None:
    router, legacy = await front(always(OK), settings="first_byte_seconds = 1")
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\n\r\n")
        for _ in range(13):
            await me.send(b"a")
            await asyncio.sleep(0.1)

        answer = await me.answer(b"POST")

    assert answer.status == 200
    assert legacy.asked[0].body == b"a" * 13


async def test_an_upload_that_stalls_is_given_up(front: Front) -> None:
    router, legacy = await front(always(OK), settings="first_byte_seconds = 0.3")
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\na")

        answer = await me.answer(b"POST")

    assert answer.status == 504
    await until(lambda: not legacy.open)


async def test_an_answer_that_comes_before_the_upload_is_over_reaches_the_caller(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
        await talk.ended()

    router, legacy = await front(script)
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)

        answer = await me.answer(b"POST")

        assert (answer.status, answer.body) == (413, b"much")
    await until(lambda: not legacy.open)


async def test_an_early_answer_followed_by_a_reset_reaches_the_caller(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        talk.writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
        # Closing with bytes of the request unread resets the connection.

    router, _ = await front(script)
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 200_000)

        answer = await me.answer(b"POST")

    assert (answer.status, answer.body) == (413, b"much")


@pytest.mark.parametrize("phase", ["before the head", "in the answer", "in the upload"])
async def test_a_caller_who_leaves_ends_the_upstream_request(front: Front, phase: str) -> None:
    has_left, seen = asyncio.Event(), asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.head()
        if phase == "in the answer":
            await talk.send(EVENTS + chunk(b"data: 1\n\n"))
        seen.set()
        await talk.ended()
        has_left.set()

    router, legacy = await front(script)
    async with caller(router.port) as me:
        if phase == "in the upload":
            await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\na")
        else:
            await me.send(GET)
        await asyncio.wait_for(seen.wait(), SECONDS)
        if phase == "in the answer":
            await me.head()
            await me.piece()

        me.leave()

        await asyncio.wait_for(has_left.wait(), SECONDS)
    await until(lambda: not legacy.open)
    await until(lambda: not router.live.pools["legacy"]._busy)
    assert not router.state.tasks


async def the_busy_one(router: Serving) -> Connection:
    """The connection of the one exchange that is under way."""
    busy = router.live.pools["legacy"]._busy
    await until(lambda: busy)
    return next(iter(busy))
