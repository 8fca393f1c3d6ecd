"""How long a request may take, by upstream and by route; the route's word counts."""

from __future__ import annotations

import asyncio
import json

import pytest

from ..limits import Deadlines, OwnDeadlines
from .conftest import Front
from .wire import OK, Talk, always, caller, once, until, upstream

pytestmark = pytest.mark.anyio

GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
OFFER = (
    b"GET /r HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ROUTE = '[[routes]]\nname = "r"\npath = "/r"\nstage = "{stage}"\n{rest}\n[upstreams.new]\nurl = "{url}"\n'


async def silent(talk: Talk) -> None:
    await talk.ended()


async def endless(talk: Talk) -> None:
    await talk.request()
    await talk.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await talk.send(b"1\r\nx\r\n")
        await asyncio.sleep(0.02)


def test_a_route_takes_the_upstreams_deadlines_where_it_has_none_of_its_own() -> None:
    own, upstreams = OwnDeadlines(None, 2, None, 4), Deadlines(10, 20, 30, float("inf"))

    assert own.over(upstreams) == Deadlines(10, 2, 30, 4)


async def test_an_answer_that_never_ends_is_cut_at_the_total_deadline(front: Front) -> None:
    router, legacy = await front(endless, settings="total_seconds = 0.6")

    answer = await router.ask(GET)

    assert (answer.status, answer.is_cut) == (200, True)
    await until(lambda: not legacy.open)


async def test_an_answer_that_has_not_begun_by_the_total_deadline_is_a_504(front: Front) -> None:
    router, _ = await front(silent, settings="total_seconds = 0.1")

    answer = await router.ask(GET)

    assert (answer.status, json.loads(answer.body)["code"]) == (504, "upstream_timeout")


async def test_the_total_deadline_of_one_exchange_is_not_the_next_ones(front: Front) -> None:
    router, legacy = await front(always(OK), settings="total_seconds = 1\nkeep_seconds = 60")
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with caller(router.port) as me:
        while loop.time() < began + 1.6:
            assert (await me.ask(GET)).status == 200
            await asyncio.sleep(0.05)

    assert legacy.connections == 1


@pytest.mark.parametrize(
    ("script", "own", "status"),
    [
        (silent, "first_byte_seconds = 0.1", 504),
        (silent, "total_seconds = 0.1", 504),
        (endless, "total_seconds = 0.6", 200),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["legacy", "extracted"])
async def test_a_routes_own_deadline_counts_whoever_answers(
    front: Front, script: object, own: str, status: int, stage: str
) -> None:
    async with upstream(script) as new:  # type: ignore[arg-type]
        router, _ = await front(script, rest=ROUTE.format(stage=stage, rest=own, url=new.url))

        answer = await router.ask(GET)

    assert (answer.status, answer.is_cut) == (status, status == 200)


async def test_a_routes_own_idle_deadline_cuts_its_answers_only(front: Front) -> None:
    pause = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha"

    async def pausing(talk: Talk) -> None:
        await talk.request()
        await talk.send(pause)
        await asyncio.sleep(1)
        await talk.send(b"lf")

    async with upstream(once(OK)) as new:
        router, _ = await front(pausing, rest=ROUTE.format(stage="legacy", rest="idle_seconds = 0.1", url=new.url))

        cut, whole = await asyncio.gather(router.ask(GET), router.ask(GET.replace(b"/r", b"/other")))

    assert cut.is_cut
    assert whole.body == b"half"


async def test_a_websocket_outlives_the_total_deadline(front: Front) -> None:
    async def echo(talk: Talk) -> None:
        await talk.request()
        await talk.send(SWITCH)
        while data := await talk.reader.read(100):
            await talk.send(data)

    router, _ = await front(echo, settings="total_seconds = 0.1")
    loop = asyncio.get_running_loop()
    async with caller(router.port) as me:
        await me.send(OFFER)
        await asyncio.wait_for(me.reader.readuntil(b"\r\n\r\n"), 5)
        until_seconds = loop.time() + 0.8
        while loop.time() < until_seconds:
            await me.send(b"ping")
            assert await asyncio.wait_for(me.reader.readexactly(4), 5) == b"ping"
            await asyncio.sleep(0.05)
