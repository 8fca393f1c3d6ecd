"""What the server adds to uvicorn's: trailers stay trailers, heads and bodies have limits, offers are only offers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from .. import server
from ..server import HEADER_BYTES, HEADER_COUNT
from .conftest import Front
from .wire import OK, Talk, always, caller, once, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


async def test_trailers_never_become_headers(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        b"Cookie: sessionid=stolen\r\nX-Internal-Identity: me\r\nX-Anything: 1\r\n\r\n"
    )

    names = [name for name, _ in legacy.asked[0].headers]
    assert not {b"cookie", b"x-internal-identity", b"x-anything"} & set(names)


async def test_the_headers_of_the_next_request_are_headers_again(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n")
        await me.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX-Mine: 1\r\n\r\n")

    assert legacy.asked[1].values(b"x-mine") == [b"1"]


async def test_as_many_headers_as_allowed_pass(front: Front) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * (HEADER_COUNT - 1) + b"\r\n")

    assert answer.status == 200
    assert legacy.asked[0].values(b"x") == [b"1"] * (HEADER_COUNT - 1)


@pytest.mark.parametrize(
    "lines",
    [
        b"X: 1\r\n" * (HEADER_COUNT + 1),
        b"X: " + b"a" * (HEADER_BYTES + 1) + b"\r\n",
        (b"X: " + b"a" * 999 + b"\r\n") * 66,
    ],
    ids=["too many", "one too long", "too long together"],
)
async def test_too_many_or_too_long_headers_are_refused(front: Front, lines: bytes) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n")

        assert (await me.head()).status == 431
        assert await me.ended() == b""

    assert legacy.asked == []


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1\r\nX-Endless: ", b"GET /", b"GET / HTTP/1.1\r\nX"])
async def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(front: Front, beginning: bytes) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(beginning)
        sent = 0
        while not me.reader._buffer and sent < 20 * HEADER_BYTES:  # type: ignore[attr-defined]
            await me.send(b"a" * 16_384)
            sent += 16_384
            await asyncio.sleep(0.001)

        assert (await me.head()).status == 431


async def test_a_long_body_after_a_short_head_is_no_long_head(front: Front) -> None:
    router, legacy = await front(always(OK))
    body = b"a" * 500_000
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with caller(router.port) as me:
        await me.send(post + post + GET[:10])
        assert (await me.answer(b"POST")).status == 200
        assert (await me.answer(b"POST")).status == 200
        await me.send(GET[10:])
        assert (await me.answer()).status == 200

    assert [len(asked.body) for asked in legacy.asked] == [500_000, 500_000, 0]


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\na",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_request_that_can_be_read_in_two_ways_or_none_is_refused(front: Front, request_: bytes) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(request_ + GET)

        assert (await me.head()).status == 400
        await me.ended()

    assert legacy.asked == []


@pytest.mark.parametrize(
    "lines", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
async def test_an_offer_to_change_the_protocol_changes_nothing(front: Front, lines: bytes) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        answer = await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\n" + H2C + lines)

        assert (answer.status, answer.body) == (200, b"ok")
        assert legacy.asked[0].body == b"abc"
        assert b"h2c" not in legacy.asked[0].head
        assert b"http2-settings" not in legacy.asked[0].head
        assert (await me.ask(GET)).body == b"ok"


async def test_an_offer_to_change_the_protocol_may_come_byte_by_byte(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        for byte in b"POST /a?b HTTP/1.1\r\nHost: h\r\n" + H2C + b"Content-Length: 3\r\n\r\nabc":
            await me.send(bytes([byte]))
            await asyncio.sleep(0)
        answer = await me.answer(b"POST")

    assert answer.status == 200
    assert legacy.asked[0].line == b"POST /a?b HTTP/1.1"
    assert legacy.asked[0].body == b"abc"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_caller_who_leaves_with_requests_waiting_in_line_is_no_fault_of_ours(
    front: Front, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    has_left = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await has_left.wait()
        await talk.send(answer)

    router, legacy = await front(script)
    async with caller(router.port) as me:
        await me.send(GET * 3)
        await until(lambda: legacy.asked)
        me.leave()
        has_left.set()

    await until(lambda: not router.state.tasks and not router.state.connections)
    await until(lambda: not legacy.open)
    assert [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"] == []


async def test_an_answer_that_is_cut_with_requests_waiting_in_line_is_logged_once(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    router, _ = await front(once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
    async with caller(router.port) as me:
        await me.send(GET * 3)
        assert (await me.answer()).is_cut

    await until(lambda: not router.state.tasks)
    (record,) = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert record.getMessage().startswith("AnswerCut GET")


Patience = Callable[[float], None]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """Says how long the router waits for heads and bodies from now on."""
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)

    def is_seconds(seconds: float) -> None:
        monkeypatch.setattr(server, "HEAD_SECONDS", seconds)
        monkeypatch.setattr(server, "BODY_IDLE_SECONDS", seconds)

    return is_seconds


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: h\r\n"])
async def test_a_caller_who_never_finishes_the_head_is_told_so_and_closed(
    front: Front, patience: Patience, beginning: bytes
) -> None:
    router, legacy = await front(always(OK))
    patience(0.2)
    async with caller(router.port) as me:
        await me.send(beginning)

        assert (await me.answer()).status == 408
        assert await me.ended() == b""
    assert legacy.connections == 0


async def test_headers_that_trickle_in_do_not_win_time(front: Front, patience: Patience) -> None:
    router, _ = await front(always(OK))
    patience(0.2)
    async with caller(router.port) as me:
        sending = asyncio.create_task(_trickle(me.send))

        assert (await me.answer()).status == 408
        sending.cancel()


async def _trickle(send: Callable[[bytes], Awaitable[None]]) -> None:
    for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 1000:
        await send(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_a_body_that_stalls_ends_the_callers_and_the_upstreams_connection(
    front: Front, patience: Patience
) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab")
        await until(lambda: legacy.asked)
        patience(0.2)
        await me.send(b"c")

        assert await me.ended() == b""
    await until(lambda: not legacy.open and not router.state.tasks)


async def test_a_slow_answer_is_no_fault_of_the_callers(front: Front, patience: Patience) -> None:
    async def slow(talk: Talk) -> None:
        await talk.request()
        patience(0.05)
        await asyncio.sleep(0.3)
        await talk.send(OK)

    router, _ = await front(slow)

    got = await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")

    assert got.status == 200


async def test_a_body_that_the_upstream_lets_wait_is_no_fault_of_the_callers(front: Front, patience: Patience) -> None:
    async def reading_late(talk: Talk) -> None:
        await talk.head()
        (connection,) = router.state.connections
        await until(lambda: connection._is_paused)  # type: ignore[union-attr]
        patience(0.05)
        await asyncio.sleep(0.3)
        patience(60)
        await talk.reader.readexactly(8_000_000)
        await talk.send(OK)

    router, _ = await front(reading_late)

    got = await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n" + bytes(8_000_000))

    assert got.status == 200


async def test_half_a_next_request_does_not_cut_the_answer_before_it(front: Front, patience: Patience) -> None:
    async def slow(talk: Talk) -> None:
        await talk.request()
        patience(0.05)
        await asyncio.sleep(0.3)
        await talk.send(OK)

    router, _ = await front(slow)
    async with caller(router.port) as me:
        await me.send(GET + b"GET / HTTP")

        assert (await me.answer()).status == 200
