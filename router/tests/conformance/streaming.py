"""Bytes are passed on when they come, no faster than they are taken, and an end that is none never looks like one."""

from __future__ import annotations

import asyncio
import time

from .case import SECONDS, Bench, Caller, told
from .faithful import request
from .origin import OK, Talk
from .targets import resident_bytes

GET = request()
GET_AND_CLOSE = request(b"GET /CASE HTTP/1.1", b"Connection: close")
SOON_SECONDS = 5.0
"""A caller's leaving reaches the origin by then or, as far as anybody can see, never; on a busy machine, too."""
PIECE = bytes(65_536)
MANY = 1_024
"""Pieces: more than all buffers on the way can hold (64 MiB)."""
HUGE = 16 * MANY
GROWTH_BYTES = 32 * 1024 * 1024
"""So much more memory may a target use while a gigabyte waits in it for a slow reader."""


async def _comes_piece_by_piece(
    bench: Bench, opening: bytes, frame: bytes, end: bytes, *, closes: bool = False
) -> None:
    """The origin says the next piece only when the caller has the one before."""
    taken = asyncio.Semaphore(0)

    async def script(talk: Talk) -> None:
        await talk.body()
        await talk.send(opening)
        for number in range(5):
            await talk.send(frame % number)
            async with asyncio.timeout(SECONDS):
                await taken.acquire()
        await talk.send(end)
        if closes:
            talk.writer.close()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(GET)
    for number in range(5):
        deadline = time.monotonic() + SECONDS
        while b"piece %d" % number not in caller.data:
            assert await caller.more(max(0.01, deadline - time.monotonic())), f"piece {number} does not come"
        taken.release()
    answers = await caller.answer()
    assert answers[-1].is_whole, "no end"
    assert answers[-1].body == b"".join(b"piece %d\n" % number for number in range(5))


async def a_chunked_answer_comes_piece_by_piece(bench: Bench) -> None:
    await _comes_piece_by_piece(
        bench,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"8\r\npiece %d\n\r\n",
        b"0\r\n\r\n",
    )


async def an_answer_with_a_length_comes_piece_by_piece(bench: Bench) -> None:
    await _comes_piece_by_piece(bench, b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", b"piece %d\n", b"")


async def an_answer_without_a_length_comes_piece_by_piece(bench: Bench) -> None:
    await _comes_piece_by_piece(bench, b"HTTP/1.1 200 OK\r\n\r\n", b"piece %d\n", b"", closes=True)


async def a_head_comes_before_its_body(bench: Bench) -> None:
    taken = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        async with asyncio.timeout(SECONDS):
            await taken.wait()
        await talk.send(b"ok")

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(GET)
    assert await caller.more(), "no head"
    taken.set()
    assert (await caller.answer())[0].body == b"ok"


async def early_hints_come_before_the_answer_is_there(bench: Bench) -> None:
    has_hints = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        async with asyncio.timeout(SECONDS):
            await has_hints.wait()
        await talk.send(OK)

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(GET)
    hints = await caller.answer(seconds=SOON_SECONDS)
    assert [(each.status, each.values(b"link")) for each in hints] == [(103, [b"</a.css>"])], "no hints"
    has_hints.set()
    assert [each.status for each in await caller.answer(2)] == [103, 200]


async def _goes_piece_by_piece(bench: Bench, line: bytes, pieces: list[bytes]) -> None:
    arrived = asyncio.Semaphore(0)

    async def script(talk: Talk) -> None:
        for piece in pieces:
            await talk.reader.readexactly(len(piece))
            arrived.release()
        await talk.send(OK)

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", line))
    for number, piece in enumerate(pieces):
        await caller.send(piece)
        try:
            await asyncio.wait_for(arrived.acquire(), SOON_SECONDS)
        except TimeoutError:
            raise AssertionError(f"piece {number} does not reach the origin") from None
    assert (await caller.answer())[0].status == 200


async def a_body_with_a_length_goes_piece_by_piece(bench: Bench) -> None:
    await _goes_piece_by_piece(bench, b"Content-Length: 12", [b"abc", b"def", b"ghi", b"jkl"])


async def a_chunked_body_goes_piece_by_piece(bench: Bench) -> None:
    await _goes_piece_by_piece(bench, b"Transfer-Encoding: chunked", [b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n"])


async def both_directions_at_once(bench: Bench) -> None:
    """The answer begins while the request is still being said, and follows it."""

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            await talk.send(b"3\r\n" + await talk.reader.readexactly(3) + b"\r\n")
        await talk.send(b"0\r\n\r\n")

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 12"))
    for word in (b"abc", b"def", b"ghi", b"jkl"):
        await caller.send(word)
        while word not in caller.data:
            assert await caller.more(), f"{word!r} does not come back"
    assert (await caller.answer())[0].is_whole


async def _stalls(count: list[int], what: str) -> None:
    """Wait until it grows no more; fail if it is everything."""
    before = -1
    while count[0] != before:
        before = count[0]
        await asyncio.sleep(0.3)
    assert count[0] < MANY, f"{what} was taken whole, 64 MiB, though nobody reads"


async def a_slow_caller_slows_the_origin_down(bench: Bench) -> None:
    sent = [0]

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MANY * len(PIECE)))
        for _ in range(MANY):
            await talk.send(PIECE)
            sent[0] += 1

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(GET_AND_CLOSE)
    await bench.until(lambda: sent[0] > 1, "the answer begins")
    await _stalls(sent, "the answer")
    assert await _drained(caller) > MANY * len(PIECE)


async def a_slow_origin_slows_the_caller_down(bench: Bench) -> None:
    sent = [0]
    goes_on = asyncio.Event()
    total = MANY * len(PIECE)
    read = 0

    async def script(talk: Talk) -> None:
        nonlocal read
        await goes_on.wait()
        while read < total and (piece := await talk.reader.read(262_144)):
            read += len(piece)
        await talk.send(OK)

    async def send() -> None:
        for _ in range(MANY):
            caller.writer.write(PIECE)
            await caller.writer.drain()
            sent[0] += 1

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: %d" % total))
    sending = asyncio.create_task(send())
    try:
        await bench.until(lambda: sent[0] > 1, "the body begins")
        await _stalls(sent, "the body")
        goes_on.set()
        await asyncio.wait_for(sending, 4 * SECONDS)
        assert (await caller.answer(seconds=4 * SECONDS))[0].status == 200
        assert read == total
    finally:
        sending.cancel()


async def _drained(caller: Caller, pause_seconds: float = 0.0, after: int = 0) -> int:
    """Read everything until the connection ends; the count of bytes."""
    count = 0
    while piece := await asyncio.wait_for(caller.reader.read(262_144), SECONDS):
        count += len(piece)
        if pause_seconds and count % after < len(piece):
            await asyncio.sleep(pause_seconds)
    return count


async def a_gigabyte_for_a_slow_reader_needs_no_memory(bench: Bench) -> None:
    total = HUGE * len(PIECE)

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(HUGE):
            await talk.send(PIECE)

    bench.answering(script)
    warm = await bench.caller()
    await warm.send(GET)
    await warm.more()
    warm.leave()
    before = resident_bytes(bench.pids())
    peak = [before]
    caller = await bench.caller()
    watching = asyncio.create_task(_watch(bench, peak))
    try:
        await caller.send(GET_AND_CLOSE)
        assert await _drained(caller, 0.05, 32 * 1024 * 1024) > total
    finally:
        watching.cancel()
    assert peak[0] - before < GROWTH_BYTES, f"grew by {(peak[0] - before) >> 20} MiB"


async def a_gigabyte_for_a_slow_origin_needs_no_memory(bench: Bench) -> None:
    total = HUGE * len(PIECE)
    read = 0

    async def script(talk: Talk) -> None:
        nonlocal read
        while read < total and (piece := await talk.reader.read(262_144)):
            read += len(piece)
            if read % (32 * 1024 * 1024) < len(piece):
                await asyncio.sleep(0.05)
        await talk.send(OK)

    bench.answering(script)
    before = resident_bytes(bench.pids())
    peak = [before]
    caller = await bench.caller()
    watching = asyncio.create_task(_watch(bench, peak))
    try:
        await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: %d" % total))
        for _ in range(HUGE):
            caller.writer.write(PIECE)
            await caller.writer.drain()
        assert (await caller.answer(seconds=60))[0].status == 200
    finally:
        watching.cancel()
    assert read == total
    assert peak[0] - before < GROWTH_BYTES, f"grew by {(peak[0] - before) >> 20} MiB"


async def _watch(bench: Bench, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], resident_bytes(bench.pids()))
        await asyncio.sleep(0.1)


STREAMING = [
    *(
        told(each)
        for each in (
            a_head_comes_before_its_body,
            early_hints_come_before_the_answer_is_there,
            a_chunked_answer_comes_piece_by_piece,
            an_answer_with_a_length_comes_piece_by_piece,
            an_answer_without_a_length_comes_piece_by_piece,
            a_body_with_a_length_goes_piece_by_piece,
            a_chunked_body_goes_piece_by_piece,
            both_directions_at_once,
            a_slow_caller_slows_the_origin_down,
            a_slow_origin_slows_the_caller_down,
        )
    ),
    told(a_gigabyte_for_a_slow_reader_needs_no_memory, is_deep=True),
    told(a_gigabyte_for_a_slow_origin_needs_no_memory, is_deep=True),
]
