"""An origin that misbehaves: its caller is told so or cut off, and nobody else gets what was left over."""

from __future__ import annotations

import asyncio

from .case import Bench, Case, Check, Seen
from .checks import answered, body, cut, either, every, got, header
from .faithful import request
from .origin import OK, Talk, says

GET = request()
HEAD = b"HTTP/1.1 200 OK\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ABC = b"3\r\nabc\r\n0\r\n\r\n"

bad = either(every(got(502, 503, 504), answered(1)), cut)


def _one_framing(seen: Seen) -> str:
    if not seen.answers:
        return "no answer"
    first = seen.answers[0]
    count = len(first.values(b"content-length")) + len(first.values(b"transfer-encoding"))
    return "framed in two ways" if count > 1 else ""


# RFC 9112 §6.3: a gateway refuses such an answer, or reads it in the one way that the RFC names and says only that.
bad_or_repaired = either(bad, every(_one_framing, got(200), answered(1), body(b"abc")))


def case(what: str, answer: bytes, wants: Check = bad, *, closes: bool = True, sends: bytes = GET) -> Case:
    return Case(f"answer: {what}", sends, wants, answer=answer, closes=closes)


def _framings() -> list[Case]:
    lengths = {
        "plus": b"+3",
        "minus": b"-3",
        "hexadecimal": b"0x3",
        "letters": b"abc",
        "nothing": b"",
        "different in a list": b"3, 4",
        "larger than 64 bits": b"18446744073709551619",
        "a letter behind it": b"3a",
        "two numbers": b"3 3",
    }
    codings = {
        "chunked, identity": b"chunked, identity",
        "xchunked": b"xchunked",
        "cow": b"cow",
        "chunked twice": b"chunked, chunked",
        "a vertical tab": b"\x0bchunked",
        "a NUL": b"chunked\x00",
    }
    sizes = {
        "letters": b"xyz",
        "minus": b"-3",
        "plus": b"+3",
        "0x": b"0x3",
        "nothing": b"",
        "larger than 64 bits": b"10000000000000003",
        "a letter behind it": b"3g",
    }
    return [
        case("both framings", HEAD + b"Content-Length: 13\r\n" + CHUNKED + b"\r\n" + ABC, bad_or_repaired),
        case("both framings, the coding first", HEAD + CHUNKED + b"Content-Length: 3\r\n\r\n" + ABC, bad_or_repaired),
        case(
            "both framings, the coding disguised",
            HEAD + b"Content-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc",
            bad_or_repaired,
        ),
        case("lengths that differ", HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        case("the same length twice", HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", bad_or_repaired),
        case("the same length in a list", HEAD + b"Content-Length: 3, 3\r\n\r\nabc", bad_or_repaired),
        *(
            case(f"bad length: {what}", HEAD + b"Content-Length: " + value + b"\r\n\r\nabc")
            for what, value in lengths.items()
        ),
        # A body that is chunked and something else ends with the connection (RFC 9112 §6.3).
        *(
            case(f"bad coding: {what}", HEAD + b"Transfer-Encoding: " + value + b"\r\n\r\n" + ABC)
            for what, value in codings.items()
        ),
        *(
            case(f"bad chunk size: {what}", HEAD + CHUNKED + b"\r\n3\r\nabc\r\n" + value + b"\r\nabc\r\n0\r\n\r\n")
            for what, value in sizes.items()
        ),
        case("no line break behind a chunk", HEAD + CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n"),
        case(
            "a chunked answer in HTTP/1.0",
            b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + ABC,
            either(bad_or_repaired, every(_one_framing, body(ABC))),
        ),
    ]


def _heads() -> list[Case]:
    ok = b"Content-Length: 2\r\n\r\nok"
    either_way = either(bad, every(got(200), body(b"ok"), answered(1)))
    return [
        case("nonsense", b"nonsense\r\n\r\n"),
        case("an HTTP/0.9 body", b"<html>hello</html>"),
        case("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28"),
        case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        case("HTTP/2.0", b"HTTP/2.0 200 OK\r\n" + ok, either_way),
        case("another protocol", b"ICY 200 OK\r\n" + ok),
        case("a status of letters", b"HTTP/1.1 abc OK\r\n" + ok),
        case("a status of two digits", b"HTTP/1.1 99 OK\r\n" + ok),
        case("a status of four digits", b"HTTP/1.1 2000 OK\r\n" + ok),
        case("a negative status", b"HTTP/1.1 -20 OK\r\n" + ok),
        case("status 0", b"HTTP/1.1 000 OK\r\n" + ok),
        case("status 600", b"HTTP/1.1 600 OK\r\n" + ok, either(bad, got(600))),
        case("status 999", b"HTTP/1.1 999 OK\r\n" + ok, either(bad, got(999))),
        case("no status", b"HTTP/1.1 \r\n" + ok),
        case("a NUL in a value", HEAD + b"X: a\x00b\r\n" + ok),
        case(
            "a control character in a value",
            HEAD + b"X: a\x07b\r\n" + ok,
            either(bad, every(header(b"x"), got(200)), every(got(200), header(b"x", b"a\x07b"))),
        ),
        case(
            "a bare CR in a value",
            HEAD + b"X: a\rSet-Cookie: evil\r\n" + ok,
            either(bad, every(got(200), header(b"x"))),
        ),
        case("a NUL in a name", HEAD + b"X\x00Y: a\r\n" + ok),
        case("a space in a name", HEAD + b"X Y: a\r\n" + ok, either(bad, every(got(200), header(b"x y")))),
        case("no colon", HEAD + b"nonsense\r\n" + ok, either(bad, every(got(200), header(b"nonsense")))),
        case("an empty name", HEAD + b": a\r\n" + ok, either(bad, every(got(200), header(b"")))),
        # RFC 9112 §5.1: a proxy MUST remove the space before the colon of an answer; §5.2: replace a fold.
        case(
            "a space before the colon",
            HEAD + b"X : a\r\n" + ok,
            either(bad, every(got(200), lambda seen: "" if b"X :" not in seen.answers[0].head else "passed on")),
        ),
        case(
            "a folded value",
            HEAD + b"X: a\r\n b\r\n" + ok,
            either(bad, every(got(200), lambda seen: "" if b"\r\n b" not in seen.answers[0].head else "passed on")),
        ),
        case("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", either_way),
        # How many are too many is the reader's choice (RFC 9112 §3, RFC 9110 §5.4).
        case("a flood of headers", HEAD + b"X: y\r\n" * 100_000 + ok, either_way),
        case("one header of a megabyte", HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n" + ok, either_way),
        case("a head of ten megabytes without an end", HEAD + b"X: " + b"y" * 10_000_000),
        case(
            "two thousand interim answers",
            b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 2_000 + OK,
            either(bad, every(got(200), body(b"ok"), answered(1))),
        ),
    ]


def _leaves_over(name: str, first: bytes, sends: bytes = GET) -> Case:
    """The origin says more than its answer: whoever comes next on that connection must not get it."""

    async def scenario(bench: Bench) -> None:
        bench.answering(says(first))
        caller = await bench.caller()
        caller.methods = [sends.split(b" ")[0]]
        await caller.send(sends)
        await caller.answer()
        await asyncio.sleep(0.05)
        bench.answering(says(OK))
        for _ in range(3):
            other = await bench.caller()
            await other.send(GET)
            answers = await other.answer()
            assert [(each.status, each.body) for each in answers] == [(200, b"ok")], (
                f"the next caller got {[(each.status, each.body) for each in answers]}"
            )
        await caller.more(0.05)
        rest = caller.data.partition(b"\r\n\r\n")[2]
        assert b"poison" not in rest, "it reaches the same caller as an answer"

    return Case(f"surplus: {name}", scenario=scenario)


async def what_comes_unasked_on_a_kept_connection_is_nobodys_answer(bench: Bench) -> None:
    """A 408, say, that servers send before they close an idle connection."""

    async def script(talk: Talk) -> None:
        await says(OK)(talk)
        await asyncio.sleep(0.03)
        await talk.send(POISON)

    bench.answering(script)
    for _ in range(3):
        caller = await bench.caller()
        await caller.send(GET)
        answers = await caller.answer()
        assert [each.body for each in answers] == [b"ok"], f"got {[each.body for each in answers]}"
        await asyncio.sleep(0.08)


SURPLUS = [
    _leaves_over("an answer behind a body with a length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + POISON),
    _leaves_over("an answer behind a chunked body", HEAD + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n" + POISON),
    _leaves_over("an answer behind a 304", b"HTTP/1.1 304 Not Modified\r\n\r\n" + POISON),
    _leaves_over("an answer behind a 204", b"HTTP/1.1 204 No Content\r\n\r\n" + POISON),
    _leaves_over("a body behind a 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison"),
    _leaves_over("a body behind a 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison"),
    _leaves_over(
        "a body behind the answer to HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        request(b"HEAD /CASE HTTP/1.1"),
    ),
    _leaves_over(
        "an answer behind the answer to HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + POISON,
        request(b"HEAD /CASE HTTP/1.1"),
    ),
    _leaves_over("a few bytes behind a body", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\nxx"),
    _leaves_over(
        "half an answer behind a body", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX: poison"
    ),
    Case(
        "surplus: what comes unasked on a kept connection is nobody's answer",
        scenario=what_comes_unasked_on_a_kept_connection_is_nobodys_answer,
    ),
]

ANSWERS = [*_framings(), *_heads()]
