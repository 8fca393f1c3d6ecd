"""WebSockets are between the two ends: what the proxy passes on is byte for byte what was said (RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import hashlib

from .case import SECONDS, Bench, Caller, Case, told
from .checks import answered, asked, body, either, every, got, header, line, sent, unasked
from .faithful import answer, request
from .origin import OK, Talk, says

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
OFFER = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY)
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324 (RFC 6455)


def agrees(*lines: bytes) -> bytes:
    head = (
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + ACCEPT,
    )
    return b"\r\n".join([*head, *lines, b"", b""])


def frame(opcode: int, payload: bytes, *, is_final: bool = True, is_masked: bool = False, rsv: int = 0) -> bytes:
    first = (0x80 if is_final else 0) | rsv << 4 | opcode
    mask = b"\x01\x02\x03\x04"
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
    if not is_masked:
        return bytes([first]) + size + payload
    masked = bytes(each ^ mask[at % 4] for at, each in enumerate(payload))
    return bytes([first, size[0] | 0x80]) + size[1:] + mask + masked


FRAMES: dict[str, tuple[int, bytes, dict[str, int]]] = {
    "text": (1, b"caf\xc3\xa9", {}),
    "binary": (2, bytes(range(256)), {}),
    "an empty message": (1, b"", {}),
    "the first of a fragmented message": (1, b"a", {"is_final": False}),
    "a ping": (9, b"still there?", {}),
    "a pong nobody asked for": (10, b"yes", {}),
    "a compressed message (RFC 7692)": (1, b"\xcaH\xcd\xc9\xc9\x07\x00", {"rsv": 4}),
    "a frame of a kind that is not defined yet": (11, b"?", {}),
    "text that is no UTF-8": (1, b"\xff\xfe", {}),
}


async def opened(bench: Bench, *lines: bytes, agrees_with: bytes = b"", after: bytes = b"") -> tuple[Caller, Talk]:
    """The caller and the origin, joined."""
    talks: list[Talk] = []
    is_over = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send((agrees_with or agrees()) + after)
        talks.append(talk)
        await is_over.wait()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"GET /CASE HTTP/1.1", *OFFER, *lines))
    answers = await caller.answer()
    assert [each.status for each in answers] == [101], f"got {[each.status for each in answers]}"
    await bench.until(lambda: talks, "the origin agrees")
    caller.data = caller.data.partition(b"\r\n\r\n")[2]
    return caller, talks[0]


async def heard(caller: Caller, wanted: bytes) -> None:
    while len(caller.data) < len(wanted):
        assert await caller.more(), f"only {caller.data!r} came"
    assert caller.data == wanted, f"{caller.data[:60]!r} came"
    caller.data = b""


def _passes(name: str, opcode: int, payload: bytes, options: dict[str, int]) -> Case:
    async def scenario(bench: Bench) -> None:
        caller, origin = await opened(bench)
        up = frame(
            opcode, payload, is_masked=True, is_final=options.get("is_final", True) is True, rsv=options.get("rsv", 0)
        )
        down = frame(opcode, payload, is_final=options.get("is_final", True) is True, rsv=options.get("rsv", 0))
        await caller.send(up)
        assert await asyncio.wait_for(origin.reader.readexactly(len(up)), SECONDS) == up
        await origin.send(down)
        await heard(caller, down)

    return Case(f"a frame passes both ways as it is: {name}", scenario=scenario)


async def the_handshake_passes_both_ways(bench: Bench) -> None:
    extension = b"permessage-deflate; client_max_window_bits"
    caller, _ = await opened(
        bench,
        b"Sec-WebSocket-Protocol: chat, v2.chat",
        b"Sec-WebSocket-Extensions: " + extension,
        b"Origin: http://h",
        b"Cookie: a=1",
        agrees_with=agrees(
            b"Sec-WebSocket-Protocol: v2.chat",
            b"Sec-WebSocket-Extensions: permessage-deflate",
            b"Set-Cookie: b=2",
            b"Set-Cookie: c=3",
        ),
    )
    asked = bench.asked[0]
    told = {
        name: asked.values(name)
        for name in (
            b"sec-websocket-protocol",
            b"sec-websocket-extensions",
            b"origin",
            b"cookie",
            b"sec-websocket-key",
            b"sec-websocket-version",
        )
    }
    assert list(told.values()) == [[b"chat, v2.chat"], [extension], [b"http://h"], [b"a=1"], [KEY], [b"13"]], told
    assert [value.lower() for value in asked.values(b"upgrade")] == [b"websocket"]
    assert caller.is_ended is False


async def the_answer_to_the_handshake_passes(bench: Bench) -> None:
    bench.answering(
        says(
            agrees(
                b"Sec-WebSocket-Protocol: v2.chat",
                b"Sec-WebSocket-Extensions: permessage-deflate",
                b"Set-Cookie: b=2",
                b"Set-Cookie: c=3",
            )
        )
    )
    caller = await bench.caller()
    await caller.send(request(b"GET /CASE HTTP/1.1", *OFFER))
    (answer,) = await caller.answer()
    assert answer.values(b"sec-websocket-accept") == [ACCEPT]
    assert answer.values(b"sec-websocket-protocol") == [b"v2.chat"]
    assert answer.values(b"sec-websocket-extensions") == [b"permessage-deflate"]
    assert answer.values(b"set-cookie") == [b"b=2", b"c=3"]
    assert [each.lower() for each in answer.values(b"upgrade")] == [b"websocket"]
    assert [each.lower() for each in answer.values(b"connection")] == [b"upgrade"]


async def what_the_origin_says_with_its_101_is_not_lost(bench: Bench) -> None:
    hello = frame(1, b"hello")
    caller, _ = await opened(bench, after=hello)
    await heard(caller, hello)


async def what_the_caller_says_right_after_the_101_is_not_lost(bench: Bench) -> None:
    caller, origin = await opened(bench)
    frames = b"".join(frame(1, b"%d" % number, is_masked=True) for number in range(200))
    await caller.send(frames)
    assert await asyncio.wait_for(origin.reader.readexactly(len(frames)), SECONDS) == frames


async def a_megabyte_passes_both_ways(bench: Bench) -> None:
    caller, origin = await opened(bench)
    big = bytes(range(256)) * 4_096
    await caller.send(big)
    assert await asyncio.wait_for(origin.reader.readexactly(len(big)), SECONDS) == big
    await origin.send(big)
    await heard(caller, big)


async def the_origins_close_reaches_the_caller(bench: Bench) -> None:
    caller, origin = await opened(bench)
    close = frame(8, (4001).to_bytes(2, "big") + b"bye")
    await origin.send(close)
    await heard(caller, close)
    reply = frame(8, (4001).to_bytes(2, "big"), is_masked=True)
    await caller.send(reply)
    assert await asyncio.wait_for(origin.reader.readexactly(len(reply)), SECONDS) == reply
    origin.writer.close()
    assert await caller.ended(), "the caller's connection stays open"


async def the_callers_close_reaches_the_origin(bench: Bench) -> None:
    caller, origin = await opened(bench)
    close = frame(8, (1001).to_bytes(2, "big"), is_masked=True)
    await caller.send(close)
    assert await asyncio.wait_for(origin.reader.readexactly(len(close)), SECONDS) == close
    caller.leave()
    assert await asyncio.wait_for(origin.reader.read(), SECONDS) == b""


async def an_origin_that_dies_ends_the_callers_websocket(bench: Bench) -> None:
    caller, origin = await opened(bench)
    origin.reset()
    assert await caller.ended(), "the caller's connection stays open"


async def a_caller_who_dies_ends_the_origins_websocket(bench: Bench) -> None:
    caller, origin = await opened(bench)
    caller.leave()
    try:
        assert await asyncio.wait_for(origin.reader.read(), SECONDS) == b""
    except ConnectionError:
        return


async def a_refused_handshake_leaves_http_on_the_connection(bench: Bench) -> None:
    """426 for a wrong version: whoever takes that for an open tunnel lets the next request past every rule."""
    bench.answering(says(answer(b"Sec-WebSocket-Version: 13", status=b"426 Upgrade Required", body=b"no")))
    caller = await bench.caller()
    await caller.send(request(b"GET /CASE HTTP/1.1", *OFFER[:2], b"Sec-WebSocket-Version: 777", OFFER[3]))
    answers = await caller.answer()
    assert [each.status for each in answers] in ([426], [400]), f"got {[each.status for each in answers]}"
    if answers[0].status == 400:
        return
    bench.answering(says(OK))
    await caller.send(request(b"GET /CASE/second HTTP/1.1", b"X-Forwarded-For: 6.6.6.6"))
    await caller.answer(2)
    second = [each for each in bench.asked if b"/second" in each.line]
    assert not second or second[0].values(b"x-forwarded-for") != [b"6.6.6.6"], "the request went through a tunnel"


WEBSOCKETS = [
    *(
        told(each)
        for each in (
            the_handshake_passes_both_ways,
            the_answer_to_the_handshake_passes,
            what_the_origin_says_with_its_101_is_not_lost,
            what_the_caller_says_right_after_the_101_is_not_lost,
            a_megabyte_passes_both_ways,
            the_origins_close_reaches_the_caller,
            the_callers_close_reaches_the_origin,
            an_origin_that_dies_ends_the_callers_websocket,
            a_caller_who_dies_ends_the_origins_websocket,
            a_refused_handshake_leaves_http_on_the_connection,
        )
    ),
    *(_passes(name, opcode, payload, options) for name, (opcode, payload, options) in FRAMES.items()),
    Case(
        "a handshake keeps its query",
        request(b"GET /CASE/a%2Fb?token=%20x&b HTTP/1.1", *OFFER),
        line(b"GET /CASE/a%2Fb?token=%20x&b HTTP/1.1"),
        answer=agrees(),
    ),
    Case(
        "a refused handshake passes as it is",
        request(b"GET /CASE HTTP/1.1", *OFFER),
        every(got(403), body(b"no entry"), header(b"x-why", b"because")),
        answer=answer(b"X-Why: because", status=b"403 Forbidden", body=b"no entry"),
    ),
    Case(
        "a handshake that is answered like a request passes as it is",
        request(b"GET /CASE HTTP/1.1", *OFFER),
        every(got(200), body(b"ok")),
    ),
    # RFC 9110 §15.2.2: a change of protocol that nobody asked for.
    Case(
        "a 101 that nobody asked for is a bad gateway",
        request(),
        either(
            every(got(502, 503), answered(1)), lambda seen: "" if seen.is_closed and not seen.answers else "passed on"
        ),
        answer=agrees(),
    ),
    Case(
        "an offer by POST opens nothing",
        request(b"POST /CASE HTTP/1.1", *OFFER, b"Content-Length: 3", body=b"abc"),
        either(unasked(400, 403, 405), every(got(200), asked(1))),
    ),
    Case(
        "Upgrade without Connection offers nothing",
        request(b"GET /CASE HTTP/1.1", *OFFER[1:]),
        either(every(got(200), sent(b"upgrade")), unasked(400)),
    ),
]
