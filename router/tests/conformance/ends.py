"""An end that is none never looks like one: whoever leaves or dies is missed at once on the other side."""

from __future__ import annotations

import asyncio

from .case import Bench, told
from .faithful import request
from .origin import OK, Talk, says
from .streaming import GET, SOON_SECONDS


async def _leaves(bench: Bench, opening: bytes, sends: bytes = GET) -> None:
    async def script(talk: Talk) -> None:
        if opening:
            await talk.send(opening)
        await talk.left()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(sends)
    await bench.until(lambda: bench.asked, "the request reaches the origin")
    if opening:
        await caller.more()
    caller.leave()
    await bench.until(lambda: bench.asked[0].is_left, "the origin hears that the caller left", SOON_SECONDS)


async def who_leaves_before_the_answer_ends_the_origins_request(bench: Bench) -> None:
    await _leaves(bench, b"")


async def who_leaves_amid_an_answer_with_a_length_ends_it(bench: Bench) -> None:
    await _leaves(bench, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")


async def who_leaves_amid_a_chunked_answer_ends_it(bench: Bench) -> None:
    await _leaves(bench, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")


async def who_leaves_amid_their_body_ends_the_origins_request(bench: Bench) -> None:
    await _leaves(bench, b"", request(b"POST /CASE HTTP/1.1", b"Content-Length: 100", body=b"abc"))
    assert not bench.asked[0].is_whole


async def half_a_chunked_body_is_never_whole_at_the_origin(bench: Bench) -> None:
    async def script(talk: Talk) -> None:
        await says(OK)(talk)

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
    await asyncio.sleep(0.1)
    caller.leave()
    await asyncio.sleep(0.2)
    assert not any(each.is_whole for each in bench.asked), "the origin takes it for a whole request"


async def _dies(bench: Bench, sends: bytes, *, by_reset: bool = False, line: bytes = b"HTTP/1.1") -> None:
    async def script(talk: Talk) -> None:
        await talk.body()
        await talk.send(sends)
        await asyncio.sleep(0.05)
        if by_reset:
            talk.reset()
        talk.writer.close()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"GET /CASE " + line))
    assert await caller.ended(), "the caller still waits"
    assert not any(each.is_whole and each.status < 500 for each in caller.answers), (
        "the caller takes it for a whole answer"
    )


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


async def an_origin_that_closes_amid_a_body_with_a_length_is_a_cut(bench: Bench) -> None:
    await _dies(bench, LENGTH)


async def an_origin_that_closes_amid_chunks_is_a_cut(bench: Bench) -> None:
    await _dies(bench, CHUNKS)


async def an_origin_that_closes_amid_one_chunk_is_a_cut(bench: Bench) -> None:
    await _dies(bench, CHUNKS + b"ff\r\nabc")


async def an_origin_that_closes_before_the_last_line_is_a_cut(bench: Bench) -> None:
    await _dies(bench, CHUNKS + b"0\r\n")


async def an_origin_that_resets_amid_a_body_with_a_length_is_a_cut(bench: Bench) -> None:
    await _dies(bench, LENGTH, by_reset=True)


async def an_origin_that_resets_amid_chunks_is_a_cut(bench: Bench) -> None:
    await _dies(bench, CHUNKS, by_reset=True)


async def _has_bad_gateway(bench: Bench, sends: bytes, *, by_reset: bool = False) -> None:
    async def script(talk: Talk) -> None:
        await talk.body()
        await talk.send(sends)
        if by_reset:
            talk.reset()
        talk.writer.close()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(GET)
    answers = await caller.answer()
    assert [each.status for each in answers] in ([502], [503], [504]), f"got {[each.status for each in answers]}"


async def an_origin_that_closes_without_an_answer_is_a_bad_gateway(bench: Bench) -> None:
    await _has_bad_gateway(bench, b"")


async def an_origin_that_resets_without_an_answer_is_a_bad_gateway(bench: Bench) -> None:
    await _has_bad_gateway(bench, b"", by_reset=True)


async def an_origin_that_closes_amid_its_head_is_a_bad_gateway(bench: Bench) -> None:
    await _has_bad_gateway(bench, b"HTTP/1.1 200 OK\r\nContent-Le")


async def an_early_answer_reaches_a_caller_who_still_sends(bench: Bench) -> None:
    """413, say: the origin reads no more and closes (RFC 9112 §9.3)."""

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await talk.left()

    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: 1000000", body=b"abc"))
    answers = await caller.answer()
    assert [(each.status, each.body) for each in answers] == [(413, b"big")], f"got {[each.status for each in answers]}"


async def the_rest_of_a_body_whose_answer_came_early_is_no_request(bench: Bench) -> None:
    """The caller goes on sending on its connection what the origin has answered already."""

    async def script(talk: Talk) -> None:
        if talk.asked.method != b"POST":
            await says(OK)(talk)
            return
        await talk.send(OK)
        await talk.body()

    hidden = b"GET /CASE/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    bench.answering(script)
    caller = await bench.caller()
    await caller.send(request(b"POST /CASE HTTP/1.1", b"Content-Length: %d" % (len(hidden) + 3), body=b"abc"))
    await caller.answer()
    await caller.send(hidden)
    for _ in range(3):
        other = await bench.caller()
        await other.send(GET)
        assert [each.status for each in await other.answer()] == [200]
    assert not any(b"smuggled" in each.line for each in bench.asked), "a body became a request"


ENDS = [
    told(each)
    for each in (
        who_leaves_before_the_answer_ends_the_origins_request,
        who_leaves_amid_an_answer_with_a_length_ends_it,
        who_leaves_amid_a_chunked_answer_ends_it,
        who_leaves_amid_their_body_ends_the_origins_request,
        half_a_chunked_body_is_never_whole_at_the_origin,
        an_origin_that_closes_amid_a_body_with_a_length_is_a_cut,
        an_origin_that_closes_amid_chunks_is_a_cut,
        an_origin_that_closes_amid_one_chunk_is_a_cut,
        an_origin_that_closes_before_the_last_line_is_a_cut,
        an_origin_that_resets_amid_a_body_with_a_length_is_a_cut,
        an_origin_that_resets_amid_chunks_is_a_cut,
        an_origin_that_closes_without_an_answer_is_a_bad_gateway,
        an_origin_that_resets_without_an_answer_is_a_bad_gateway,
        an_origin_that_closes_amid_its_head_is_a_bad_gateway,
        an_early_answer_reaches_a_caller_who_still_sends,
        the_rest_of_a_body_whose_answer_came_early_is_no_request,
    )
]
