"""Many waits share one timer, and each of them ends in time all the same."""

import asyncio
from contextlib import closing

import pytest

from extracted_service.patience import Patience

pytestmark = pytest.mark.anyio


async def test_a_wait_that_takes_too_long_ends_in_a_timeout() -> None:
    with closing(Patience()) as patience, pytest.raises(TimeoutError), patience.seconds(0.01):
        await asyncio.Event().wait()


async def test_waits_that_end_in_time_are_not_disturbed_by_a_timer_that_rings_meanwhile() -> None:
    with closing(Patience()) as patience:
        for _ in range(3):
            with patience.seconds(0.01):
                pass
            with patience.seconds(60):
                await asyncio.sleep(0.02)


async def test_a_wait_is_bounded_though_the_timer_of_those_before_has_rung() -> None:
    now = asyncio.get_running_loop().time
    with closing(Patience()) as patience:
        with patience.seconds(0.01):
            pass
        await asyncio.sleep(0.02)
        begun = now()
        with pytest.raises(TimeoutError), patience.seconds(0.01):
            await asyncio.Event().wait()

    assert now() - begun < 30


async def test_an_end_that_is_sooner_than_the_one_before_is_kept() -> None:
    with closing(Patience()) as patience:
        with patience.seconds(60):
            pass
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError), patience.seconds(0.01):
                await asyncio.Event().wait()


async def test_an_end_that_is_past_is_a_timeout_at_the_first_wait() -> None:
    with closing(Patience()) as patience, pytest.raises(TimeoutError), patience.seconds(-1):
        await asyncio.Event().wait()


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    waiting = asyncio.Event()

    async def wait() -> None:
        with closing(Patience()) as patience, patience.seconds(60):
            waiting.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await waiting.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_is_late_and_cancelled_at_once_is_cancelled() -> None:
    async def wait() -> None:
        task = asyncio.current_task()
        assert task
        with closing(Patience()) as patience, patience.seconds(0):
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(wait())


async def test_another_failure_inside_a_late_wait_is_that_failure() -> None:
    async def fail_when_late(patience: Patience) -> None:
        with patience.seconds(0.01):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("mine") from None

    with closing(Patience()) as patience, pytest.raises(ValueError, match="mine"):
        await fail_when_late(patience)

    task = asyncio.current_task()
    assert task
    assert not task.cancelling()


async def test_the_next_task_may_wait_with_the_same_patience() -> None:
    with closing(Patience()) as patience:

        async def wait() -> None:
            with pytest.raises(TimeoutError), patience.seconds(0.01):
                await asyncio.Event().wait()

        await asyncio.create_task(wait())
        await asyncio.create_task(wait())
