"""Calls that find no free connection wait in a short queue, or are told to come back."""

import asyncio

import pytest

from extracted_service.errors import Busy
from extracted_service.places import Places

pytestmark = pytest.mark.anyio


async def held(places: Places, until: asyncio.Event) -> None:
    async with places.taken():
        await until.wait()


async def queued(places: Places) -> None:
    for _ in range(10):
        if places.waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody waits")


async def test_who_finds_the_queue_full_is_told_at_once() -> None:
    places, end = Places(1, most_waiting=1, longest_wait_seconds=60), asyncio.Event()
    async with asyncio.TaskGroup() as calls:
        calls.create_task(held(places, end))
        waiting = calls.create_task(held(places, end))
        await queued(places)

        with pytest.raises(Busy) as busy:
            await held(places, end)

        assert busy.value.headers() == {"Retry-After": "5"}
        assert not waiting.done()
        end.set()


async def test_who_waits_too_long_is_told_so_and_leaves_the_queue() -> None:
    places, end = Places(1, most_waiting=1, longest_wait_seconds=0.01), asyncio.Event()
    async with asyncio.TaskGroup() as calls:
        calls.create_task(held(places, end))
        await asyncio.sleep(0)

        with pytest.raises(Busy):
            await held(places, end)

        assert places.waiting == 0
        end.set()


async def test_a_place_is_free_again_however_its_call_ended() -> None:
    places = Places(1, most_waiting=0, longest_wait_seconds=60)
    with pytest.raises(ZeroDivisionError):
        async with places.taken():
            raise ZeroDivisionError
    leaving = asyncio.create_task(held(places, asyncio.Event()))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    async with places.taken():
        pass


async def test_who_leaves_the_queue_takes_no_place_with_them() -> None:
    places, end = Places(1, most_waiting=1, longest_wait_seconds=60), asyncio.Event()
    holding = asyncio.create_task(held(places, end))
    waiting = asyncio.create_task(held(places, end))
    await queued(places)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    end.set()
    await holding

    async with places.taken():
        assert places.waiting == 0
