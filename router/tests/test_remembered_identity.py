"""Safe requests of one caller share an identity for seconds; unsafe ones, and other callers, never do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from .. import identity
from ..config import Identity
from ..config import Upstream as UpstreamTable
from ..errors import IdentityUnavailable
from ..headers import Headers
from ..identity import Exchange, Refusal, Token
from ..upstream import Pool
from .wire import Script, Talk, Upstream, always, until, upstream

pytestmark = pytest.mark.anyio

CALLER: Headers = [(b"host", b"shop.example"), (b"cookie", b"sessionid=s")]


def answer(status: int = 200, lines: str = "", token: str = "a.b.c", lasts: float = 60) -> bytes:
    body = json.dumps({"token": token, "expires_in": lasts})
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class Asking:
    """An exchange with its monolith."""

    def __init__(self, exchange: Exchange, monolith: Upstream) -> None:
        self.exchange = exchange
        self.monolith = monolith

    async def ask(self, method: str = "GET", headers: Headers = CALLER, audience: str = "assistant") -> Token | Refusal:
        return await self.exchange.ask(method, headers, audience, [])

    @property
    def times(self) -> int:
        return len(self.monolith.asked)


Open = Callable[..., Awaitable[Asking]]


@pytest.fixture
async def monolith() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def start(script: Script, remember_seconds: float = 15, timeout_seconds: float = 60) -> Asking:
            server = await stack.enter_async_context(upstream(script))
            pool = Pool(UpstreamTable(url=server.url))
            stack.callback(pool.close)
            table = Identity.model_validate({"timeout_seconds": timeout_seconds, "remember_seconds": remember_seconds})
            return Asking(Exchange(table, b"secret", pool), server)

        yield start


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
async def test_a_safe_request_is_asked_about_once(monolith: Open, method: str) -> None:
    asking = await monolith(always(answer()))

    tokens = [await asking.ask(method) for _ in range(3)]

    assert asking.times == 1
    assert tokens == [Token(b"a.b.c", 60, [])] * 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "ODD", "get"])
async def test_an_unsafe_or_unknown_method_is_asked_about_every_time(monolith: Open, method: str) -> None:
    asking = await monolith(always(answer()))
    await asking.ask("GET")

    await asking.ask(method)
    await asking.ask(method)

    assert asking.times == 3
    assert [asked.values(b"x-original-method") for asked in asking.monolith.asked[1:]] == [[method.encode()]] * 2


async def test_an_unsafe_request_leaves_nothing_for_a_safe_one(monolith: Open) -> None:
    asking = await monolith(always(answer()))

    await asking.ask("POST")
    await asking.ask("GET")

    assert asking.times == 2


@pytest.mark.parametrize(
    ("headers", "audience"),
    [
        ([(b"host", b"shop.example"), (b"cookie", b"sessionid=t")], "assistant"),
        ([*CALLER, (b"authorization", b"Bearer a")], "assistant"),
        ([*CALLER, (b"cookie", b"more=1")], "assistant"),
        ([(b"host", b"other.example"), (b"cookie", b"sessionid=s")], "assistant"),
        ([(b"host", b"shop.example")], "assistant"),
        (CALLER, "search"),
    ],
)
async def test_callers_who_differ_in_anything_never_share(monolith: Open, headers: Headers, audience: str) -> None:
    asking = await monolith(always(answer()))
    await asking.ask()

    await asking.ask(headers=headers, audience=audience)

    assert asking.times == 2


async def test_where_one_value_ends_and_the_next_begins_matters(monolith: Open) -> None:
    asking = await monolith(always(answer()))
    await asking.ask(headers=[(b"cookie", b"a"), (b"cookie", b"b")])

    await asking.ask(headers=[(b"cookie", b"a\ncookie:1:b")])

    assert asking.times == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_never_remembered(monolith: Open, status: int) -> None:
    asking = await monolith(always(answer(status)))

    assert all([isinstance(await asking.ask(), Refusal) for _ in range(2)])
    assert asking.times == 2


async def test_a_failure_is_never_remembered(monolith: Open) -> None:
    answers = iter([answer(500), answer()])

    async def failing_once(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(next(answers))

    asking = await monolith(failing_once)
    with pytest.raises(IdentityUnavailable):
        await asking.ask()

    assert isinstance(await asking.ask(), Token)


async def test_an_answer_that_changed_the_cookies_is_not_remembered_under_the_old_ones(monolith: Open) -> None:
    asking = await monolith(always(answer(lines="Set-Cookie: sessionid=new\r\n")))

    first, second = await asking.ask(), await asking.ask()

    assert asking.times == 2
    assert isinstance(first, Token)
    assert isinstance(second, Token)
    assert first.set_cookies == second.set_cookies == [(b"set-cookie", b"sessionid=new")]


async def test_what_is_remembered_is_forgotten_in_time(monolith: Open) -> None:
    asking = await monolith(always(answer()), 0.05)
    await asking.ask()

    async def asked_again() -> bool:
        await asking.ask()
        return asking.times > 1

    for _ in range(100):
        if await asked_again():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the identity was still used after a second")


async def test_a_token_is_used_for_half_its_life_at_most(monolith: Open) -> None:
    asking = await monolith(always(answer(lasts=0)))

    await asking.ask()
    await asking.ask()

    assert asking.times == 2


async def test_zero_seconds_remember_nothing(monolith: Open) -> None:
    asking = await monolith(always(answer()), 0)

    await asking.ask()
    await asking.ask()

    assert asking.times == 2


async def test_ten_at_once_ask_once_and_all_get_the_new_cookie(monolith: Open) -> None:
    """A session whose key is cycled is anonymous under its old key: the second exchange would log the caller out."""
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def cycling_once(talk: Talk) -> None:
        await talk.request()
        asked.set()
        await let_go.wait()
        await talk.send(answer(lines="Set-Cookie: sessionid=new\r\n"))

    asking = await monolith(cycling_once)
    waiting = [asyncio.create_task(asking.ask()) for _ in range(10)]
    await asked.wait()
    let_go.set()

    tokens = await asyncio.gather(*waiting)

    assert asking.times == 1
    assert tokens == [Token(b"a.b.c", 60, [(b"set-cookie", b"sessionid=new")])] * 10


async def test_the_others_get_their_answer_when_the_first_to_ask_leaves(monolith: Open) -> None:
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.request()
        asked.set()
        await let_go.wait()
        await talk.send(answer())

    asking = await monolith(slow)
    first, second = asyncio.create_task(asking.ask()), asyncio.create_task(asking.ask())
    await asked.wait()

    first.cancel()
    await asyncio.wait([first])
    let_go.set()

    assert isinstance(await second, Token)
    assert first.cancelled()
    assert asking.times == 1


async def test_the_oldest_is_forgotten_when_there_are_too_many(monolith: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED", 2)
    asking = await monolith(always(answer()))
    callers: list[Headers] = [[(b"cookie", b"sessionid=%d" % number)] for number in range(3)]
    for headers in callers:
        await asking.ask(headers=headers)

    await asking.ask(headers=callers[2])
    assert asking.times == 3

    await asking.ask(headers=callers[0])
    assert asking.times == 4


async def test_an_exchange_that_nobody_waits_for_any_more_ends_in_time(monolith: Open) -> None:
    async def silent(talk: Talk) -> None:
        await talk.ended()

    asking = await monolith(silent, timeout_seconds=0.2)
    only = asyncio.create_task(asking.ask())
    await until(lambda: asking.monolith.open)

    only.cancel()

    await until(lambda: not asking.monolith.open)
