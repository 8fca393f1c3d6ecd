"""Floods and stalls: refused or ended in bounded time and memory, and nobody else notices."""

from __future__ import annotations

import asyncio
import time

from .case import SECONDS, Bench, Caller, Case, told
from .checks import asked, closed, either, every, got, refused
from .faithful import request
from .origin import OK, says
from .targets import resident_bytes

GET = request()
SLOW_SECONDS = 75.0
"""So long a caller may take to say nothing, or next to nothing, before it is cut off."""
CONNECTIONS = 400
GROWTH_BYTES = 100 * 1024 * 1024

# 431 and 414 are the right ones (RFC 6585 §5, RFC 9110 §15.5.15); 400, 413 or a closed connection refuse as well.
refuses = refused(400, 413, 414, 431, 503)

FLOODS = [
    Case("a request line of a megabyte", request(b"GET /CASE/" + b"a" * 1_000_000 + b" HTTP/1.1"), refuses),
    Case("a method of a megabyte", request(b"A" * 1_000_000 + b" /CASE HTTP/1.1"), refused(400, 405, 414, 431, 501)),
    Case("a value of a megabyte", request(b"GET /CASE HTTP/1.1", b"X: " + b"a" * 1_000_000), refuses),
    Case("a name of a megabyte", request(b"GET /CASE HTTP/1.1", b"X" * 1_000_000 + b": a"), refuses),
    Case("ten thousand headers", request(b"GET /CASE HTTP/1.1", *[b"X: y"] * 10_000), refuses),
    Case(
        "a hundred cookies of eight kilobytes",
        request(b"GET /CASE HTTP/1.1", *[b"Cookie: a=" + b"b" * 8_000] * 100),
        refuses,
    ),
    Case("a request line that has no end", b"GET /CASE/" + b"a" * 1_000_000, refuses),
    Case("a header that has no end", b"GET /CASE HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 1_000_000, refuses),
    Case(
        "empty lines without an end",
        b"\r\n" * 500_000,
        either(every(asked(0), closed), every(asked(0), lambda seen: "answered" if seen.answers else "")),
        answers=0,
    ),
    Case(
        "eight kilobytes of headers are no flood",
        request(b"GET /CASE HTTP/1.1", *[b"X: " + b"a" * 1_000] * 8),
        every(got(200), asked(1)),
    ),
    Case("eighty headers are no flood", request(b"GET /CASE HTTP/1.1", *[b"X: y"] * 80), every(got(200), asked(1))),
]


async def _is_served(bench: Bench, seconds: float = SECONDS) -> None:
    other = await bench.caller()
    await other.send(GET)
    answers = await other.answer(seconds=seconds)
    assert [each.status for each in answers] == [200], f"another caller got {[each.status for each in answers]}"


async def connections_that_say_nothing_keep_nobody_out(bench: Bench) -> None:
    for _ in range(CONNECTIONS):
        await bench.caller()
    await _is_served(bench)


async def connections_with_half_a_head_keep_nobody_out(bench: Bench) -> None:
    for _ in range(CONNECTIONS):
        await (await bench.caller()).send(GET[:-4])
    await _is_served(bench)


async def connections_with_half_a_body_keep_nobody_out(bench: Bench) -> None:
    for _ in range(100):
        await (await bench.caller()).send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 100", body=b"abc"))
    await _is_served(bench)


async def a_storm_of_connections_that_are_reset_keeps_nobody_out(bench: Bench) -> None:
    for _ in range(CONNECTIONS):
        caller = await bench.caller()
        await caller.send(GET[:9])
        caller.leave()
    await _is_served(bench)


async def a_pipelined_flood_that_nobody_reads_needs_no_memory(bench: Bench) -> None:
    """The target stops reading long before it holds all the answers."""
    bench.answering(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"a" * 10_000))
    before = resident_bytes(bench.pids())
    caller = await bench.caller()
    flood = GET * 200
    sent = 0
    deadline = time.monotonic() + SECONDS
    while sent < 200 and time.monotonic() < deadline:
        caller.writer.write(flood.replace(b"CASE", bench.mark))
        sent += 1
        try:
            await asyncio.wait_for(caller.writer.drain(), 0.5)
        except (TimeoutError, ConnectionError):
            break
    grown = resident_bytes(bench.pids()) - before
    assert grown < GROWTH_BYTES, f"grew by {grown >> 20} MiB"
    await _is_served(bench)


async def a_body_in_chunks_of_one_byte_passes(bench: Bench) -> None:
    count = 200_000
    caller = await bench.caller()
    await caller.send(
        request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" * count + b"0\r\n\r\n")
    )
    answers = await caller.answer(seconds=4 * SECONDS)
    assert [each.status for each in answers] in ([200], [400], [413]), f"got {[each.status for each in answers]}"
    if answers[0].status == 200:
        assert len(bench.asked[0].body) == count


async def _ends_in_time(bench: Bench, caller: Caller, every_second: bytes = b"") -> None:
    """The target ends it, whether the caller is silent or says a byte each second."""
    deadline = time.monotonic() + SLOW_SECONDS
    while time.monotonic() < deadline and not await caller.ended(1.0):
        if every_second:
            await caller.send(every_second)
    assert caller.is_ended, f"still open after {SLOW_SECONDS:g} s"
    assert not any(each.is_whole for each in bench.asked), "the origin got a whole request"


async def who_never_says_a_word_is_cut_off(bench: Bench) -> None:
    await _ends_in_time(bench, await bench.caller())


async def a_head_that_stops_is_cut_off(bench: Bench) -> None:
    caller = await bench.caller()
    await caller.send(GET[:-4])
    await _ends_in_time(bench, caller)


async def a_head_that_trickles_is_cut_off(bench: Bench) -> None:
    caller = await bench.caller()
    await caller.send(GET[:-2])
    await _ends_in_time(bench, caller, b"X: y\r\n")


async def a_body_that_stops_is_cut_off(bench: Bench) -> None:
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 100", body=b"abc"))
    await _ends_in_time(bench, caller)


async def a_chunked_body_that_stops_is_cut_off(bench: Bench) -> None:
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
    await _ends_in_time(bench, caller)


async def a_second_head_that_stops_is_cut_off(bench: Bench) -> None:
    bench.answering(says(OK))
    caller = await bench.caller()
    await caller.send(GET)
    assert [each.status for each in await caller.answer()] == [200]
    await caller.send(GET[:-4])
    deadline = time.monotonic() + SLOW_SECONDS
    assert await caller.ended(deadline - time.monotonic()), f"still open after {SLOW_SECONDS:g} s"
    assert len(bench.asked) == 1


CROWDS = [
    told(each)
    for each in (
        connections_that_say_nothing_keep_nobody_out,
        connections_with_half_a_head_keep_nobody_out,
        connections_with_half_a_body_keep_nobody_out,
        a_storm_of_connections_that_are_reset_keeps_nobody_out,
        a_pipelined_flood_that_nobody_reads_needs_no_memory,
        a_body_in_chunks_of_one_byte_passes,
    )
]

STALLS = [
    told(each, is_deep=True, is_waiting=True)
    for each in (
        who_never_says_a_word_is_cut_off,
        a_head_that_stops_is_cut_off,
        a_head_that_trickles_is_cut_off,
        a_body_that_stops_is_cut_off,
        a_chunked_body_that_stops_is_cut_off,
        a_second_head_that_stops_is_cut_off,
    )
]
