"""Requests that two readers could read in two ways: refused, or forwarded so that there is only one way left.

S stands behind or inside each of them: a request that nobody may take for one that the caller made. Where a strict
reader would refuse but the RFC lets a recipient repair, both outcomes are right.
"""

from __future__ import annotations

from .case import Case, Check, Seen
from .checks import (
    answered,
    asked,
    carried,
    closed,
    either,
    every,
    got,
    never_sent,
    no_smuggling,
    refused,
    sent,
)
from .faithful import request

S = b"GET /CASE/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
BEHIND = b"0\r\n\r\n" + S
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(BEHIND)

refuses = refused(400, 411, 413, 414, 417, 422, 431, 501, 505)


def _one_framing(seen: Seen) -> str:
    first = seen.asked[0] if seen.asked else None
    if first is None:
        return "nothing was forwarded"
    framings = len(first.values(b"content-length")) + len(first.values(b"transfer-encoding"))
    return "framed in two ways" if framings > 1 else ""


# RFC 9112 §6.1: whoever does not refuse both headers drops the length, and MUST close the connection afterwards.
repaired = every(_one_framing, no_smuggling, closed)
refused_or_repaired = either(refuses, repaired)


def _one_coding_or_list(seen: Seen) -> str:
    """The coding besides chunked was not dropped: the body is still in it."""
    values = b",".join(seen.asked[0].values(b"transfer-encoding")) if seen.asked else b""
    return "" if values.count(b",") == 1 else f"the origin's transfer-encoding is {values!r}"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return request(b"POST /CASE " + version, *lines, body=body)


def _encodings() -> list[Case]:
    odd = {
        "chunked": b"chunked",
        "Chunked": b"Chunked",
        "a space behind chunked": b"chunked ",
        "two spaces before it": b"  chunked",
        "a tab behind it": b"chunked\t",
        "a tab before it": b"\tchunked",
        "a vertical tab before it": b"\x0bchunked",
        "a form feed behind it": b"chunked\x0c",
        "a NUL behind it": b"chunked\x00",
        "a bare CR behind it": b"chunked\r",
        "quotes": b'"chunked"',
        "a parameter": b"chunked;q=1",
        "xchunked": b"xchunked",
        "chunkedx": b"chunkedx",
        "chunk": b"chunk",
        "cow": b"cow",
        "identity": b"identity",
        "nothing": b"",
        "a comma before it": b",chunked",
        "a comma behind it": b"chunked,",
        "chunked twice": b"chunked, chunked",
        "chunked, identity": b"chunked, identity",
        "identity, chunked": b"identity, chunked",
        "gzip, chunked": b"gzip, chunked",
        "chunked, gzip": b"chunked, gzip",
        "Latin-1": b"chunked\xa0",
    }
    cases = [
        Case(
            f"length and transfer coding: {what}",
            post(LENGTH, b"Transfer-Encoding: " + value, body=BEHIND),
            refused_or_repaired,
        )
        for what, value in odd.items()
    ]
    # RFC 9112 §6.1: a coding besides chunked is 501 if it is not known, or passed on with the body that it belongs to.
    cases += [
        Case(
            f"transfer coding alone: {value.decode()}",
            post(b"Transfer-Encoding: " + value, body=b"3\r\nabc\r\n0\r\n\r\n"),
            either(refuses, every(carried(b"abc"), sent(b"transfer-encoding", value))),
        )
        for value in (b"gzip, chunked", b"identity, chunked")
    ]
    # Alone: what is not chunked at its end has no length (RFC 9112 §6.3): 400, or 501 for a coding that is not known.
    cases += [
        Case(f"transfer coding alone: {what}", post(b"Transfer-Encoding: " + value, body=BEHIND), refused_or_repaired)
        for what, value in odd.items()
        if what
        not in (
            "chunked",
            "Chunked",
            "a space behind chunked",
            "two spaces before it",
            "a tab behind it",
            "a tab before it",
            "a comma before it",
            "a comma behind it",
            "gzip, chunked",
            "identity, chunked",
        )
    ]
    cases += [
        Case(
            f"transfer coding alone is chunked: {value!r}",
            post(b"Transfer-Encoding:" + value, body=b"3\r\nabc\r\n0\r\n\r\n"),
            every(got(200), carried(b"abc")),
        )
        for value in (b"chunked", b" Chunked", b" CHUNKED", b"  chunked  ")
    ]
    # Legal too (RFC 9110 §5.6.1, §5.6.3), and so unusual that it may be refused.
    cases += [
        Case(
            f"transfer coding alone is chunked or refused: {value!r}",
            post(b"Transfer-Encoding:" + value, body=b"3\r\nabc\r\n0\r\n\r\n"),
            either(refuses, every(got(200), carried(b"abc"))),
        )
        for value in (b"\tchunked\t", b" ,chunked", b" chunked,")
    ]
    names = {
        "a space before the colon": b"Transfer-Encoding : chunked",
        "a tab before the colon": b"Transfer-Encoding\t: chunked",
        "a space before the name": b" Transfer-Encoding: chunked",
        "an underscore": b"Transfer_Encoding: chunked",
        "a NUL in the name": b"Transfer-Encoding\x00: chunked",
        "a CR before the name": b"\rTransfer-Encoding: chunked",
        "behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
        "behind a bare CR": b"X: y\rTransfer-Encoding: chunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "folded into another": b"X: y\r\n Transfer-Encoding: chunked",
        "folded after a comma": b"Transfer-Encoding: identity,\r\n\tchunked",
        "Latin-1 in the name": b"Transfer-Encoding\xa0: chunked",
        "a semicolon": b"Transfer-Encoding; chunked",
        "no colon": b"Transfer-Encoding chunked",
        "a dot in the name": b"Transfer.Encoding: chunked",
        "two colons": b"Transfer-Encoding:: chunked",
    }
    as_length = every(carried(BEHIND), sent(b"transfer-encoding"), no_smuggling)
    cases += [
        Case(
            f"length and a disguised transfer coding: {what}",
            post(LENGTH, disguised, body=BEHIND),
            either(refuses, repaired, as_length),
        )
        for what, disguised in names.items()
    ]
    twice = {
        "chunked and chunked": (b"chunked", b"chunked"),
        "chunked and identity": (b"chunked", b"identity"),
        "identity and chunked": (b"identity", b"chunked"),
        "chunked and cow": (b"chunked", b"cow"),
        "cow and chunked": (b"cow", b"chunked"),
    }
    for what, (first, second) in twice.items():
        lines = (b"Transfer-Encoding: " + first, b"transfer-encoding: " + second)
        is_list = second == b"chunked"  # so it is the list `…, chunked`, which says where the body ends
        passed = every(_one_coding_or_list, carried(b"")) if is_list else refuses
        cases += [
            Case(f"two transfer codings: {what}", post(*lines, body=BEHIND), either(refused_or_repaired, passed)),
            Case(
                f"two transfer codings and a length: {what}",
                post(lines[0], LENGTH, lines[1], body=BEHIND),
                refused_or_repaired,
            ),
        ]
    return [
        *cases,
        Case(
            "the length first, then the transfer coding (CL.TE)",
            post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG" + S),
            refused_or_repaired,
        ),
        Case(
            "the transfer coding first, then the length (TE.CL)",
            post(CHUNKED, b"Content-Length: 4", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(S), S)),
            refused_or_repaired,
        ),
        Case(
            "a length of zero and a transfer coding (CL.0)",
            post(b"Content-Length: 0", CHUNKED, body=BEHIND),
            refused_or_repaired,
        ),
        Case("a GET with both", request(b"GET /CASE HTTP/1.1", CHUNKED, LENGTH, body=BEHIND), refused_or_repaired),
        # RFC 9112 §6.1: faulty framing in HTTP/1.0, to be closed after it.
        Case("a transfer coding in HTTP/1.0", post(CHUNKED, body=BEHIND, version=b"HTTP/1.0"), refused_or_repaired),
        Case(
            "a transfer coding and a length in HTTP/1.0",
            post(CHUNKED, LENGTH, b"Connection: keep-alive", body=BEHIND, version=b"HTTP/1.0"),
            either(refuses, repaired, as_length),
        ),
        Case(
            "Connection names the transfer coding",
            post(b"Connection: Transfer-Encoding", CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"),
            either(refuses, every(got(200), carried(b"abc"))),
        ),
        Case(
            "an offer of h2c is not passed on",
            request(
                b"GET /CASE HTTP/1.1",
                b"Connection: Upgrade, HTTP2-Settings",
                b"Upgrade: h2c",
                b"HTTP2-Settings: AAMAAABk",
            ),
            either(refused(400, 403), every(sent(b"upgrade"), sent(b"http2-settings")), every(asked(0), got(403))),
        ),
    ]


def _lengths() -> list[Case]:
    behind = b"abc" + S
    bad = {
        "plus": b"+3",
        "minus": b"-3",
        "hexadecimal": b"0x3",
        "a decimal point": b"3.0",
        "an exponent": b"3e0",
        "an underscore": b"0_3",
        "a letter behind it": b"3a",
        "two numbers": b"3 3",
        "different in a list": b"3, 4",
        "nothing": b"",
        "only a comma": b",",
        "a list with a hole": b"3,,3",
        "quotes": b'"3"',
        "larger than 64 bits": b"18446744073709551619",
        "larger than 63 bits": b"9223372036854775808",
        "a hundred digits": b"9" * 100,
        "a vertical tab": b"\x0b3",
        "a NUL behind it": b"3\x00",
        "a no-break space": b"3\xa0",
        "a superscript": b"\xb3",
    }
    return [
        *(
            Case(f"bad length: {what}", post(b"Content-Length: " + value, body=behind), refused(400, 413, 501))
            for what, value in bad.items()
        ),
        Case("lengths that differ", post(b"Content-Length: 3", b"Content-Length: 44", body=behind), refuses),
        Case(
            "lengths that differ, one of them zero",
            post(b"Content-Length: 0", b"Content-Length: 44", body=behind),
            refuses,
        ),
        # RFC 9112 §6.3: the same value repeated may be taken for one.
        *(
            Case(
                f"the same length twice: {what}",
                post(*lines, body=b"abc"),
                either(refuses, every(carried(b"abc"), asked(1))),
            )
            for what, lines in {
                "two lines": (b"Content-Length: 3", b"content-length: 3"),
                "a list": (b"Content-Length: 3, 3",),
            }.items()
        ),
        Case(
            "leading zeros of a length are a number",
            post(b"Content-Length: 0003", body=b"abc"),
            either(refuses, every(carried(b"abc"), asked(1))),
        ),
        Case("bad length with a space before the colon", post(b"Content-Length : 3", body=behind), refuses),
        Case(
            "a length that is folded",
            post(b"Content-Length:\r\n 3", body=b"abc"),
            either(refuses, every(carried(b"abc"), asked(1))),
        ),
        Case(
            "a length with an underscore is none",
            post(b"Content_Length: %d" % len(S), body=S),
            either(refuses, every(no_smuggling), every(got(200), never_sent(b"Content_Length"))),
        ),
        Case(
            "a GET with a body is one request",
            request(b"GET /CASE HTTP/1.1", b"Content-Length: %d" % len(S), body=S),
            either(refuses, every(carried(S), asked(1), answered(1))),
        ),
        Case(
            "a HEAD with a body is one request",
            request(b"HEAD /CASE HTTP/1.1", b"Content-Length: %d" % len(S), body=S),
            either(refuses, every(carried(S), asked(1), answered(1))),
        ),
    ]


def _chunks() -> list[Case]:
    # Whoever had passed the head on already may say 502.
    refuses = refused(400, 413, 431, 502)

    def chunked(what: str, body: bytes, wants: Check = refuses) -> Case:
        return Case(f"chunks: {what}", post(CHUNKED, body=body), wants)

    abc = either(refuses, every(got(200), carried(b"abc"), asked(1), no_smuggling))
    end = b"\r\nabc\r\n0\r\n\r\n"
    bad_sizes = {
        "letters": b"xyz",
        "minus": b"-3",
        "plus": b"+3",
        "0x": b"0x3",
        "nothing": b"",
        "an underscore": b"0_3",
        "larger than 64 bits": b"10000000000000003",
        "a hundred digits": b"f" * 100,
        "a NUL": b"3\x00",
        "a letter behind it": b"3g",
        "two numbers": b"3 3",
        "a comma": b"3,3",
        "a decimal point": b"3.0",
        "a vertical tab": b"\x0b3",
    }
    return [
        *(chunked(f"bad size: {what}", size + end + S) for what, size in bad_sizes.items()),
        chunked("a space before the size", b" 3" + end, abc),
        chunked("a space behind the size", b"3 " + end, abc),
        chunked("a tab behind the size", b"3\t" + end, abc),
        chunked("leading zeros", b"0000003" + end, abc),
        chunked("an extension", b'3;a=b;c="d"' + end, every(got(200), carried(b"abc"))),
        chunked("a strange extension", b"3;;=\x7f" + end, abc),
        chunked("a bare LF in an extension", b"3;a\nabc\r\n0\r\n\r\n", abc),
        chunked("a bare CR in an extension", b"3;a\rb" + end, abc),
        chunked("a bare CR behind the size", b"3\rX\nabc\r\n0\r\n\r\n" + S),
        chunked("a bare LF behind the size", b"3\nabc\r\n0\r\n\r\n", abc),
        chunked("a bare LF behind the data", b"3\r\nabc\n0\r\n\r\n", abc),
        chunked("a bare LF at the end", b"3\r\nabc\r\n0\r\n\n", abc),
        chunked("no line break behind the data", b"3\r\nabc0\r\n\r\n" + S),
        chunked("two bytes too many behind the data", b"3\r\nabcXX0\r\n\r\n" + S),
        chunked("data longer than its size", b"3\r\nabcdef\r\n0\r\n\r\n" + S),
        chunked("a request in the place of trailers", b"3\r\nabc\r\n0\r\n" + S),
        chunked("a trailer without a colon", b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n" + S.replace(b"smuggled", b"")),
        chunked("a trailer with a space before the colon", b"3\r\nabc\r\n0\r\nX : y\r\n\r\n", abc),
        chunked(
            "framing in the trailers",
            b"3\r\nabc\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n",
            either(refuses, every(carried(b"abc"), asked(1), never_sent(b"evil"))),
        ),
        # RFC 9112 §7.1.1: a reader ought to limit them; who throws them away as they come needs no memory for them.
        chunked(
            "a flood of extensions",
            b"".join(b"1;" + b"a" * 10_000 + b"\r\na\r\n" for _ in range(100)) + b"0\r\n\r\n",
            either(refuses, every(got(200), carried(b"a" * 100))),
        ),
        chunked("an extension of a megabyte", b"3;" + b"a" * 1_000_000 + end, abc),
        chunked("a flood of trailers", b"3\r\nabc\r\n0\r\n" + b"X-T: y\r\n" * 100_000 + b"\r\n", abc),
        chunked("a size of a megabyte of zeros", b"0" * 1_000_000 + b"3" + end, abc),
    ]


TRANSFER_CODINGS = _encodings()
LENGTHS = _lengths()
CHUNKS = _chunks()
