"""What upstreams and callers see of each other through the router, byte for byte."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from .conftest import Front
from .wire import OK, Talk, always, caller

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


@pytest.mark.parametrize(
    "target",
    [
        b"/a%2Fb/%C3%A9//c?q=1%202&q=a+b&empty=",
        b"/x?",
        b"/",
        b"//double//slash/",
        b"/a/../b/./c",
        b"/%zz%",
        b"/q?a=%00&b=[]|\"'",
        b"/~user;v=1,2?x=y?z",
    ],
)
async def test_the_target_reaches_the_upstream_byte_for_byte(front: Front, target: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"GET " + target + b" HTTP/1.1\r\nHost: shop.example\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"ok")
    assert legacy.asked[0].line == b"GET " + target + b" HTTP/1.1"


async def test_an_absolute_target_reaches_the_upstream_as_path_and_query(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"GET http://shop.example/a%2Fb?q=%20 HTTP/1.1\r\nHost: shop.example\r\n\r\n")

    assert legacy.asked[0].line == b"GET /a%2Fb?q=%20 HTTP/1.1"


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND"])
async def test_every_method_passes(front: Front, method: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(method + b" /x HTTP/1.1\r\nHost: shop.example\r\n\r\n")

    assert answer.body == b"ok"
    assert legacy.asked[0].line == method + b" /x HTTP/1.1"


async def test_header_values_order_and_repeats_reach_the_upstream(front: Front) -> None:
    router, legacy = await front(always(OK))
    lines = (
        b"Host: shop.example\r\nAccept: a\r\nX-One: 1\r\nCookie: a=1\r\nX-Latin: caf\xe9 \xc3\xa9\r\n"
        b"Accept: b\r\nCookie: b=2\r\nUser-Agent: \r\n"
    )

    await router.ask(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")

    assert legacy.asked[0].headers[:8] == [
        (b"host", b"shop.example"),
        (b"accept", b"a"),
        (b"x-one", b"1"),
        (b"cookie", b"a=1"),
        (b"x-latin", b"caf\xe9 \xc3\xa9"),
        (b"accept", b"b"),
        (b"cookie", b"b=2"),
        (b"user-agent", b""),
    ]


async def test_the_router_adds_only_what_it_says_about_the_caller(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(GET)

    assert [name for name, _ in legacy.asked[0].headers] == [
        b"host",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"traceparent",
    ]
    assert legacy.asked[0].values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert legacy.asked[0].values(b"x-forwarded-proto") == [b"http"]
    assert legacy.asked[0].values(b"x-forwarded-host") == [b"shop.example"]


ONLY_THE_ROUTER_SAYS = b"""X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port X-Forwarded-User
Forwarded X-Real-IP X-Internal-Identity X-Identity-Secret Traceparent Tracestate Baggage Proxy-Authorization""".split()


@pytest.mark.parametrize("spelling", ["plain", "underscores", "half", "capitals"])
async def test_what_only_the_router_may_say_is_dropped(front: Front, spelling: str) -> None:
    spelled = {
        "plain": ONLY_THE_ROUTER_SAYS,
        "underscores": [name.replace(b"-", b"_") for name in ONLY_THE_ROUTER_SAYS],
        "half": [name.replace(b"-", b"_", 1) for name in ONLY_THE_ROUTER_SAYS],
        "capitals": [name.upper() for name in ONLY_THE_ROUTER_SAYS],
    }[spelling]
    router, legacy = await front(always(OK))

    lines = b"".join(b"%b: spoofed\r\n" % name for name in [*spelled, *spelled])
    await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n")

    assert b"spoofed" not in legacy.asked[0].head


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive, X-Mine",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"TE: trailers",
        b"Trailer: X-Mine",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"Transfer_Encoding: chunked",
        b"Content_Length: 5",
    ],
)
async def test_what_is_meant_for_the_router_alone_goes_no_further(front: Front, line: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % line)

    assert answer.status == 200
    assert line.partition(b":")[0].lower() not in [name for name, _ in legacy.asked[0].headers]


async def test_a_header_that_connection_names_goes_no_further(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: X-Mine , x-other\r\n"
        b"X-Mine: 1\r\nX-Other: 2\r\nX-Kept: 3\r\n\r\n"
    )

    names = [name for name, _ in legacy.asked[0].headers]
    assert b"x-mine" not in names
    assert b"x-other" not in names
    assert b"x-kept" in names


async def test_a_caller_cannot_have_the_host_dropped(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: host\r\n\r\n")

    assert legacy.asked[0].values(b"host") == [b"shop.example"]


async def test_proxies_before_this_one_stay_in_via(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 a\r\nVia: 1.1 b\r\n\r\n")

    assert legacy.asked[0].values(b"via") == [b"1.0 a, 1.1 b, 1.1 strangler"]


async def test_every_request_begins_a_trace_of_its_own(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(GET)
    await router.ask(GET)

    first, second = (asked.values(b"traceparent")[0].split(b"-") for asked in legacy.asked)
    assert [len(part) for part in first] == [2, 32, 16, 2]
    assert first[1] != second[1]


async def test_an_answer_reaches_the_caller_as_it_was_sent(front: Front) -> None:
    router, _ = await front(
        always(
            b"HTTP/1.1 418 Teapot\r\nSet-Cookie: a=1; Path=/\r\nX-Latin: caf\xe9\r\nSet-Cookie: b=2\r\n"
            b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: legacy\r\nX-Empty: \r\nContent-Length: 2\r\n\r\nok"
        )
    )

    answer = await router.ask(GET)

    assert (answer.status, answer.body) == (418, b"ok")
    assert answer.headers == [
        (b"set-cookie", b"a=1; Path=/"),
        (b"x-latin", b"caf\xe9"),
        (b"set-cookie", b"b=2"),
        (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"server", b"legacy"),
        (b"x-empty", b""),
        (b"content-length", b"2"),
    ]


async def test_what_the_upstream_means_for_the_router_alone_does_not_reach_the_caller(front: Front) -> None:
    router, _ = await front(
        always(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\n"
            b"Trailer: X-T\r\nUpgrade: h2c\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n"
        )
    )

    answer = await router.ask(GET)

    assert [name for name, _ in answer.headers] == [b"x-kept", b"content-length", b"date"]


async def test_an_answer_without_a_date_gets_one_and_no_other_a_second(front: Front) -> None:
    """RFC 9110 §6.6.1: whoever passes an answer on says when it came, if nobody else did."""
    own = b"Sat, 29 Oct 1994 19:43:31 GMT"
    for said, heard in ((b"", None), (b"Date: " + own + b"\r\n", own)):
        router, _ = await front(always(b"HTTP/1.1 200 OK\r\n" + said + b"Content-Length: 0\r\n\r\n"))

        (date,) = (await router.ask(GET)).values(b"date")

        assert parsedate_to_datetime(date.decode()).tzinfo is not None
        assert heard in (None, date)


async def test_an_upstream_that_closes_does_not_close_the_callers_connection(front: Front) -> None:
    router, legacy = await front(always(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    async with caller(router.port) as me:
        for _ in range(3):
            assert (await me.ask(GET)).body == b"ok"

    assert legacy.connections == 3


async def test_one_connection_of_a_caller_carries_one_request_after_another(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        for _ in range(3):
            assert (await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")).body == b"ok"

    assert legacy.connections == 1


async def test_requests_sent_without_waiting_are_answered_in_order(front: Front) -> None:
    async def script(talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + asked.target[:2])

    router, _ = await front(script)
    async with caller(router.port) as me:
        await me.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(5)))

        bodies = [(await me.answer()).body for _ in range(5)]

    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4"]


@pytest.mark.parametrize("lines", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_an_answer_to_head_has_the_headers_and_no_body(front: Front, lines: bytes) -> None:
    router, _ = await front(always(b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\n" + lines + b"\r\n"))
    async with caller(router.port) as me:
        for _ in range(2):
            answer = await me.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")

            assert (answer.status, answer.body, answer.values(b"x-kept")) == (200, b"", [b"1"])
            assert answer.values(b"content-length") == ([b"5"] if b"Length" in lines else [])


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("lines", [b"", b"Content-Length: 5\r\n", b"ETag: x\r\n"])
async def test_an_answer_that_cannot_have_a_body_leaves_both_connections_usable(
    front: Front, status: int, lines: bytes
) -> None:
    router, legacy = await front(always(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, lines)))
    async with caller(router.port) as me:
        for _ in range(2):
            answer = await me.ask(GET)

            assert (answer.status, answer.body, answer.is_cut) == (status, b"", False)

    assert legacy.connections == 1


async def test_a_get_may_have_a_body(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")

    assert legacy.asked[0].values(b"content-length") == [b"3"]
    assert legacy.asked[0].body == b"abc"


@pytest.mark.parametrize(("line", "sent"), [(b"Content-Length: 0\r\n", [b"0"]), (b"", [])])
async def test_a_post_without_a_body_says_about_its_length_what_the_caller_said(
    front: Front, line: bytes, sent: list[bytes]
) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"POST / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n")

    assert legacy.asked[0].values(b"content-length") == sent


async def test_a_chunked_upload_gets_a_length(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
    )

    assert legacy.asked[0].values(b"content-length") == [b"5"]
    assert legacy.asked[0].values(b"transfer-encoding") == []
    assert legacy.asked[0].body == b"abcde"


@pytest.mark.parametrize(("length", "status"), [(9, 200), (10, 200), (11, 413)])
async def test_a_chunked_upload_is_held_up_to_the_limit(front: Front, length: int, status: int) -> None:
    router, legacy = await front(always(OK), rest="[server]\nspool_bytes = 10")

    answer = await router.ask(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (length, b"a" * length)
    )

    assert answer.status == status
    assert len(legacy.asked) == (status == 200)


async def test_a_chunked_upload_above_the_limit_is_refused_while_it_is_still_coming(front: Front) -> None:
    router, legacy = await front(always(OK), rest="[server]\nspool_bytes = 10")
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n")

        assert (await me.answer(b"POST")).status == 413

    assert legacy.asked == []


async def test_a_caller_who_asks_before_sending_the_body_is_told_to_go_on(front: Front) -> None:
    router, legacy = await front(always(OK))
    async with caller(router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await me.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await me.send(b"abc")

        answer = await me.answer(b"POST")

    assert (answer.status, answer.body) == (200, b"ok")
    assert legacy.asked[0].values(b"expect") == []
    assert legacy.asked[0].body == b"abc"


async def test_an_interim_answer_does_not_stand_for_the_answer(front: Front) -> None:
    router, _ = await front(always(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK))

    answer = await router.ask(GET)

    assert (answer.status, answer.values(b"link"), answer.body) == (200, [], b"ok")


async def test_an_interim_answer_passes_without_what_ends_at_a_proxy(front: Front) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 9\r\n\r\n"
    router, _ = await front(always(hints + OK))
    async with caller(router.port) as me:
        await me.send(GET)

        interim = await me.reader.readuntil(b"\r\n\r\n")

        assert interim == b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
        assert (await me.answer()).body == b"ok"


async def test_who_answered_is_said_if_wished(front: Front) -> None:
    router, _ = await front(always(OK), rest="[server]\nanswered_by = true")

    assert (await router.ask(GET)).values(b"x-answered-by") == [b"legacy"]


@pytest.mark.parametrize(
    ("setting", "without", "with_it"),
    [("false", [], []), ("true", [b"legacy"], [b"legacy"]), ('"on request"', [], [b"legacy"])],
)
async def test_who_answered_is_said_never_always_or_to_whoever_asks(
    front: Front, setting: str, without: list[bytes], with_it: list[bytes]
) -> None:
    router, _ = await front(always(OK), rest=f"[server]\nanswered_by = {setting}")

    answers = [await router.ask(GET), await router.ask(GET[:-2] + b"X-Answered-By: ?\r\n\r\n")]

    assert [answer.values(b"x-answered-by") for answer in answers] == [without, with_it]
