"""After hundreds of requests with every kind of fault nothing is left: no task, no connection, no descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
from pathlib import Path

import pytest

from .conftest import Backend, Front
from .wire import OK, Talk, caller, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="open descriptors are counted in /proc"),
]

REQUESTS = 400
ANSWERS = [
    OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
]
FAULTS = [
    b"",
    b"HTTP/1.1 2",
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 600_000,
]
ASKED = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\nhalf of it",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    b"GET / HT",
    b"nonsense\r\n\r\n",
]


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_hundreds_of_requests_with_faults_leave_nothing_behind(front: Front) -> None:
    chance = random.Random(11)

    async def script(talk: Talk) -> None:
        while await talk.head() is not None:
            match chance.randrange(5):
                case 0:
                    await talk.send(chance.choice(FAULTS))
                    return
                case 1:
                    talk.reset()
                    return
                case 2:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02 + chance.random() / 2):
                            await talk.ended()
                    return
                case _:
                    await talk.send(chance.choice(ANSWERS))

    async def visit(number: int) -> None:
        await asyncio.sleep(number % 40 / 40)
        with contextlib.suppress(Exception):
            async with caller(router.port) as me:
                for _ in range(chance.randrange(1, 4)):
                    await me.send(chance.choice(ASKED))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(chance.choice([0.001, 0.05, 0.4])):
                            await me.answer()

    router, legacy = await front(
        script, settings="first_byte_seconds = 0.3\nidle_seconds = 0.3\nkeep_seconds = 0.2\nconnections = 50"
    )
    pool = router.live.pools["legacy"]
    tasks, before = asyncio.all_tasks(), descriptors()

    await asyncio.gather(*(visit(number) for number in range(REQUESTS)))

    await until(lambda: not router.state.tasks)
    await until(lambda: not router.state.connections)
    await until(lambda: not pool._busy and not pool._idle and not pool._opening)
    await until(lambda: not legacy.open)
    await until(lambda: asyncio.all_tasks() <= tasks)
    await until(lambda: descriptors() <= before)
