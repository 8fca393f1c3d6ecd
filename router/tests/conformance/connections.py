"""One connection, many requests: who may send another one, and who must not."""

from __future__ import annotations

from .case import Bench, Case, told
from .checks import answered, asked, body, carried, closed, either, every, got, header, kept, line, sent, unasked
from .faithful import answer, request
from .origin import OK, Talk, says

GET = request()
OLD = b"GET /CASE HTTP/1.0\r\nHost: h\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
BARE = b"HTTP/1.1 200 OK\r\n\r\nok"

both = every(got(200), asked(2), answered(2))


async def by_path(talk: Talk) -> None:
    """Answers with the request's target, so that the order shows."""
    target = talk.asked.target.rpartition(b"/")[2]
    await says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))(talk)


async def many_pipelined_requests_are_answered_in_order(bench: Bench) -> None:
    bench.answering(by_path)
    caller = await bench.caller()
    await caller.send(b"".join(request(b"GET /CASE/%d HTTP/1.1" % number) for number in range(60)))

    answers = await caller.answer(60)

    assert [each.body for each in answers] == [b"%d" % number for number in range(60)]


async def a_kept_connection_that_the_origin_closed_costs_no_caller_an_answer(bench: Bench) -> None:
    """It answers, and closes unannounced: the next caller's safe request goes out again (RFC 9112 §9.3.1)."""
    for _ in range(5):
        bench.answering(says(OK, closes=True))
        caller = await bench.caller()
        await caller.send(GET)
        answers = await caller.answer()
        assert [each.status for each in answers] == [200], [each.status for each in answers]


async def a_request_that_changes_something_is_never_sent_twice(bench: Bench) -> None:
    async def closes_unanswered(talk: Talk) -> None:
        await talk.body()
        talk.writer.close()

    warm = await bench.caller()
    await warm.send(GET)
    await warm.answer()
    before = len(bench.asked)
    bench.answering(closes_unanswered)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 3", body=b"abc"))

    answers = await caller.answer()

    assert [each.status for each in answers] in ([502], [503], [504]), [each.status for each in answers]
    assert len(bench.asked) == before + 1, f"asked {len(bench.asked) - before} times"


CONNECTIONS = [
    Case("a connection carries a second request", (GET, GET), every(both, kept), answers=2),
    Case("two pipelined requests get two answers", GET + GET, both, answers=2),
    Case(
        "a request behind a body is a request",
        request(b"POST /CASE HTTP/1.1", b"Content-Length: 3", body=b"abc") + GET,
        both,
        answers=2,
    ),
    Case(
        "a request behind a chunked body is a request",
        request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n") + GET,
        both,
        answers=2,
    ),
    Case("a request after HEAD gets its own answer", (request(b"HEAD /CASE HTTP/1.1"), GET), both, answers=2),
    Case(
        "a request that comes in many pieces is one request",
        (b"G", b"E", b"T", b" /CASE HTT", b"P/1.1\r", b"\nHost: h\r\n\r", b"\n"),
        every(got(200), asked(1)),
    ),
    Case(
        "empty lines before a request are skipped",
        b"\r\n\r\n" + GET,
        either(every(got(200), asked(1)), every(asked(0), closed)),
    ),  # RFC 9112 §2.2: SHOULD, at least one
    Case(
        "Connection: close is obeyed",
        request(b"GET /CASE HTTP/1.1", b"Connection: close"),
        every(got(200), answered(1), closed),
    ),
    Case(
        "nothing behind Connection: close is served",
        request(b"GET /CASE HTTP/1.1", b"Connection: close") + GET,
        every(asked(1), answered(1), closed),
    ),
    Case(
        "the origin's Connection: close is not the caller's",
        (GET, GET),
        every(both),
        answer=answer(b"Connection: close"),
        closes=True,
        answers=2,
    ),
    Case("HTTP/1.0 is answered and closed", OLD + b"\r\n", every(got(200), body(b"ok"), answered(1), closed)),
    Case(
        "HTTP/1.0 with keep-alive gets an answer it can delimit",
        OLD + b"Connection: keep-alive\r\n\r\n",
        every(got(200), body(b"ok"), answered(1), either(closed, header(b"content-length", b"2"))),
    ),
    # RFC 9112 §6.1: never a transfer coding to HTTP/1.0. (HAProxy asks in HTTP/1.0 too, and trusts the origin.)
    Case(
        "HTTP/1.0 gets no chunks of a chunked answer",
        OLD + b"\r\n",
        every(got(200), body(b"ok"), header(b"transfer-encoding"), answered(1), closed),
        answer=CHUNKED,
    ),
    Case(
        "HTTP/1.0 with keep-alive gets no chunks either",
        OLD + b"Connection: keep-alive\r\n\r\n",
        every(got(200), header(b"transfer-encoding"), body(b"ok"), either(closed, header(b"content-length", b"2"))),
        answer=CHUNKED,
    ),
    Case(
        "HTTP/1.0 gets a body without a length until the end",
        OLD + b"\r\n",
        every(got(200), header(b"transfer-encoding"), body(b"ok"), closed),
        answer=BARE,
        closes=True,
    ),
    Case(
        "HTTP/1.0 without Host is passed or refused",
        b"GET /CASE HTTP/1.0\r\n\r\n",
        either(every(got(200), asked(1)), unasked(400, 426), every(asked(0), closed)),
    ),
    Case(
        "the origin is asked in HTTP/1.1 whatever the caller speaks",
        OLD + b"\r\n",
        either(line(b"GET /CASE HTTP/1.1"), every(line(b"GET /CASE HTTP/1.0"), sent(b"connection", b"close"))),
    ),
    Case(
        "HTTP/1.0 with a body passes it",
        b"POST /CASE HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        every(got(200), carried(b"abc")),
    ),
    Case(  # RFC 9110 §15.2: MUST NOT
        "HTTP/1.0 gets no interim answer",
        OLD + b"\r\n",
        every(got(200), answered(1), lambda seen: "got an interim answer" if seen.interim else ""),
        answer=b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK,
    ),
    told(many_pipelined_requests_are_answered_in_order),
    told(a_kept_connection_that_the_origin_closed_costs_no_caller_an_answer),
    told(a_request_that_changes_something_is_never_sent_twice),
]
