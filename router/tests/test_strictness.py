"""What can be read in two ways is refused, in its turn, as the last word on the connection; what is legal passes."""

from __future__ import annotations

import asyncio

import pytest

from .. import server
from ..server import HEADER_BYTES, LINE_OF_REQUESTS
from .conftest import Backend, Front
from .wire import OK, Talk, always, caller, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: 1\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7fb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        (b"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501),
        (b"CONNECT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 31\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nabc", 501),
        (b"CONNECT http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (CHUNKED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 400),
        (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1\na\n0\n\n", 400),
        (CHUNKED + b"-1\r\na\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
        (CHUNKED + b"fffffffffffffffff\r\na\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1;a=\nb\r\na\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1\r\na\r\n0\r\nno trailer\r\n\r\n", 400),
        (CHUNKED + b"1\r\na\r\n0\r\nX: " + b"a" * (2 * HEADER_BYTES), 431),
        (CHUNKED + b"1\r\na\r\n0\r\n" + b"X: a\r\n" * HEADER_BYTES, 431),
        (CHUNKED + b"1;" + b"a" * (2 * HEADER_BYTES), 431),
    ],
)
async def test_what_can_be_read_in_two_ways_never_reaches_an_upstream(
    front: Front, request_: bytes, status: int
) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(request_ + GET)

        assert (await me.head()).status == status
        assert await me.ended() == b""

    assert legacy.asked == []


@pytest.mark.parametrize(
    ("target", "host", "seen"),
    [
        (b"http://H:80/a?b?c", b"h:80", b"/a?b?c"),
        (b"http://h/x?", b"h", b"/x?"),
        (b"http://h?x", b"h", b"/?x"),
        (b"HTTPS://h", b"h", b"/"),
        (b"http://h:80/x", b"h", b"/x"),
        (b"http://h/x", b"h:80", b"/x"),
        (b"https://h:443/x", b"H", b"/x"),
        (b"http://h:/x", b"h", b"/x"),
        (b"http://[::1]:80/x", b"[::1]", b"/x"),
        (b"/", b"[fe80::1%25eth0]:8000", b"/"),
        (b"/", b"[::1]:8000", b"/"),
        (b"*", b"h", b"*"),
    ],
)
async def test_odd_but_legal_targets_pass(front: Front, target: bytes, host: bytes, seen: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")

    assert answer.status == 200
    assert legacy.asked[0].target == seen
    assert legacy.asked[0].values(b"host") == [host]


async def test_a_refusal_comes_after_the_answers_to_what_was_asked_before(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf"[:-2])
        await has_refused.wait()
        await talk.send(b"lf")

    has_refused = asyncio.Event()
    router, legacy = await front(script)
    async with caller(router.port) as me:
        await me.send(GET + b"nonsense\r\n\r\n" + GET)
        await until(lambda: legacy.asked)
        has_refused.set()

        assert (await me.answer()).body == b"half"
        assert (await me.answer()).status == 400
        assert await me.ended() == b""
    assert len(legacy.asked) == 1


async def test_a_body_that_goes_wrong_after_it_was_passed_on_ends_the_upstreams_request(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.ended()

    router, legacy = await front(script, settings='chunked_requests = "stream"')
    async with caller(router.port) as me:
        await me.send(CHUNKED + b"1\r\na\r\n")
        await until(lambda: legacy.asked)
        await me.send(b"nonsense\r\n")

        assert (await me.answer()).status == 400
        await until(lambda: not legacy.open)
    await until(lambda: not router.state.connections and not router.state.tasks)


async def test_a_refusal_is_not_lost_to_a_caller_who_is_still_speaking(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\nContent-Length: 9000000\r\n\r\n")
        for _ in range(90):
            await me.send(bytes(100_000))

        assert (await me.answer()).status == 400


async def test_an_old_caller_gets_an_answer_that_ends_with_the_connection(front: Front) -> None:
    router, legacy = await front(always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
    async with caller(router.port) as me:
        await me.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

        said = await me.ended()
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\nconnection: close\r\n\r\nok")
    assert legacy.asked[0].line == b"GET / HTTP/1.1"


async def test_an_old_caller_who_keeps_the_connection_may_ask_again(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        first = await me.ask(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        second = await me.ask(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")

        assert (first.body, second.body) == (b"ok", b"ok")
        assert (first.values(b"connection"), second.values(b"connection")) == ([b"keep-alive"], [b"close"])
        assert await me.ended() == b""


@pytest.mark.parametrize("target", [b"/a", b"*"])
async def test_an_old_caller_who_names_no_host_means_the_address_they_reached(front: Front, target: bytes) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"OPTIONS " + target + b" HTTP/1.0\r\n\r\n")

    here = b"127.0.0.1:%d" % router.port
    assert legacy.asked[0].values(b"host") == [here]
    assert legacy.asked[0].values(b"x-forwarded-host") == [here]


async def test_a_minor_version_that_is_not_known_means_the_one_that_is(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        assert (await me.ask(b"GET /a HTTP/1.2\r\nHost: h\r\n\r\n")).status == 200
        assert (await me.ask(b"GET /b HTTP/1.9\r\nHost: h\r\n\r\n")).status == 200

    assert [asked.line for asked in legacy.asked] == [b"GET /a HTTP/1.1", b"GET /b HTTP/1.1"]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 22\r\n\r\na\r\nPOST /a RTSP/1.0\r\n\r\n"],
        [b"POST /a HTTP/1.1\r\nHo", b"st: h\r\nContent-Length: 22\r\n\r\na\r\nPOST /a RTSP/1.0\r\n\r\n"],
    ],
    ids=["whole", "in pieces"],
)
async def test_another_protocol_in_a_body_is_only_a_body(front: Front, pieces: list[bytes]) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        for piece in pieces:
            await me.send(piece)
            await until(lambda: legacy.asked or router.state.connections)

        assert (await me.answer(b"POST")).status == 200
    assert legacy.asked[0].body == b"a\r\nPOST /a RTSP/1.0\r\n\r\n"[:22]


@pytest.mark.parametrize("size", [b"3 ", b"3\t", b"3 ;a=b"])
async def test_a_blank_behind_a_chunks_size_is_nothing(front: Front, size: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(CHUNKED + size + b"\r\nabc\r\n0 \r\n\r\n")

    assert answer.status == 200
    assert legacy.asked[0].values(b"content-length") == [b"3"]
    assert legacy.asked[0].body == b"abc"


async def test_a_length_with_leading_zeros_is_that_length(front: Front) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %b3\r\n\r\nabc" % (b"0" * 30))

    assert answer.status == 200
    assert legacy.asked[0].values(b"content-length") == [b"3"]


async def test_an_old_caller_is_never_told_to_go_on(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab")

        assert (await me.ended()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_what_follows_a_last_request_is_not_read(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET)

        answer = await me.answer()

        assert (answer.status, answer.values(b"connection")) == (200, [b"close"])
        assert await me.ended() == b""
    assert len(legacy.asked) == 1


async def test_a_caller_who_was_never_told_to_go_on_is_not_read_any_further(front: Front) -> None:
    """The body that they announced may still come, or may not."""
    router, legacy = await front(always(OK), rest="[identity]\n", environ={"IDENTITY_SECRET": "s"})
    async with caller(router.port) as me:
        await me.send(
            b"POST /internal/identity HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        answer = await me.answer(b"POST")
        await me.send(GET)

        assert (answer.status, answer.values(b"connection")) == (404, [b"close"])
        assert await me.ended() == b""
    assert legacy.asked == []


async def test_a_flood_of_requests_waits_in_line(front: Front) -> None:
    may_answer = asyncio.Event()

    async def script(talk: Talk) -> None:
        while await talk.request():
            await may_answer.wait()
            await talk.send(OK)

    router, legacy = await front(script)
    async with caller(router.port) as me:
        me.writer.write(GET * 2000)
        await until(lambda: legacy.asked)
        (connection,) = router.state.connections
        await until(lambda: connection._is_paused)  # type: ignore[union-attr]

        assert len(connection._line) < LINE_OF_REQUESTS + server.FEED_BYTES // len(GET) + 1  # type: ignore[union-attr]
        may_answer.set()
        for _ in range(2000):
            assert (await me.answer()).status == 200


async def test_a_stopping_server_answers_what_is_being_asked_and_closes_what_is_idle(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as idle, caller(router.port) as asking:
        await idle.ask(GET)
        await asking.send(GET[:20])
        await until(lambda: any(each._is_reading_head for each in router.state.connections))  # type: ignore[union-attr]

        for connection in list(router.state.connections):
            connection.shutdown()
        await asking.send(GET[20:])

        assert await idle.ended() == b""
        assert (await asking.answer()).values(b"connection") == [b"close"]
        assert await asking.ended() == b""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TAKE_SECONDS", 0.2)
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)


@pytest.mark.usefixtures("impatient")
async def test_a_caller_who_takes_nothing_of_an_answer_is_cut_off(front: Front) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64_000_000))

    router, legacy = await front(script)
    async with caller(router.port, limit=1024) as me:
        await me.send(GET)
        await until(lambda: me.reader._paused)  # type: ignore[attr-defined]

        await until(lambda: not router.state.connections and not router.state.tasks)
        await until(lambda: not legacy.open)


@pytest.mark.usefixtures("impatient")
async def test_a_refused_caller_who_never_hangs_up_is_cut_off(front: Front) -> None:
    router, _ = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"nonsense\r\n\r\n")

        assert (await me.answer()).status == 400
        await until(lambda: not router.state.connections)
