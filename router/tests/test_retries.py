"""A failed connection is tried once more, and retries have a budget: a dead upstream is not asked twice as often."""

from __future__ import annotations

import pytest

from ..config import Upstream as Settings
from ..errors import ConnectFailed
from ..upstream import Connection, Pool
from ..upstream.pool import RETRY_FLOOR
from .conftest import Backend
from .test_pool import GET, POST, dying_after_the_first, exchange, pool_of
from .wire import OK, always, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Backend:
    return "asyncio", {"use_uvloop": True}


class Refusing(Pool):
    """Of which the first connections are refused."""

    refusals = 0
    tries = 0

    async def _stands(self, connect_seconds: float) -> Connection:
        self.tries += 1
        if self.tries <= self.refusals:
            raise ConnectFailed("refused")
        return await super()._stands(connect_seconds)


async def test_a_connection_that_failed_is_tried_once_more_whatever_the_method() -> None:
    async with pool_of(always(OK)) as (_, server):
        for request in (GET, POST):
            pool = Refusing(Settings(url=server.url))
            pool.refusals = 1

            assert await exchange(pool, request) == b"ok"

            assert (pool.tries, pool.state().retried) == (2, 1)
            pool.close()


async def test_it_is_not_tried_a_third_time() -> None:
    async with pool_of(always(OK)) as (_, server):
        pool = Refusing(Settings(url=server.url))
        pool.refusals = 9

        with pytest.raises(ConnectFailed):
            await exchange(pool)

        assert pool.tries == 2
        pool.close()


async def test_a_dead_upstream_is_asked_a_fifth_more_often_than_a_live_one_beside_the_first_few() -> None:
    pool = Refusing(Settings(url="http://127.0.0.1:9", retries=0.2))
    pool.refusals = 10_000

    for _ in range(200):
        with pytest.raises(ConnectFailed):
            await pool.connect(POST)

    assert pool.tries == 200 + RETRY_FLOOR + 40
    pool.close()


async def test_the_budget_comes_back_when_the_window_has_passed() -> None:
    pool = Refusing(Settings(url="http://127.0.0.1:9", retries=0))
    pool.refusals = 10_000
    for _ in range(RETRY_FLOOR + 5):
        with pytest.raises(ConnectFailed):
            await pool.connect(GET)
    assert pool.state().retried == RETRY_FLOOR

    for _ in range(len(pool._window), (pool._window.maxlen or 0) + 1):
        pool._sweep()
    with pytest.raises(ConnectFailed):
        await pool.connect(GET)

    assert pool.state().retried == RETRY_FLOOR + 1
    pool.close()


async def test_a_kept_connection_that_died_is_not_replaced_beyond_the_budget() -> None:
    async with pool_of(dying_after_the_first(OK), retries=0) as (pool, server):
        pool._retried = RETRY_FLOOR
        await exchange(pool)

        with pytest.raises(Exception, match="ended before"):
            await exchange(pool)

        assert len(server.asked) == 2
        await until(lambda: not pool._busy)
