"""What a caller gets when an upstream fails: a true status before the answer, a cut connection within it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .. import errors
from ..errors import AnswerTimeout, CallerLeft, ExchangeError
from ..failures import failure_answer, prefers_page
from .conftest import Backend, Front
from .wire import OK, Talk, always, caller, once, until, upstream

pytestmark = pytest.mark.anyio

ALL_TO_GONE = '[[routes]]\nname = "all"\npath = "/{rest:path}"\nstage = "extracted"'
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return "asyncio", {"use_uvloop": request.param}


async def nothing(talk: Talk) -> None:
    await talk.ended()


async def reset(talk: Talk) -> None:
    await talk.request()
    talk.reset()


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_an_upstream_that_ends_without_an_answer_is_a_502(front: Front, method: bytes) -> None:
    for script in (once(b""), once(b"HTTP/1.1 20"), reset):
        router, _ = await front(script)

        answer = await router.ask(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")

        assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_cut")


async def test_an_upstream_that_closes_at_once_is_a_502_at_once(front: Front) -> None:
    async def script(talk: Talk) -> None:
        talk.reset()

    router, _ = await front(script)

    assert (await router.ask(GET)).status == 502


async def test_an_upstream_that_nobody_serves_is_a_502(front: Front) -> None:
    async with upstream(always(OK)) as gone:
        pass
    router, _ = await front(always(OK), rest=f'[upstreams.gone]\nurl = "{gone.url}"\n{ALL_TO_GONE}')

    answer = await router.ask(GET)

    assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_unreachable")


async def test_an_answer_that_is_not_http_is_a_502(front: Front) -> None:
    for data in (
        b"hello\r\n\r\n",
        b"HTTP/1.1 999 X\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ):
        router, _ = await front(once(data))

        answer = await router.ask(GET)

        assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_malformed")


async def test_an_upstream_that_says_nothing_in_time_is_a_504(front: Front) -> None:
    router, legacy = await front(nothing, settings="first_byte_seconds = 0.1")

    answer = await router.ask(GET)

    assert (answer.status, json.loads(answer.body)["code"]) == (504, "upstream_timeout")
    await until(lambda: not legacy.open)


async def test_an_upstream_with_all_connections_in_use_is_a_503(front: Front) -> None:
    router, legacy = await front(nothing, settings="connections = 1\nwaiting = 0")
    async with caller(router.port) as first:
        await first.send(GET)
        await until(lambda: legacy.open)

        answer = await router.ask(GET)

    assert (answer.status, json.loads(answer.body)["code"]) == (503, "upstream_busy")
    assert answer.values(b"retry-after") == [b"1"]


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("begun", "ending"),
    [
        *((LENGTH, ending) for ending in ("end", "reset", "silence")),
        *((CHUNKED, ending) for ending in ("end", "reset", "silence", "nonsense")),
        *((CLOSE, ending) for ending in ("reset", "silence")),
    ],
)
async def test_a_failure_within_an_answer_cuts_the_callers_connection(front: Front, begun: bytes, ending: str) -> None:
    has_half = False

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(begun)
        await until(lambda: has_half)
        if ending == "reset":
            talk.reset()
        if ending == "nonsense":
            await talk.send(b"zz\r\n")
        if ending in ("silence", "nonsense"):
            await talk.ended()

    router, legacy = await front(script, settings=f"idle_seconds = {0.5 if ending == 'silence' else 60}")
    async with caller(router.port) as me:
        await me.send(GET)
        head = await me.head()
        head.body = await me.piece()
        has_half = True
        rest = await me.ended()

    assert head.body == b"half"
    assert b"0\r\n\r\n" not in rest
    await until(lambda: not legacy.open)
    await until(lambda: not router.state.tasks)


async def test_a_browser_gets_a_page_and_everybody_else_json(front: Front) -> None:
    router, _ = await front(once(b""))

    page = await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nAccept: text/html,*/*\r\n\r\n")
    data = await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n")

    assert page.values(b"content-type") == [b"text/html; charset=utf-8"]
    assert b"<h1>502 Bad Gateway</h1>" in page.body
    assert data.values(b"content-type") == [b"application/json"]
    assert set(json.loads(data.body)) == {"detail", "code", "request_id"}
    assert data.values(b"cache-control") == [b"no-store"]


async def test_a_failure_names_the_trace_that_the_upstream_saw(front: Front) -> None:
    router, legacy = await front(once(b""))

    answer = await router.ask(GET)

    assert json.loads(answer.body)["request_id"].encode() in legacy.asked[0].values(b"traceparent")[0]


async def test_a_failure_answers_head_without_a_body(front: Front) -> None:
    router, _ = await front(once(b""))
    async with caller(router.port) as me:
        for _ in range(2):
            answer = await me.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")

            assert (answer.status, answer.body) == (502, b"")


async def test_after_a_failure_the_callers_connection_is_still_good(front: Front) -> None:
    router, _ = await front(once(b""))
    async with caller(router.port) as me:
        assert [(await me.ask(GET)).status for _ in range(3)] == [502, 502, 502]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"TEXT/HTML", True),
        (b"application/json;q=0.5, text/html; charset=utf-8; q=0.5", True),
        (b"application/json, text/html;q=0.9", False),
        (b"text/html;q=0", False),
        (b"text/html;q=much", False),
        (b"*/*", False),
        (b"", False),
    ],
)
def test_a_page_is_for_those_who_would_rather_have_it(accept: bytes, expected: bool) -> None:
    assert prefers_page(accept) is expected


@given(st.binary())
def test_whatever_an_accept_says_there_is_an_answer(accept: bytes) -> None:
    status, headers, body = failure_answer(AnswerTimeout("x"), 7, accept)

    assert status == 504
    assert (b"content-length", b"%d" % len(body)) in headers


def failures() -> list[type[ExchangeError]]:
    """Everything that one request can fail with: the leaves of the tree."""

    def leaves(kind: type[ExchangeError]) -> Iterator[type[ExchangeError]]:
        kinds = kind.__subclasses__()
        yield from chain.from_iterable(map(leaves, kinds)) if kinds else (kind,)

    return list(leaves(ExchangeError))


@pytest.mark.parametrize("kind", failures())
def test_every_failure_stands_in_the_tree_with_its_status(kind: type[ExchangeError]) -> None:
    tree = " ".join((errors.__doc__ or "").split())

    assert kind is CallerLeft or re.search(rf"─ {kind.__name__}[ │]+{kind.status} ", tree)


@pytest.mark.parametrize("kind", failures())
def test_every_503_says_when_to_come_back(kind: type[ExchangeError]) -> None:
    answer = dict(failure_answer(kind("x"), 7, b"")[1])

    assert (b"retry-after" in answer) == (kind.status == 503)


def test_a_sentence_in_a_page_is_escaped() -> None:
    error = AnswerTimeout("x")
    error.sentence = "<script>"

    _, _, body = failure_answer(error, 7, b"text/html")

    assert b"&lt;script&gt;" in body
    assert b"<script>" not in body
