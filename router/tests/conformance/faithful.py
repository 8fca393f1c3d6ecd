"""What of a request's head passes through unchanged, and what must end at a proxy."""

from __future__ import annotations

from .case import Case
from .checks import answered, asked, carried, either, every, got, header, kept, line, never_sent, sent, unasked

LATIN = b"caf\xe9 \xff\xa0"


def request(line: bytes = b"GET /CASE HTTP/1.1", *lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, b"Host: h", *lines, b"", body])


def answer(*lines: bytes, status: bytes = b"200 OK", body: bytes = b"ok") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body), b"", body])


def _targets() -> list[Case]:
    exact = {
        "an encoded slash": b"/CASE/a%2Fb%2fc",
        "encoded dots": b"/CASE/%2e/%2E%2e/x",
        "dot segments": b"/CASE/a/./b/../c",
        "doubled slashes": b"/CASE//a///b//",
        "a doubled slash at the beginning": b"//CASE/a",
        "parameters and sub-delimiters": b"/CASE;v=1/a,b;c=d/!$&'()*+,;=:@-._~",
        "letters that need no encoding": b"/CASE/%7Euser/%41",
        "a percent-encoded percent": b"/CASE/100%25/%252e",
        "UTF-8 in percent-encoding": b"/CASE/caf%C3%A9/%e2%82%ac",
        "bytes that are no UTF-8 in percent-encoding": b"/CASE/%ff%fe",
        "an encoded line break": b"/CASE/a%0d%0aX:%20y",
        "an empty query": b"/CASE?",
        "a query of odd characters": b"/CASE?a=1&&b=%20+;c&=d&e=/?:@!$'()*,~[]",
        "a repeated key in the query": b"/CASE?a=1&a=2&A=3",
        "percent-encoding in the query": b"/CASE?q=caf%C3%A9%2B%26%3d%ff",
        "a question mark in the query": b"/CASE??x=?",
        "a request line of 8,000 octets": b"/CASE/" + b"a" * (8_000 - len("GET /CASE HTTP/1.1") - 1),  # RFC 9112 §3
    }
    cases = [
        Case(
            f"{what} reaches the origin as it was written",
            request(b"GET " + target + b" HTTP/1.1"),
            every(got(200), line(b"GET " + target + b" HTTP/1.1")),
        )
        for what, target in exact.items()
    ]
    # RFC 3986 knows none of these unencoded; RFC 9112 §3.2 lets a recipient refuse them. What passes is not changed,
    # other than by encoding (Go's HTTP server does that).
    odd = {
        "brackets and bars": (b"/CASE/{a}|[b]^", b"/CASE/%7Ba%7D%7C%5Bb%5D%5E"),
        "quotes": (b'/CASE/"a"', b"/CASE/%22a%22"),
        "a backslash": (b"/CASE/a\\b", b"/CASE/a%5Cb"),
        "a half percent-encoding": (b"/CASE/%2/%zz%", b""),
    }
    odd["an encoded NUL"] = (b"/CASE/a%00b", b"/CASE/a%00b")
    for what, (target, encoded) in odd.items():
        passed = [every(got(200), line(b"GET " + each + b" HTTP/1.1")) for each in (target, encoded)]
        cases.append(
            Case(
                f"{what} in a path are passed or refused, not changed",
                request(b"GET " + target + b" HTTP/1.1"),
                either(*passed, unasked(400, 404)),
            )
        )
    return cases


def _methods() -> list[Case]:
    cases = [
        Case(
            f"{method.decode()} with a body passes",
            request(method + b" /CASE HTTP/1.1", b"Content-Length: 3", body=b"abc"),
            every(got(200), carried(b"abc"), line(method + b" /CASE HTTP/1.1")),
        )
        for method in (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
    ]
    passes = every(got(200), asked(1))
    cases += [
        Case(
            f"{method.decode()} passes",
            request(method + b" /CASE HTTP/1.1"),
            every(passes, line(method + b" /CASE HTTP/1.1")),
        )
        for method in (b"OPTIONS", b"PROPFIND", b"DELETE")
    ]
    # Whoever does not know a method may say 501 (RFC 9110 §9.1); `get` is none that is known.
    cases += [
        Case(
            f"the method {method.decode()} passes as it is or is refused",
            request(method + b" /CASE HTTP/1.1"),
            either(every(passes, line(method + b" /CASE HTTP/1.1")), unasked(400, 405, 501)),
        )
        for method in (b"BREW", b"get", b"QUERY", b"TRACE")
    ]
    return [
        *cases,
        Case(
            "HEAD gets the length and no body",
            request(b"HEAD /CASE HTTP/1.1"),
            every(got(200), header(b"content-length", b"12345"), answered(1), kept),
            answer=b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
        ),
        Case(
            "HEAD of a chunked answer gets no body",
            request(b"HEAD /CASE HTTP/1.1"),
            every(got(200), answered(1)),
            answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        Case(
            "CONNECT is refused",
            b"CONNECT CASE.test:443 HTTP/1.1\r\nHost: CASE.test:443\r\n\r\n",
            either(unasked(400, 404, 405, 501), asked(0)),
        ),
        # RFC 9112 §3.2.4; the proxies differ: some answer it themselves.
        Case(
            "OPTIONS * is passed as it is or answered, never another target",
            b"OPTIONS * HTTP/1.1\r\nHost: CASE.test\r\n\r\n",
            either(every(got(200), line(b"OPTIONS * HTTP/1.1")), unasked(200, 204, 400, 404, 405, 501)),
        ),
        Case(
            "an absolute target means its path",
            request(b"GET http://h/CASE/a%2Fb?c HTTP/1.1"),
            every(
                got(200),
                sent(b"host", b"h"),
                either(line(b"GET /CASE/a%2Fb?c HTTP/1.1"), line(b"GET http://h/CASE/a%2Fb?c HTTP/1.1")),
            ),
        ),
        Case(
            "an absolute target without a path means the root",
            b"GET http://case.test?CASE HTTP/1.1\r\nHost: case.test\r\n\r\n",
            either(
                line(b"GET /?CASE HTTP/1.1"),
                line(b"GET http://case.test?CASE HTTP/1.1"),
                line(b"GET http://case.test/?CASE HTTP/1.1"),
                unasked(400, 404),
            ),
        ),
    ]


def _request_headers() -> list[Case]:
    ends = (b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Upgrade: foo")
    return [
        Case(
            "Host is kept",
            b"GET /CASE HTTP/1.1\r\nHost: Example.test:8080\r\n\r\n",
            either(sent(b"host", b"Example.test:8080"), sent(b"host", b"example.test:8080")),
        ),
        Case(
            "repeated headers stay in order",
            request(b"GET /CASE HTTP/1.1", b"X-R: 1", b"X-Other: -", b"X-R: 2", b"x-r: 1"),
            either(sent(b"x-r", b"1", b"2", b"1"), sent(b"x-r", b"1, 2, 1"), sent(b"x-r", b"1,2,1")),
        ),
        Case(
            "Latin-1 in a value passes byte for byte",
            request(b"GET /CASE HTTP/1.1", b"X-L: " + LATIN + b"!"),
            sent(b"x-l", LATIN + b"!"),
        ),
        Case(
            "a tab and quotes in a value pass",
            request(b"GET /CASE HTTP/1.1", b'X-T: a\tb "c, d" \\e'),
            sent(b"x-t", b'a\tb "c, d" \\e'),
        ),
        Case("an empty value passes", request(b"GET /CASE HTTP/1.1", b"X-E:"), sent(b"x-e", b"")),
        Case("a value without a space before it passes", request(b"GET /CASE HTTP/1.1", b"X-E:1"), sent(b"x-e", b"1")),
        Case(
            "two Cookie lines arrive as two or as one list",
            request(b"GET /CASE HTTP/1.1", b"Cookie: a=1", b"Cookie: b=2; c"),
            either(sent(b"cookie", b"a=1", b"b=2; c"), sent(b"cookie", b"a=1; b=2; c")),
        ),
        # Legal in a name (RFC 9110 §5.6.2), rare enough that proxies drop or refuse such a header.
        Case(
            "a name of every legal kind of character passes, is dropped or refused",
            request(b"GET /CASE HTTP/1.1", b"X!#$%&'*+.^`|~9: 1"),
            either(sent(b"X!#$%&'*+.^`|~9", b"1"), every(got(200), sent(b"X!#$%&'*+.^`|~9")), unasked(400)),
        ),
        Case(
            "conditional and range headers pass",
            request(
                b"GET /CASE HTTP/1.1",
                b'If-None-Match: W/"a", "b"',
                b"If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT",
                b"Range: bytes=0-1,-1",
                b'If-Range: "b"',
            ),
            every(
                sent(b"if-none-match", b'W/"a", "b"'),
                sent(b"if-modified-since", b"Sat, 29 Oct 1994 19:43:31 GMT"),
                sent(b"range", b"bytes=0-1,-1"),
                sent(b"if-range", b'"b"'),
            ),
        ),
        Case(
            "nothing is invented about the caller or the body",
            request(),
            every(
                *(
                    sent(name)
                    for name in (
                        b"accept",
                        b"accept-encoding",
                        b"user-agent",
                        b"content-type",
                        b"content-length",
                        b"transfer-encoding",
                        b"expect",
                    )
                )
            ),
        ),
        Case(
            "a POST with an empty body says so",
            request(b"POST /CASE HTTP/1.1", b"Content-Length: 0"),
            every(got(200), carried(b""), sent(b"content-length", b"0")),
        ),
        Case(
            "a POST that says nothing about a body has none",
            request(b"POST /CASE HTTP/1.1"),
            every(got(200), carried(b"")),
        ),
        Case(
            "the authorization is the origin's business",
            request(b"GET /CASE HTTP/1.1", b"Authorization: Basic YTpi"),
            sent(b"authorization", b"Basic YTpi"),
        ),
        Case(
            "hop-by-hop headers end at the proxy",
            request(b"GET /CASE HTTP/1.1", b"Connection: keep-alive, Upgrade", *ends),
            either(
                unasked(400, 403), every(got(200), sent(b"keep-alive"), sent(b"proxy-connection"), sent(b"upgrade"))
            ),
        ),
        # RFC 9110 §7.6.1: MUST remove.
        Case(
            "a header that Connection names ends at the proxy",
            request(
                b"GET /CASE HTTP/1.1", b"Connection: X-Hop", b"connection: x-other , close", b"X-Hop: 1", b"X-Other: 2"
            ),
            every(got(200), sent(b"x-hop"), sent(b"x-other")),
        ),
        Case(
            "Connection cannot remove the framing",
            request(b"POST /CASE HTTP/1.1", b"Connection: Content-Length", b"Content-Length: 3", body=b"abc"),
            either(every(got(200), carried(b"abc")), unasked(400)),
        ),
        Case(
            "Connection cannot remove Host",
            request(b"GET /CASE HTTP/1.1", b"Connection: Host"),
            either(every(got(200), sent(b"host", b"h")), unasked(400)),
        ),
        Case(
            "Connection cannot remove what the proxy says about the caller",
            request(b"GET /CASE HTTP/1.1", b"Connection: X-Forwarded-For"),
            either(
                every(
                    got(200),
                    lambda seen: "" if seen.asked[0].values(b"x-forwarded-for")[-1:] == [b"127.0.0.1"] else "removed",
                ),
                unasked(400),
            ),
        ),
        Case(
            "Via keeps who came before",
            request(b"GET /CASE HTTP/1.1", b"Via: 1.0 before"),
            every(
                got(200),
                lambda seen: "" if b", ".join(seen.asked[0].values(b"via")).startswith(b"1.0 before") else "lost",
            ),
        ),
        Case(
            "the caller's word about its address is not the last",
            request(b"GET /CASE HTTP/1.1", b"X-Forwarded-For: 6.6.6.6"),
            every(
                got(200),
                lambda seen: (
                    "believed" if b", ".join(seen.asked[0].values(b"x-forwarded-for")).endswith(b"6.6.6.6") else ""
                ),
            ),
        ),
        # WSGI makes one name of both.
        Case(
            "an underscore is no disguise",
            request(b"GET /CASE HTTP/1.1", b"X_Forwarded_For: 6.6.6.6", b"X-Forwarded_For: 6.6.6.6"),
            either(every(got(200), never_sent(b"6.6.6.6")), unasked(400)),
        ),
        Case(
            "trailers of a request never become headers",
            request(
                b"POST /CASE HTTP/1.1",
                b"Transfer-Encoding: chunked",
                b"Trailer: X-T",
                body=b"3\r\nabc\r\n0\r\nX-T: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            ),
            every(got(200), carried(b"abc"), sent(b"x-t"), never_sent(b"6.6.6.6")),
        ),
    ]


TARGETS = _targets()
METHODS = _methods()
REQUEST_HEADERS = _request_headers()
