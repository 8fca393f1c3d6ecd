"""Legacy answers what the extracted upstream could not, where nothing can have been executed twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import AnswerCut, AnswerMalformed, AnswerTimeout, Busy, ConnectFailed, ConnectTimeout, Down, UpstreamError
from ..failures import may_fall_back
from .conftest import Front
from .test_deadlines import OFFER, SWITCH
from .test_trips import route
from .wire import OK, Script, Talk, always, caller, once, until, upstream

pytestmark = pytest.mark.anyio

ROUTE = """
[server]
answered_by = {answered_by}
[upstreams.new]
url = "{url}"
{settings}
[[routes]]
name = "r"
path = "/{{rest:path}}"
stage = "extracted"
fallback = {fallback}
"""
GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
OPTIONS = POST.replace(b"POST", b"OPTIONS")
CHUNKED = b"POST /r HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
NEW = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew"


def rest(url: str, settings: str = "", *, fallback: str = "true", answered_by: str = "false") -> str:
    return ROUTE.format(url=url, settings=settings, fallback=fallback, answered_by=answered_by)


async def nobody() -> str:
    """An address at which nobody listens."""
    async with upstream(always(OK)) as gone:
        return gone.url


async def silent(talk: Talk) -> None:
    await talk.ended()


async def reset(talk: Talk) -> None:
    await talk.request()
    talk.reset()


@pytest.mark.parametrize(
    ("error", "is_safe", "expected"),
    [
        *((error, False, True) for error in (Down, Busy, ConnectFailed, ConnectTimeout)),
        *((error, False, False) for error in (AnswerCut, AnswerMalformed, AnswerTimeout)),
        *((error, True, True) for error in (Down, Busy, ConnectFailed, AnswerCut, AnswerMalformed, AnswerTimeout)),
    ],
)
def test_only_what_was_not_sent_or_is_safe_falls_back(
    error: type[UpstreamError], is_safe: bool, expected: bool
) -> None:
    falling = route().model_copy(update={"fallback": True})

    assert may_fall_back(falling, error("x"), is_safe=is_safe) is expected
    assert not may_fall_back(route(), error("x"), is_safe=is_safe)


@pytest.mark.parametrize("request_bytes", [GET, POST, CHUNKED], ids=["get", "post", "chunked"])
async def test_legacy_answers_any_request_that_could_not_be_sent(front: Front, request_bytes: bytes) -> None:
    router, legacy = await front(always(OK), rest=rest(await nobody()))

    answer = await router.ask(request_bytes)

    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.values(b"x-answered-by") == [b"legacy"]
    assert legacy.asked[0].body == {GET: b"", POST: b"abc", CHUNKED: b"abcde"}[request_bytes]


async def test_a_chunked_body_is_given_to_legacy_whole_though_the_extracted_upstream_wanted_a_stream(
    front: Front,
) -> None:
    router, legacy = await front(always(OK), rest=rest(await nobody(), 'chunked_requests = "stream"'))

    assert (await router.ask(CHUNKED)).status == 200

    assert legacy.asked[0].body == b"abcde"
    assert legacy.asked[0].values(b"content-length") == [b"5"]


async def test_a_chunked_body_is_streamed_to_legacy_though_the_extracted_upstream_wanted_it_whole(
    front: Front,
) -> None:
    router, legacy = await front(always(OK), settings='chunked_requests = "stream"', rest=rest(await nobody()))

    assert (await router.ask(CHUNKED)).status == 200

    assert legacy.asked[0].body.endswith(b"0\r\n\r\n")
    assert legacy.asked[0].values(b"transfer-encoding") == [b"chunked"]


async def test_a_long_body_that_has_not_begun_to_go_out_goes_to_legacy_whole(front: Front) -> None:
    body = bytes(range(256)) * 4096
    router, legacy = await front(always(OK), rest=rest(await nobody()))

    answer = await router.ask(b"PUT /r HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    assert answer.status == 200
    assert legacy.asked[0].body == body


@pytest.mark.parametrize(
    "script", [once(b""), once(b"HTTP/1.1 20"), once(b"nonsense\r\n\r\n"), reset, silent],
    ids=["end", "half a head", "nonsense", "reset", "silence"],
)  # fmt: skip
async def test_legacy_answers_a_safe_request_whose_answer_never_began_and_never_an_unsafe_one(
    front: Front, script: Script
) -> None:
    async with upstream(script) as new:
        router, legacy = await front(always(OK), rest=rest(new.url, "first_byte_seconds = 0.1"))

        safe, unsafe = await router.ask(GET), await router.ask(POST)

    assert (safe.status, safe.body, safe.values(b"x-answered-by")) == (200, b"ok", [b"legacy"])
    assert unsafe.status in (502, 504)
    assert not unsafe.values(b"x-answered-by")
    assert [asked.line.split(b" ")[0] for asked in legacy.asked] == [b"GET"]


async def test_a_safe_request_whose_body_has_partly_gone_out_does_not_fall_back(front: Front) -> None:
    async def heard_half(talk: Talk) -> None:
        await talk.head()
        await talk.reader.readexactly(4)
        talk.reset()

    async with upstream(heard_half) as new:
        router, legacy = await front(always(OK), rest=rest(new.url))
        async with caller(router.port) as me:
            answer = await me.ask(b"OPTIONS /r HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")

    assert answer.status == 502
    assert not legacy.asked


async def test_an_answer_that_has_begun_is_cut_and_legacy_is_not_asked(front: Front) -> None:
    async with upstream(once(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")) as new:
        router, legacy = await front(always(OK), rest=rest(new.url))

        answer = await router.ask(GET)

    assert answer.is_cut
    assert not legacy.asked


async def test_an_answer_with_a_bad_status_is_an_answer(front: Front) -> None:
    async with upstream(once(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")) as new:
        router, legacy = await front(always(OK), rest=rest(new.url))

        assert (await router.ask(GET)).status == 503

    assert not legacy.asked


async def test_without_fallback_the_failure_is_the_callers(front: Front) -> None:
    router, legacy = await front(always(OK), rest=rest(await nobody(), fallback="false"))

    assert (await router.ask(GET)).status == 502
    assert not legacy.asked


async def test_when_legacy_fails_too_its_failure_is_the_callers(front: Front) -> None:
    router, _ = await front(once(b"HTTP/1.1 20"), rest=rest(await nobody()))

    answer = await router.ask(GET)

    assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_cut")


async def test_a_busy_upstream_falls_back(front: Front) -> None:
    async with upstream(silent) as new:
        router, _ = await front(always(OK), rest=rest(new.url, "connections = 1\nwaiting = 0"))
        async with caller(router.port) as first:
            await first.send(POST)
            await until(lambda: new.open)

            answer = await router.ask(POST)

    assert (answer.status, answer.values(b"x-answered-by")) == (200, [b"legacy"])


async def test_the_extracted_upstreams_own_answer_says_who_answered_only_where_that_is_wanted(front: Front) -> None:
    async with upstream(always(NEW)) as new:
        for wanted, expected in (("false", []), ("true", [b"new"])):
            router, _ = await front(always(OK), rest=rest(new.url, answered_by=wanted))

            assert (await router.ask(GET)).values(b"x-answered-by") == expected


async def test_the_trace_names_who_answered_and_what_had_failed(front: Front, tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    router, _ = await front(always(OK), rest=rest(await nobody()), environ={"TRACES_FILE": str(file)})

    await router.ask(GET)

    await until(lambda: file.exists() and '"SERVER"' in file.read_text())
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    (server,) = [span["attributes"] for span in spans if span["kind"] == "SERVER"]
    assert (server["strangler.upstream"], server["strangler.fallback"]) == ("legacy", "ConnectFailed")
    assert "error.type" not in server


async def test_a_caller_who_leaves_while_legacy_stands_in_ends_its_request_too(front: Front) -> None:
    router, legacy = await front(silent, rest=rest(await nobody()))
    async with caller(router.port) as me:
        await me.send(GET)
        await until(lambda: legacy.open)
        me.leave()

        await until(lambda: not legacy.open)

    await until(lambda: not router.state.tasks)


async def test_a_websocket_that_the_extracted_upstream_cannot_take_is_offered_to_legacy(front: Front) -> None:
    async def echo(talk: Talk) -> None:
        await talk.request()
        await talk.send(SWITCH)
        await talk.send(await talk.reader.read(100))

    router, legacy = await front(echo, rest=rest(await nobody()))
    async with caller(router.port) as me:
        await me.send(OFFER)
        head = await asyncio.wait_for(me.reader.readuntil(b"\r\n\r\n"), 5)
        await me.send(b"hello")
        said = await asyncio.wait_for(me.reader.readexactly(5), 5)

    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"x-answered-by: legacy" in head
    assert said == b"hello"
    assert legacy.asked[0].values(b"upgrade") == [b"websocket"]


@pytest.mark.parametrize("request_bytes", [GET, OPTIONS], ids=["without a body", "with a body"])
async def test_legacy_stands_in_behind_a_server_that_does_not_tell_of_leaving(
    front: Front, request_bytes: bytes
) -> None:
    async with upstream(reset) as new:
        router, legacy = await front(always(OK), rest=rest(new.url), protocol=HttpToolsProtocol)

        answer = await router.ask(request_bytes)

    assert (answer.status, answer.body) == (200, b"ok")
    assert legacy.asked[0].body == (b"abc" if request_bytes is OPTIONS else b"")
    await until(lambda: not router.state.tasks)
