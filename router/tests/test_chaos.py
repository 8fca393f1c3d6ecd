"""Whatever an extracted upstream does, callers get a true answer, and what it cost is given back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from .conftest import Front
from .test_leaks import descriptors
from .wire import OK, Answer, Script, Talk, always, caller, once, until, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="open descriptors are counted in /proc"),
]

REQUESTS = 40
GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
ROUTE = """
[upstreams.new]
url = "{url}"
connect_seconds = 0.2
first_byte_seconds = {first_byte}
idle_seconds = 0.2
keep_seconds = 0.2
connections = 10
wait_seconds = 0.5
[[routes]]
name = "r"
path = "/r"
stage = "extracted"
fallback = true
trip = {{ at_least = {at_least}, window_seconds = 2, probe_seconds = 0.2, slow_seconds = 0.3 }}
"""
NEVER = 1_000_000


async def silent(talk: Talk) -> None:
    await talk.ended()


async def reset(talk: Talk) -> None:
    await talk.request()
    talk.reset()


async def reset_at_once(talk: Talk) -> None:
    talk.reset()


async def flooding_head(talk: Talk) -> None:
    await talk.request()
    await talk.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await talk.send(b"x-flood: 0123456789\r\n" * 1000)


async def flooding_body(talk: Talk) -> None:
    await talk.request()
    await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + b"a" * 3_000_000)
    await talk.ended()


HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
BEFORE_THE_FIRST_BYTE: dict[str, Script] = {
    "accepts and says nothing": silent,
    "ends without an answer": once(b""),
    "dies in the head": once(b"HTTP/1.1 200 OK\r\nx-"),
    "resets": reset,
    "resets at once": reset_at_once,
    "answers garbage": once(b"garbage\r\n\r\n"),
    "floods with headers": flooding_head,
}
WITHIN: dict[str, Script] = {
    "dies in the body": once(HALF),
    "dies in the chunks": once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
}


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    async with upstream(always(OK)) as gone:
        pass
    yield gone.url


@contextlib.asynccontextmanager
async def not_accepting() -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@contextlib.asynccontextmanager
async def following(script: Script) -> AsyncIterator[str]:
    async with upstream(script) as server:
        yield server.url


async def storm(
    front: Front, url: str, at_least: int = NEVER, seconds: float = 0.3, first_byte: float = 0.2
) -> list[Answer | None]:
    """Callers of every kind, within so long, some of whom leave; then nothing must be left. The answers of those who
    stayed."""
    chance = random.Random(3)
    router, legacy = await front(
        always(OK), settings="keep_seconds = 0.2", rest=ROUTE.format(url=url, at_least=at_least, first_byte=first_byte)
    )
    tasks, before = asyncio.all_tasks(), descriptors()

    async def visit(number: int) -> Answer | None:
        await asyncio.sleep(seconds * number / REQUESTS)
        async with caller(router.port) as me:
            await me.send(GET if number % 2 else POST)
            if number % 5 == 0:
                await asyncio.sleep(chance.choice([0, 0.01, 0.1]))
                me.leave()
                return None
            return await me.answer()

    answers = await asyncio.gather(*(visit(number) for number in range(REQUESTS)))

    await until(lambda: not router.state.tasks)
    await until(lambda: not router.state.connections)
    for pool in router.live.pools.values():
        await until(lambda pool=pool: not (pool._busy or pool._idle or pool._opening or pool._waiting))  # type: ignore[misc]
    await until(lambda: not legacy.open)
    await until(lambda: asyncio.all_tasks() <= tasks)
    await until(lambda: descriptors() <= before)
    assert router.live.trips["r"]._under_way == 0
    return answers


def split_up(answers: list[Answer | None]) -> tuple[list[Answer], list[Answer]]:
    """Those to GET, and those to POST."""
    reads, writes = answers[1::2], answers[::2]
    return [each for each in reads if each], [each for each in writes if each]


@pytest.mark.parametrize("away", [refusing, not_accepting])
async def test_nobody_notices_an_upstream_that_cannot_be_reached(front: Front, away: object) -> None:
    async with away() as url:  # type: ignore[operator]
        answers = await storm(front, url)

    for group in split_up(answers):
        assert group
        assert {answer.status for answer in group} == {200}


@pytest.mark.parametrize("script", BEFORE_THE_FIRST_BYTE.values(), ids=BEFORE_THE_FIRST_BYTE.keys())
async def test_whoever_reads_does_not_notice_an_upstream_that_fails_before_the_first_byte(
    front: Front, script: Script
) -> None:
    async with following(script) as url:
        reads, writes = split_up(await storm(front, url))

    assert {(answer.status, answer.body) for answer in reads} == {(200, b"ok")}
    assert {answer.status for answer in writes} <= {200, 502, 504}
    assert {answer.status for answer in writes} & {502, 504}


@pytest.mark.parametrize("script", WITHIN.values(), ids=WITHIN.keys())
async def test_nobody_takes_a_half_answer_for_a_whole_one(front: Front, script: Script) -> None:
    async with following(script) as url:
        answers = await storm(front, url, first_byte=60)

    for answer in filter(None, answers):
        assert answer.is_cut


async def test_a_flood_behind_an_answer_reaches_nobody(front: Front) -> None:
    async with following(flooding_body) as url:
        answers = await storm(front, url, first_byte=60)

    assert {(answer.status, answer.body) for answer in answers if answer} == {(200, b"aaaaa")}


@pytest.mark.parametrize("script", [*BEFORE_THE_FIRST_BYTE.values(), *WITHIN.values()])
async def test_a_failing_upstream_trips_and_hardly_anybody_notices_any_more(front: Front, script: Script) -> None:
    async with following(script) as url:
        answers = await storm(front, url, at_least=5, seconds=1.0)

    stayed = [answer for answer in answers if answer]
    assert sum(answer.status == 200 and not answer.is_cut for answer in stayed) > len(stayed) / 2
