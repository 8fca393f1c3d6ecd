"""What is odd but has one meaning is understood; and who says nothing yet is not waited for."""

from __future__ import annotations

from .case import Bench, Case, Check, Seen, told
from .checks import answered, asked, body, carried, either, every, got, header, kept, line, sent, unasked
from .faithful import request
from .origin import OK, Talk
from .smuggling import S
from .websockets import ACCEPT, OFFER, agrees

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OLD = b"GET /CASE HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
WAITS = {
    "their body": b"Content-Length: 3",
    "their chunks": b"Transfer-Encoding: chunked",
    "their expected body": b"Content-Length: 3\r\nExpect: 100-continue",
}

passes = every(got(200), asked(1))
ok = every(got(200), body(b"ok"), answered(1))


def _has_host(seen: Seen) -> str:
    return "" if len(seen.asked[0].values(b"host")) == 1 else "asked in HTTP/1.1 without Host"


def _date(seen: Seen) -> str:
    count = len(seen.answers[0].values(b"date"))
    return "" if count == 1 else f"{count} dates"


def _requests() -> list[Case]:
    def absolute(target: bytes, host: bytes) -> Case:
        return Case(
            f"{target.decode()} is on {host.decode()}",
            b"GET " + target + b"/CASE HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            passes,
        )

    connects = {
        "an authority": (b"CONNECT h:80 HTTP/1.1", b"", b""),
        "a path": (b"CONNECT /CASE HTTP/1.1", b"", b""),
        "a path and a body": (b"CONNECT /CASE HTTP/1.1", b"Content-Length: %d" % len(S), S),
        "a URL": (b"CONNECT http://h/CASE HTTP/1.1", b"", b""),
    }
    return [
        absolute(b"http://h:80", b"h"),
        absolute(b"http://h", b"h:80"),
        absolute(b"http://h:", b"h"),
        absolute(b"http://[::1]:80", b"[::1]"),
        # RFC 6874, though its zone should have stayed with the caller.
        Case("an IPv6 address with a zone is a Host", b"GET /CASE HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", passes),
        *(
            Case(
                f"CONNECT with {what} opens nothing",
                request(first, *([length] if length else []), body=sends) + S,
                either(every(unasked(400, 403, 404, 405, 501), answered(1)), asked(0)),
            )
            for what, (first, length, sends) in connects.items()
        ),
        # RFC 9110 §2.5: as the highest minor version that is known.
        Case("HTTP/1.2 means HTTP/1.1", request(b"GET /CASE HTTP/1.2"), every(passes, line(b"GET /CASE HTTP/1.1"))),
        Case(
            "an expectation without a body costs no connection",
            (request(b"GET /CASE HTTP/1.1", b"Expect: 100-continue"), request()),
            every(got(200), asked(2), answered(2), kept),
            answers=2,
        ),
        Case(
            "HTTP/1.0 with keep-alive may ask again",
            (OLD, OLD),
            every(got(200), asked(2), answered(2)),
            answers=2,
        ),
        Case(
            "HTTP/1.0 without Host is passed on with one, or refused",
            b"GET /CASE HTTP/1.0\r\n\r\n",
            either(unasked(400, 426), every(got(200), line(b"GET /CASE HTTP/1.0")), every(got(200), _has_host)),
        ),
        Case(
            "another protocol in a body is only a body",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: 23", body=b"a\r\nPOST /CASE RTSP/1.0\r\n"[:23]),
            every(got(200), carried(b"a\r\nPOST /CASE RTSP/1.0\r\n"[:23])),
        ),
        Case(
            "a length with many leading zeros is that length",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: " + b"0" * 30 + b"3", body=b"abc"),
            every(got(200), carried(b"abc")),
        ),
        Case(
            "a blank behind a chunk's size is nothing",
            request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3 \t\r\nabc\r\n0 \r\n\r\n"),
            every(got(200), carried(b"abc")),
        ),
        # RFC 9110 §7.8: MUST ignore.
        Case(
            "an offer in HTTP/1.0 is none",
            request(b"GET /CASE HTTP/1.0", *OFFER),
            every(got(200), sent(b"upgrade"), body(b"ok")),
        ),
        Case(
            "an offer of a WebSocket that says it has no body is one",
            request(b"GET /CASE HTTP/1.1", *OFFER, b"Content-Length: 0"),
            every(got(101), sent(b"upgrade", b"websocket")),
            answer=agrees(),
        ),
    ]


def _answers() -> list[Case]:
    def case(what: str, answer: bytes, wants: Check = ok) -> Case:
        return Case(f"answer: {what}", request(), wants, answer=answer)

    return [
        case("a blank behind a chunk's size is nothing", CHUNKED + b"2 \t\r\nok\r\n0 \r\n\r\n"),
        case("HTTP/1.2 means HTTP/1.1", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        case("lines that end with LF alone (RFC 9112 §2.2)", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        case(
            "an interim one that says close is followed by the final one",
            b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\nLink: </a>\r\n\r\n" + OK,
        ),
        case("it gets a date if it has none (RFC 9110 §6.6.1)", OK, every(ok, _date)),
        case(
            "it keeps its date",
            HEAD + b"Date: Sat, 29 Oct 1994 19:43:31 GMT\r\nContent-Length: 2\r\n\r\nok",
            every(ok, header(b"date", b"Sat, 29 Oct 1994 19:43:31 GMT")),
        ),
        # RFC 9110 §7.8 wants it, and RFC 6455 §4.1 makes its caller fail: passed on as it is, or a bad gateway.
        Case(
            "a 101 whose Connection does not say so is not repaired",
            request(b"GET /CASE HTTP/1.1", *OFFER),
            lambda seen: (
                "it was"
                if seen.answers
                and seen.answers[0].status == 101
                and b"upgrade" in b",".join(seen.answers[0].values(b"connection")).lower()
                else ""
            ),
            answer=HEAD.replace(b"200 OK", b"101 Switching Protocols")
            + b"Upgrade: websocket\r\nSec-WebSocket-Accept: "
            + ACCEPT
            + b"\r\n\r\n\x81\x02hi",
        ),
    ]


def _hears_first(what: str, framing: bytes) -> Case:
    async def scenario(bench: Bench) -> None:
        async def refuses(talk: Talk) -> None:
            await talk.send(REFUSAL)
            await talk.left()

        bench.answering(refuses)
        caller = await bench.caller()
        await caller.send(request(b"POST /CASE HTTP/1.1", framing))
        while not (final := [each for each in caller.answers if each.status >= 200 and each.is_whole]):
            assert await caller.more(), "no answer before the body"
        assert [each.body for each in final] == [b"no"]

    return Case(f"an answer reaches a caller who has not begun {what}", scenario=scenario)


async def a_head_goes_before_its_body(bench: Bench) -> None:
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 3"))
    await bench.until(lambda: bench.asked, "the head reaches the origin")
    await caller.send(b"abc")
    assert [each.status for each in await caller.answer()] == [200]
    assert bench.asked[0].body == b"abc"


async def the_origin_may_have_the_first_word(bench: Bench) -> None:
    async def script(talk: Talk) -> None:
        await talk.send(CHUNKED + b"5\r\nhello\r\n")
        said = await talk.body()
        await talk.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(said), said))

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked"))
    while b"hello" not in caller.data:
        assert await caller.more(), "not a word"
    await caller.send(b"3\r\nyou\r\n0\r\n\r\n")
    assert (await caller.answer())[0].body == b"helloyou"


ODD = [
    *_requests(),
    *_answers(),
    *(_hears_first(what, framing) for what, framing in WAITS.items()),
    told(a_head_goes_before_its_body),
    told(the_origin_may_have_the_first_word),
]
