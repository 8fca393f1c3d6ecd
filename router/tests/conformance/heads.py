"""Heads that are no HTTP/1.1, or not quite: refused, or repaired where the RFC lets a recipient do so."""

from __future__ import annotations

from .case import Case, Check
from .checks import asked, closed, either, every, got, line, never_sent, no_smuggling, refused, sent
from .faithful import request
from .smuggling import S, refuses


def _heads() -> list[Case]:
    def bad(what: str, sends: bytes, wants: Check = refuses) -> Case:
        return Case(what, sends + S, every(wants, no_smuggling))

    def value(what: str, value: bytes) -> Case:
        return bad(f"bad value: {what}", request(b"GET /CASE HTTP/1.1", b"X-V: a" + value + b"b"))

    def target(what: str, target: bytes) -> Case:
        return bad(f"bad target: {what}", request(b"GET " + target + b" HTTP/1.1"))

    def whole(what: str, sends: bytes | tuple[bytes, ...], wants: Check) -> Case:
        return Case(what, sends, wants)

    passes = every(got(200), asked(1))
    names = {
        "a space before the colon": b"X-N : y",
        "a tab before the colon": b"X-N\t: y",
        "a space in it": b"X N: y",
        "empty": b": y",
        "no colon": b"X-N",
        "a NUL": b"X\x00N: y",
        "a control character": b"X\x01N: y",
        "Latin-1": b"X\xe9N: y",
        "brackets": b"X(N): y",
        "a slash": b"X/N: y",
        "a quote": b'X"N: y',
        "a DEL": b"X\x7fN: y",
    }
    hosts = {
        "a space": b"a b",
        "a path": b"a/b",
        "a user": b"a@b",
        "a list": b"a, b",
        "a tab": b"a\tb",
        "a query": b"a?b",
        "a port of letters": b"a:port",
        "a fragment": b"a#b",
        "a backslash": b"a\\b",
    }
    versions = {
        "HTTP/2.0": b"HTTP/2.0",
        "HTTP/3.1": b"HTTP/3.1",
        "HTTP/0.9": b"HTTP/0.9",
        "HTTP/1.1.1": b"HTTP/1.1.1",
        "HTTP/11": b"HTTP/11",
        "HTTP/1.10": b"HTTP/1.10",
        "lower case": b"http/1.1",
        "another name": b"HTTPS/1.1",
        "letters behind it": b"HTTP/1.1x",
        "ICE": b"ICE/1.0",
        "RTSP": b"RTSP/1.0",
    }
    return [
        *(
            bad(
                f"bad name: {what}",
                request(b"GET /CASE HTTP/1.1", line),
                either(refuses, every(got(200), never_sent(line[:3]))),
            )
            for what, line in names.items()
        ),
        value("a NUL", b"\x00"),
        value("a bare CR", b"\r"),
        value("a bell", b"\x07"),
        value("a DEL", b"\x7f"),
        value("an escape", b"\x1b"),
        value("a vertical tab", b"\x0b"),
        target("a NUL", b"/CASE\x00a"),
        target("a control character", b"/CASE\x01a"),
        target("a tab", b"/CASE\ta"),
        target("a bare CR", b"/CASE\ra"),
        target("a DEL", b"/CASE\x7f"),
        target("a space", b"/CASE a"),
        target("no slash", b"CASE"),
        target("empty", b""),
        target("an authority alone", b"h:80"),
        whole(
            "a fragment in the target is refused or not passed on",
            request(b"GET /CASE#a HTTP/1.1"),
            either(refuses, every(got(200), lambda seen: "" if b"#" not in seen.asked[0].line else "passed on")),
        ),
        whole(
            "Latin-1 in the target is refused or passed as it is",
            request(b"GET /CASE/\xe9 HTTP/1.1"),
            either(refuses, line(b"GET /CASE/\xe9 HTTP/1.1"), line(b"GET /CASE/%E9 HTTP/1.1")),
        ),
        # RFC 9112 §3: a recipient may split the line at any whitespace.
        *(
            whole(
                f"{what} in the request line",
                request(sends),
                either(refuses, every(asked(1), line(b"GET /CASE HTTP/1.1"))),
            )
            for what, sends in {
                "two spaces": b"GET  /CASE HTTP/1.1",
                "tabs": b"GET\t/CASE\tHTTP/1.1",
                "a last space": b"GET /CASE HTTP/1.1 ",
            }.items()
        ),
        # RFC 9110 §7.4: what is asked is that resource; one that no gateway serves may be refused.
        whole(
            "another scheme in the target",
            request(b"GET ftp://h/CASE HTTP/1.1"),
            either(refuses, every(asked(1), sent(b"host", b"h"))),
        ),
        bad("a space before the method", request(b" GET /CASE HTTP/1.1")),
        bad("a bad character in the method", request(b"G(T /CASE HTTP/1.1")),
        *(
            bad(f"bad version: {what}", request(b"GET /CASE " + version), refused(400, 426, 501, 505))
            for what, version in versions.items()
        ),
        bad("bad version: SOURCE of ICE", request(b"SOURCE /CASE ICE/1.0"), refused(400, 405, 426, 501, 505)),
        whole(
            "bad version: RTSP in two pieces",
            (b"GET /CASE RT", b"SP/1.1\r\nHost: h\r\n\r\n"),
            refused(400, 426, 501, 505),
        ),
        whole(
            "another protocol in a header's value is only a value",
            (b"GET /CASE HTTP/1.1\r\nHo", b"st: h\r\nUser-Agent: a /CASE RTSP/1.0\r\n\r\n"),
            passes,
        ),
        # No part of HTTP/1.1 any more; whoever still serves it closes after it.
        whole(
            "an HTTP/0.9 request",
            b"GET /CASE\r\n\r\n",
            either(refuses, every(asked(0), closed), every(asked(1), closed)),
        ),
        whole(
            "a higher minor version is 1.1",
            request(b"GET /CASE HTTP/1.2"),
            either(refuses, line(b"GET /CASE HTTP/1.1")),
        ),  # RFC 9110 §2.5
        # RFC 9112 §2.2: a bare LF may be taken for a line's end; a bare CR never.
        whole(
            "bare LF everywhere",
            b"GET /CASE HTTP/1.1\nHost: h\nX-A: 1\n\n",
            either(refuses, every(passes, sent(b"x-a", b"1"))),
        ),
        whole(
            "a bare LF in a head",
            b"GET /CASE HTTP/1.1\r\nHost: h\r\nX-A: 1\nX-B: 2\r\n\r\n",
            either(refuses, every(passes, sent(b"x-a", b"1"), sent(b"x-b", b"2"))),
        ),
        whole("a bare LF before the end of the head", b"GET /CASE HTTP/1.1\r\nHost: h\n\r\n", either(refuses, passes)),
        whole("two CR before an LF", b"GET /CASE HTTP/1.1\r\r\nHost: h\r\n\r\n", either(refuses, passes)),
        # RFC 9112 §5.2: refused, or the fold replaced by spaces.
        whole(
            "a folded value",
            request(b"GET /CASE HTTP/1.1", b"X-F: a\r\n b"),
            either(
                refuses,
                every(
                    passes,
                    lambda seen: (
                        ""
                        if [value.split() for value in seen.asked[0].values(b"x-f")] == [[b"a", b"b"]]
                        else "passed on folded"
                    ),
                ),
            ),
        ),
        whole(
            "a fold before the first header",
            b"GET /CASE HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n",
            either(refuses, every(passes, never_sent(b" X: y"))),
        ),
        # RFC 9112 §3.2: MUST be 400.
        whole("no Host", b"GET /CASE HTTP/1.1\r\nX: y\r\n\r\n", refuses),
        whole("two Host that agree", b"GET /CASE HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", refuses),
        whole("two Host that differ", b"GET /CASE HTTP/1.1\r\nHost: h\r\nHost: evil\r\n\r\n", refuses),
        whole(
            "a second Host behind a space",
            b"GET /CASE HTTP/1.1\r\nHost: h\r\n Host: evil\r\n\r\n",
            either(refuses, every(passes, lambda seen: "" if len(seen.asked[0].values(b"host")) == 1 else "two Host")),
        ),
        whole(
            "an empty Host", b"GET /CASE HTTP/1.1\r\nHost:\r\n\r\n", either(refuses, every(passes, sent(b"host", b"")))
        ),
        *(
            whole(f"bad Host: {what}", b"GET /CASE HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", refuses)
            for what, host in hosts.items()
        ),
        # RFC 9112 §3.2.2: the target's host counts, Host MUST be ignored.
        whole(
            "an absolute target and another Host",
            b"GET http://a.test/CASE HTTP/1.1\r\nHost: b.test\r\n\r\n",
            either(refuses, every(passes, sent(b"host", b"a.test"))),
        ),
        whole(
            "an absolute target with a user",
            b"GET http://u@h/CASE HTTP/1.1\r\nHost: h\r\n\r\n",
            either(refuses, every(passes, sent(b"host", b"h"))),
        ),
        whole("an absolute target without a host", b"GET http:///CASE HTTP/1.1\r\nHost: h\r\n\r\n", refuses),
        bad("nonsense", b"nonsense /CASE\r\n\r\n", either(refuses, asked(0))),
        whole(
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
            either(refuses, every(asked(0), closed)),
        ),
        whole(
            "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", asked(0)
        ),
    ]


HEADS = _heads()
