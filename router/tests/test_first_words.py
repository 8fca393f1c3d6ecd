"""A head that waits for its body goes out without it: who wants to hear something first gets their answer."""

from __future__ import annotations

import pytest

from .conftest import Front
from .wire import OK, Talk, always, caller, until

pytestmark = pytest.mark.anyio

REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
STREAMS = 'chunked_requests = "stream"'
NOWHERE = """
[upstreams.nowhere]
url = "http://127.0.0.1:1"
[[routes]]
name = "nowhere"
path = "/"
to = "nowhere"
stage = "extracted"
"""
WAITS = {
    "a length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an expectation": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
}


async def refuses_at_the_head(talk: Talk) -> None:
    await talk.head()
    await talk.send(REFUSAL)
    await talk.ended()


@pytest.mark.parametrize("head", WAITS.values(), ids=WAITS)
async def test_a_caller_who_waits_for_an_answer_before_their_body_gets_it(front: Front, head: bytes) -> None:
    router, _ = await front(refuses_at_the_head, settings=STREAMS)

    answer = await router.ask(head)

    assert (answer.status, answer.body) == (401, b"no")


async def test_the_body_of_a_request_that_was_answered_before_it_came_is_no_request(front: Front) -> None:
    async def script(talk: Talk) -> None:
        asked = await talk.head()
        assert asked is not None
        await talk.send(OK if asked.line.startswith(b"GET") else REFUSAL)
        await talk.ended()

    hidden = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
    router, legacy = await front(script)
    async with caller(router.port) as me:
        refusal = await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(hidden))
        answer = await me.ask(hidden + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

    assert (refusal.status, answer.status) == (401, 200)
    assert [asked.target for asked in legacy.asked] == [b"/", b"/"]


async def test_an_upstream_may_have_the_first_word_in_a_conversation(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await talk.send(b"3\r\n" + (await talk.reader.readexactly(8))[3:6] + b"\r\n0\r\n\r\n")

    router, _ = await front(script, settings=STREAMS)
    async with caller(router.port) as me:
        await me.send(WAITS["chunks"])
        await me.head(b"POST")
        first = await me.piece()
        await me.send(b"3\r\nyou\r\n0\r\n\r\n")
        second = await me.piece()

    assert (first, second) == (b"hello", b"you")


async def test_a_body_that_comes_late_follows_its_head(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(WAITS["a length"])
        await until(lambda: legacy.asked)
        await me.send(b"abc")

        assert (await me.answer(b"POST")).status == 200
    assert legacy.asked[0].body == b"abc"


async def test_what_was_not_sent_yet_goes_to_the_place_that_is_well(front: Front) -> None:
    """Nobody listens at the extracted upstream, and the body comes only after legacy was asked instead."""
    router, legacy = await front(always(OK), rest=NOWHERE + "fallback = true")
    async with caller(router.port) as me:
        await me.send(WAITS["a length"])
        await until(lambda: legacy.asked)
        await me.send(b"abc")

        answer = await me.answer(b"POST")

    assert (answer.status, answer.values(b"x-answered-by")) == (200, [b"legacy"])
    assert legacy.asked[0].body == b"abc"


async def test_an_expectation_without_a_body_costs_no_connection(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        first = await me.ask(b"GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n")
        second = await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")

    assert [each.values(b"connection") for each in (first, second)] == [[], []]


async def test_whoever_expects_100_is_spared_a_body_that_nobody_would_read(front: Front) -> None:
    router, _ = await front(always(OK), rest=NOWHERE)
    async with caller(router.port) as me:
        await me.send(WAITS["an expectation"])

        said = await me.ended()

    assert said.startswith(b"HTTP/1.1 502 ")
