"""What of an answer and of bodies passes through unchanged, both ways."""

from __future__ import annotations

from .case import Case
from .checks import answered, body, carried, either, every, got, header, kept, unasked
from .faithful import answer, request
from .origin import OK, Talk, says

ALL_BYTES = bytes(range(256))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
WITH_TRAILER = CHUNKED + b"Trailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
LATIN = b"caf\xe9 \xff\xa0"


def _answer_headers() -> list[Case]:
    def passes(*lines: bytes, name: bytes, values: tuple[bytes, ...], what: str, **more: bytes) -> Case:
        return Case(what, request(), every(header(name, *values), answered(1)), answer=answer(*lines, **more))

    cookies = (b"a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT", b"b=2; HttpOnly", b"a=3")
    return [
        passes(
            *(b"Set-Cookie: " + each for each in cookies),
            name=b"set-cookie",
            values=cookies,
            what="several Set-Cookie stay several, in order",
        ),
        passes(
            b"X-L: " + LATIN + b"!",
            name=b"x-l",
            values=(LATIN + b"!",),
            what="Latin-1 in an answer's value passes byte for byte",
        ),
        passes(b"X-E: ", name=b"x-e", values=(b"",), what="an empty value of an answer passes"),
        passes(b'ETag: W/"x"', name=b"etag", values=(b'W/"x"',), what="a weak ETag passes as it is"),
        passes(
            b"Date: Sat, 29 Oct 1994 19:43:31 GMT",
            name=b"date",
            values=(b"Sat, 29 Oct 1994 19:43:31 GMT",),
            what="the origin's Date is the only one",
        ),
        passes(b"Server: origin/1", name=b"server", values=(b"origin/1",), what="the origin's Server is the only one"),
        passes(b"X-A: 1", name=b"content-type", values=(), what="no Content-Type is added"),
        passes(
            b"Content-Encoding: gzip",
            name=b"content-encoding",
            values=(b"gzip",),
            what="an encoded body stays encoded",
            body=ALL_BYTES,
        ),
        passes(
            b"Location: http://internal.test/a?b=%2F",
            name=b"location",
            values=(b"http://internal.test/a?b=%2F",),
            what="a redirect passes as it is",
            status=b"302 Found",
        ),
        passes(
            b"Content-Range: bytes 0-1/10",
            name=b"content-range",
            values=(b"bytes 0-1/10",),
            what="a partial answer passes",
            status=b"206 Partial Content",
        ),
        passes(
            b'WWW-Authenticate: Basic realm="a"',
            b"WWW-Authenticate: Bearer",
            name=b"www-authenticate",
            values=(b'Basic realm="a"', b"Bearer"),
            what="two challenges stay two",
            status=b"401 Unauthorized",
        ),
        passes(
            b"Connection: X-Hop",
            b"X-Hop: 1",
            name=b"x-hop",
            values=(),
            what="a header that the answer's Connection names ends at the proxy",
        ),
        Case(
            "hop-by-hop headers of an answer end at the proxy",
            request(),
            every(
                header(b"proxy-connection"),
                answered(1),
                lambda seen: "passed" if b"timeout=77" in seen.answers[0].head else "",
            ),
            answer=answer(b"Keep-Alive: timeout=77", b"Proxy-Connection: keep-alive"),
        ),
        *(
            Case(
                f"the status {status} passes",
                request(),
                every(got(status), body(b"ok")),
                answer=answer(status=b"%d Whatever" % status),
            )
            for status in (200, 201, 226, 299, 400, 404, 418, 429, 451, 500, 502, 503, 511, 599)
        ),
        Case(
            "an answer without a reason passes",
            request(),
            every(got(200), body(b"ok")),
            answer=b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        ),
        Case(
            "204 has no body, and the connection goes on",
            request(),
            every(got(204), header(b"transfer-encoding"), answered(1), kept),
            answer=b"HTTP/1.1 204 No Content\r\n\r\n",
        ),
        Case(
            "304 keeps its validators and has no body",
            request(),
            every(got(304), header(b"etag", b'"x"'), answered(1), kept),
            answer=b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 500\r\n\r\n',
        ),
        Case(
            "a header of an answer of 3 KiB passes",
            request(),
            header(b"x-long", b"a" * 3_000),
            answer=answer(b"X-Long: " + b"a" * 3_000),
        ),
    ]


def _bodies() -> list[Case]:
    chunked = b"7f\r\n" + ALL_BYTES[:127] + b"\r\n81;ext=1\r\n" + ALL_BYTES[127:] + b"\r\n0\r\n\r\n"
    big = ALL_BYTES * 4_096
    return [
        Case(
            "every byte passes up in a body with a length",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: 256", body=ALL_BYTES),
            every(got(200), carried(ALL_BYTES)),
        ),
        Case(
            "every byte passes up in a chunked body",
            request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=chunked),
            every(got(200), carried(ALL_BYTES)),
        ),
        Case(
            "an empty chunked body passes",
            request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
            every(got(200), carried(b"")),
        ),
        Case(
            "a megabyte passes up",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: %d" % len(big), body=big),
            every(got(200), carried(big)),
        ),
        Case(
            "every byte passes down in a body with a length",
            request(),
            every(body(ALL_BYTES), header(b"content-length", b"256")),
            answer=answer(body=ALL_BYTES),
        ),
        Case(
            "every byte passes down in a chunked body",
            request(),
            every(body(ALL_BYTES), answered(1)),
            answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
        ),
        Case(
            "a body that ends with the origin's connection passes down",
            request(),
            every(got(200), body(ALL_BYTES)),
            answer=b"HTTP/1.1 200 OK\r\n\r\n" + ALL_BYTES,
            closes=True,
        ),
        Case(
            "an HTTP/1.0 origin's answer passes down",
            request(),
            every(got(200), body(ALL_BYTES)),
            answer=b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n" + ALL_BYTES,
            closes=True,
        ),
        Case("a megabyte passes down", request(), every(body(big), answered(1)), answer=answer(body=big)),
        # Trailers may be passed on or dropped (RFC 9110 §6.5.1), never merged.
        Case(
            "trailers of an answer never become headers",
            request(),
            every(body(b"abc"), header(b"x-t"), answered(1)),
            answer=WITH_TRAILER,
        ),
        Case(
            "trailers of an answer pass",
            request(b"GET /CASE HTTP/1.1", b"TE: trailers", b"Connection: TE"),
            lambda seen: (
                ""
                if (seen.answers and seen.answers[0].trailers == [(b"X-T", b"1")])
                or seen.answers[0].trailers == [(b"x-t", b"1")]
                else "dropped"
            ),
            answer=WITH_TRAILER,
        ),
        Case(
            "a final answer is whole after interim ones",
            request(),
            every(got(200), body(b"ok"), answered(1)),
            answer=b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK,
        ),
        Case(
            "early hints pass",
            request(),
            every(
                got(200), answered(1), lambda seen: "" if 103 in [each.status for each in seen.interim] else "dropped"
            ),
            answer=b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + OK,
        ),
        Case(
            "Expect: 100-continue is answered and the body follows",
            (request(b"POST /CASE HTTP/1.1", b"Content-Length: 3", b"Expect: 100-continue"), b"abc"),
            every(
                got(200),
                carried(b"abc"),
                answered(1),
                lambda seen: "" if [each.status for each in seen.interim][:1] == [100] else "nobody said 100",
            ),
            answer=_continues,
        ),
        Case(
            "who expects 100-continue but does not wait is served",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: 3", b"Expect: 100-continue", body=b"abc"),
            every(got(200), carried(b"abc"), answered(1)),
            answer=_continues,
        ),
        # RFC 9110 §10.1.1: another expectation may be refused with 417.
        Case(
            "another expectation is refused or ignored",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: 3", b"Expect: 200-ok", body=b"abc"),
            either(unasked(400, 417), every(got(200), carried(b"abc"))),
        ),
    ]


async def _continues(talk: Talk) -> None:
    if talk.asked.values(b"expect"):
        await talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await says(OK)(talk)


ANSWER_HEADERS = _answer_headers()
BODIES = _bodies()
