"""Requests wait for a connection in order, so many, so long; nothing is left of those who leave."""

from __future__ import annotations

import asyncio
import random

import pytest

from ..errors import AnswerCut, Busy, ConnectFailed
from ..upstream import Connection, Pool
from .conftest import Backend, Front
from .test_pool import GET, POST, exchange, pool_of
from .wire import OK, Talk, always, caller, once, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


def is_empty(pool: Pool) -> bool:
    return not (pool._busy or pool._opening or pool._waiting)


async def test_requests_get_their_connection_in_the_order_in_which_they_came() -> None:
    async with pool_of(always(OK), connections=1) as (pool, server):
        order: list[int] = []

        async def ask(number: int) -> None:
            connection = await pool.connect(GET)
            order.append(number)
            pool.give_back(await pool.answered(connection, GET))

        await asyncio.gather(*(ask(number) for number in range(20)))

        assert order == list(range(20))
        assert len(server.asked) == 20
        assert is_empty(pool)


async def test_a_place_that_becomes_free_goes_to_who_waits_not_to_who_comes() -> None:
    async with pool_of(always(OK), connections=1) as (pool, _):
        held = await pool.answered(await pool.connect(GET), GET)
        await held.read()
        waiting = asyncio.create_task(pool.connect(GET))
        await until(lambda: pool.state().waiting)
        pool.give_back(held)

        late = asyncio.create_task(pool.connect(GET))
        first = await waiting

        assert first is held
        assert not late.done()
        pool.give_back(await pool.answered(first, GET))
        pool.give_back(await late)


async def test_no_more_than_so_many_wait() -> None:
    async with pool_of(always(OK), connections=1, waiting=2) as (pool, _):
        held = await pool.connect(GET)
        waiting = [asyncio.create_task(pool.connect(GET)) for _ in range(2)]
        await until(lambda: pool.state().waiting == 2)

        with pytest.raises(Busy, match="2 requests wait"):
            await pool.connect(GET)

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        pool.give_back(held)
        assert is_empty(pool)


async def test_a_request_that_has_waited_for_too_long_is_refused_and_leaves_nothing() -> None:
    async with pool_of(always(OK), connections=1, wait_seconds=0.1) as (pool, _):
        held = await pool.connect(GET)

        with pytest.raises(Busy, match="in time"):
            await pool.connect(GET)

        assert not pool.state().waiting
        pool.give_back(held)
        assert is_empty(pool)


async def test_who_leaves_stops_waiting_and_the_next_one_moves_up() -> None:
    async with pool_of(always(OK), connections=1) as (pool, _):
        held = await pool.connect(GET)
        leaves = asyncio.create_task(pool.connect(GET))
        stays = asyncio.create_task(pool.connect(GET))
        await until(lambda: pool.state().waiting == 2)

        leaves.cancel()
        await until(leaves.done)
        assert pool.state().waiting == 1
        pool.give_back(held)

        pool.give_back(await stays)
        assert is_empty(pool)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_leaves_as_their_turn_comes_hands_it_on(is_kept: bool) -> None:
    async with pool_of(always(OK), connections=1) as (pool, _):
        held = await pool.connect(GET)
        leaves = asyncio.create_task(pool.connect(GET))
        stays = asyncio.create_task(pool.connect(GET))
        await until(lambda: pool.state().waiting == 2)
        if is_kept:
            await pool.answered(held, GET)
            await held.read()

        pool.give_back(held)
        leaves.cancel()

        pool.give_back(await asyncio.wait_for(stays, 5))
        assert leaves.cancelled()
        assert is_empty(pool)


async def test_who_waits_gets_a_new_connection_when_the_one_before_is_of_no_use() -> None:
    async with pool_of(once(OK), connections=1) as (pool, server):
        bodies = await asyncio.gather(*(exchange(pool) for _ in range(5)))

        assert bodies == [b"ok"] * 5
        assert server.connections == 5
        assert is_empty(pool)


async def test_a_connection_that_cannot_be_opened_frees_its_place() -> None:
    async with pool_of(always(OK), connections=1) as (pool, server):
        held = await pool.connect(POST)
        waiting = [asyncio.create_task(pool.connect(GET)) for _ in range(3)]
        await until(lambda: pool.state().waiting == 3)

        async def refused(connect_seconds: float) -> Connection:
            raise ConnectFailed("refused")

        pool._stands = refused  # type: ignore[method-assign]
        pool.give_back(held)

        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ConnectFailed] * 3
        assert is_empty(pool)
        assert server.connections == 1


async def test_closing_serves_those_who_wait_already() -> None:
    async with pool_of(always(OK), connections=1) as (pool, server):
        held = await pool.answered(await pool.connect(GET), GET)
        waiting = asyncio.create_task(exchange(pool))
        await until(lambda: pool.state().waiting)

        pool.close()
        pool.give_back(held)

        assert await waiting == b"ok"
        await until(lambda: not server.open)


async def test_whatever_happens_there_are_never_more_connections_and_nothing_is_left() -> None:
    chance = random.Random(5)
    most = 0

    async def script(talk: Talk) -> None:
        nonlocal most
        while await talk.request() is not None:
            most = max(most, len(pool._busy) + pool._opening)
            await asyncio.sleep(chance.random() / 100)
            match chance.randrange(4):
                case 0:
                    talk.reset()
                    return
                case 1:
                    await talk.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
                    return
            await talk.send(OK)

    async def ask() -> None:
        await asyncio.sleep(chance.random())
        asking = asyncio.create_task(exchange(pool, chance.choice([GET, POST])))
        await asyncio.wait([asking], timeout=chance.choice([0.002, 0.02, 5]))
        asking.cancel()
        await asyncio.wait([asking])
        if not asking.cancelled():
            assert asking.exception() is None or isinstance(asking.exception(), AnswerCut | Busy | ConnectFailed)

    async with pool_of(script, connections=3, waiting=20, wait_seconds=0.3) as (pool, server):
        await asyncio.gather(*(ask() for _ in range(400)))

        assert 1 < most <= 3
        assert is_empty(pool)
        assert len(pool._idle) <= 3
        await until(lambda: server.open <= 3)


async def test_a_caller_who_leaves_the_router_stops_waiting(front: Front) -> None:
    async def silent(talk: Talk) -> None:
        await talk.ended()

    router, legacy = await front(silent, settings="connections = 1\nwait_seconds = 60")
    pool = router.live.pools["legacy"]
    async with caller(router.port) as first, caller(router.port) as second:
        await first.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: legacy.asked or legacy.open)
        await second.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: pool.state().waiting == 1)

        second.leave()

        await until(lambda: not pool.state().waiting)

    await until(lambda: is_empty(pool))
