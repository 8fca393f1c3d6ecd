"""Which connections are kept, how many there may be, and what is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..config import Upstream as Settings
from ..errors import AnswerCut, AnswerTimeout, Busy, ConnectFailed, ConnectTimeout
from ..upstream import Pool, Request
from .conftest import Backend
from .wire import OK, Script, Talk, Upstream, always, once, until, upstream

pytestmark = pytest.mark.anyio

GET = Request(b"GET / HTTP/1.1\r\n\r\n", is_head=False, is_replayable=True)
POST = Request(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", is_head=False, is_replayable=False)
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


@contextlib.asynccontextmanager
async def pool_of(script: Script, **settings: Any) -> AsyncIterator[tuple[Pool, Upstream]]:
    async with upstream(script) as server:
        pool = Pool(Settings(url=server.url, **settings))
        yield pool, server
        pool.close()


async def exchange(pool: Pool, request: Request = GET) -> bytes:
    connection = await pool.answered(await pool.connect(request), request)
    try:
        body = b""
        while piece := await connection.read():
            body += piece
        return body
    finally:
        pool.give_back(connection)


async def test_one_exchange_after_another_takes_one_connection() -> None:
    async with pool_of(always(OK)) as (pool, server):
        for _ in range(5):
            assert await exchange(pool) == b"ok"

        assert server.connections == 1


async def test_exchanges_at_the_same_time_take_a_connection_each() -> None:
    async with pool_of(always(OK)) as (pool, server):
        await asyncio.gather(*(exchange(pool) for _ in range(5)))

        assert server.connections == 5
        assert len(pool._idle) == 5


async def test_a_safe_request_on_a_connection_that_died_while_it_was_kept_is_sent_once_more() -> None:
    async with pool_of(dying_after_the_first(OK)) as (pool, server):
        await exchange(pool)

        assert await exchange(pool) == b"ok"

        assert server.connections == 2
        assert len(server.asked) == 3


async def test_an_unsafe_request_is_never_sent_twice() -> None:
    async with pool_of(dying_after_the_first(OK)) as (pool, server):
        await exchange(pool)

        with pytest.raises(AnswerCut):
            await exchange(pool, POST)

        assert len(server.asked) == 2


async def test_a_safe_request_on_a_new_connection_is_sent_only_once() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()

    async with pool_of(script) as (pool, server):
        with pytest.raises(AnswerCut):
            await exchange(pool)

        assert len(server.asked) == 1


async def test_a_safe_request_is_not_sent_again_once_the_answer_has_begun() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK)
        await talk.request()
        await talk.send(b"HTTP/1.1 200")

    async with pool_of(script) as (pool, server):
        await exchange(pool)

        with pytest.raises(AnswerCut):
            await exchange(pool)

        assert len(server.asked) == 2


async def test_a_connection_that_the_upstream_closes_while_it_is_kept_is_not_used() -> None:
    async with pool_of(once(OK)) as (pool, server):
        await exchange(pool)
        await until(lambda: not pool._idle[0].is_open)

        assert await exchange(pool, POST) == b"ok"
        assert server.connections == 2


async def test_an_old_connection_is_closed() -> None:
    async with pool_of(always(OK), keep_seconds=0.1) as (pool, server):
        await exchange(pool)

        await until(lambda: not server.open)

        assert not pool._idle


async def test_a_connection_is_not_used_after_its_time_even_if_it_still_stands() -> None:
    async with pool_of(always(OK), keep_seconds=0) as (pool, server):
        await exchange(pool)
        await exchange(pool)

        assert server.connections == 2


async def test_above_the_limit_a_request_is_refused_at_once_if_none_may_wait() -> None:
    async with pool_of(always(OK), connections=2, waiting=0) as (pool, _):
        held = [await pool.connect(GET) for _ in range(2)]

        with pytest.raises(Busy):
            await pool.connect(GET)

        pool.give_back(await pool.answered(held[0], GET))
        await exchange(pool)
        pool.give_back(held[1])


async def test_connections_that_are_being_opened_count() -> None:
    async with pool_of(always(OK), connections=2, waiting=0) as (pool, _):
        outcomes = await asyncio.gather(*(exchange(pool) for _ in range(5)), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes].count(Busy) == 3
        assert pool._opening == 0


async def test_nobody_listening_is_a_failed_connection() -> None:
    async with upstream(always(OK)) as server:
        pass
    pool = Pool(Settings(url=server.url))

    with pytest.raises(ConnectFailed):
        await pool.connect(GET)

    pool.close()


async def test_nobody_accepting_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        pool = Pool(Settings(url=f"http://127.0.0.1:{full.getsockname()[1]}", connect_seconds=0.1))

        with pytest.raises(ConnectTimeout):
            await pool.connect(GET)

        assert pool._opening == 0
        pool.close()


async def test_a_name_that_nobody_knows_is_a_failed_connection() -> None:
    pool = Pool(Settings(url=f"http://{'a' * 64}.invalid:80"))

    with pytest.raises(ConnectFailed):
        await pool.connect(GET)

    pool.close()


async def test_an_answer_that_does_not_begin_in_time_fails() -> None:
    async with pool_of(silent, first_byte_seconds=0.1) as (pool, server):
        with pytest.raises(AnswerTimeout):
            await exchange(pool)

        await until(lambda: not server.open)
        assert not pool._busy


async def test_an_answer_that_pauses_for_too_long_fails() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await silent(talk)

    async with pool_of(script, idle_seconds=0.1) as (pool, _):
        with pytest.raises(AnswerTimeout):
            await exchange(pool)


async def test_an_answer_that_never_pauses_for_long_may_take_long() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n")
        for _ in range(13):
            await asyncio.sleep(0.1)
            await talk.send(b"a")

    async with pool_of(script, idle_seconds=1, first_byte_seconds=1) as (pool, _):
        assert await exchange(pool) == b"a" * 13


async def test_giving_a_connection_back_twice_keeps_it_once() -> None:
    async with pool_of(always(NOTHING)) as (pool, _):
        connection = await pool.answered(await pool.connect(GET), GET)

        pool.give_back(connection)
        pool.give_back(connection)

        assert list(pool._idle) == [connection]
        assert connection.is_open


async def test_a_caller_who_leaves_as_the_answer_comes_does_not_share_the_connection_with_the_next_two() -> None:
    async with pool_of(always(NOTHING)) as (pool, _):

        async def leave_at_the_last_moment() -> None:
            connection = await pool.connect(GET)
            task = asyncio.current_task()
            assert task is not None
            woken = connection._wake

            def wake_and_leave() -> None:
                woken()
                task.cancel()

            connection._wake = wake_and_leave  # type: ignore[method-assign]
            try:
                await pool.answered(connection, GET)
            finally:
                del connection._wake
                pool.give_back(connection)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(leave_at_the_last_moment())
        first, second = await pool.connect(GET), await pool.connect(GET)

        assert first is not second
        pool.give_back(first)
        pool.give_back(second)


async def test_closing_lets_exchanges_finish_and_keeps_nothing() -> None:
    async with pool_of(always(OK)) as (pool, server):
        await exchange(pool)
        connection = await pool.connect(GET)

        pool.close()

        await pool.answered(connection, GET)
        assert await connection.read() == b"ok"
        pool.give_back(connection)
        await until(lambda: not server.open)


async def test_a_closed_pool_still_keeps_the_deadlines_of_requests_that_come_late() -> None:
    async with pool_of(silent, first_byte_seconds=0.1) as (pool, _):
        pool.close()
        await until(lambda: pool._sweeper is None)

        with pytest.raises(AnswerTimeout):
            await asyncio.wait_for(exchange(pool), 5)


def dying_after_the_first(answer: bytes) -> Script:
    """Answers a connection's first request and closes when the second is there; later connections live on."""
    connections = 0

    async def script(talk: Talk) -> None:
        nonlocal connections
        connections += 1
        dies = connections == 1
        await talk.request()
        await talk.send(answer)
        while await talk.request() is not None and not dies:
            await talk.send(answer)

    return script


async def silent(talk: Talk) -> None:
    await talk.ended()
