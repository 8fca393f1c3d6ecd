"""A changed routes.toml is taken over within a second, whole, and disturbs nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ..reload import LOOK_SECONDS
from .serving import Serving, routes_file, serving
from .wire import SECONDS, Talk, Upstream, caller, until, upstream

pytestmark = pytest.mark.anyio

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


async def named(talk: Talk, name: bytes) -> None:
    while await talk.request() is not None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))


class Site:
    """Two upstreams, a file, and the router that follows it."""

    def __init__(self, folder: Path, legacy: Upstream, service: Upstream) -> None:
        self.legacy = legacy
        self.service = service
        self.file = routes_file(folder, self.text("legacy"))
        self.router: Serving

    def text(self, stage: str, more: str = "") -> str:
        return (
            f'{more}\n[upstreams]\nlegacy = "{self.legacy.url}"\nservice = "{self.service.url}"\n'
            f'[[routes]]\nname = "x"\npath = "/x"\nstage = "{stage}"\n'
        )

    async def answerer(self) -> bytes:
        return (await self.router.ask(GET)).body


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        legacy = await stack.enter_async_context(upstream(lambda talk: named(talk, b"legacy")))
        service = await stack.enter_async_context(upstream(lambda talk: named(talk, b"service")))
        site = Site(tmp_path, legacy, service)
        site.router = await stack.enter_async_context(serving(site.file, {"IDENTITY_SECRET": "bad\nsecret"}))
        yield site


async def changed(site: Site, text: str) -> None:
    before = site.router.live
    site.file.write_text(text, "utf-8")
    await until(lambda: site.router.live is not before)


async def complaint(caplog: pytest.LogCaptureFixture) -> str:
    await until(lambda: [record for record in caplog.records if record.levelno == logging.ERROR])
    return caplog.text


def test_the_file_is_looked_at_more_than_once_a_second() -> None:
    assert LOOK_SECONDS <= 0.5


async def test_a_change_is_taken_over(site: Site) -> None:
    assert await site.answerer() == b"legacy"

    await changed(site, site.text("extracted"))

    assert await site.answerer() == b"service"


async def test_a_file_that_is_replaced_is_taken_over_too(site: Site) -> None:
    new = site.file.with_suffix(".new")
    new.write_text(site.text("extracted"), "utf-8")
    before = site.router.live

    new.replace(site.file)

    await until(lambda: site.router.live is not before)
    assert await site.answerer() == b"service"


@pytest.mark.parametrize(
    "text", ["", "nonsense", "\0", "a = " + "[" * 100_000, '[upstreams]\nlegacy = "http://h"\n[[routes]]\nname = "x"']
)
async def test_a_wrong_file_changes_nothing_and_is_said_so_and_a_right_one_counts_again(
    site: Site, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    before = site.router.live

    site.file.write_text(text, "utf-8")

    assert "The routes stay as they were" in await complaint(caplog)
    assert site.router.live is before
    assert await site.answerer() == b"legacy"
    await changed(site, site.text("extracted"))
    assert await site.answerer() == b"service"


async def test_a_file_that_is_gone_changes_nothing_and_counts_again_when_it_is_back(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.file.unlink()

    assert "there is no such file" in await complaint(caplog)
    assert await site.answerer() == b"legacy"
    await changed(site, site.text("extracted"))
    assert await site.answerer() == b"service"


@pytest.mark.parametrize("variable", ["NOT_SET", "IDENTITY_SECRET"])
async def test_a_file_that_needs_a_secret_that_is_not_there_changes_nothing(
    site: Site, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    before = site.router.live

    site.file.write_text(site.text("extracted") + f'[identity]\nsecret_env = "{variable}"\n', "utf-8")

    assert variable in await complaint(caplog)
    assert site.router.live is before
    assert await site.answerer() == b"legacy"


async def test_connections_to_unchanged_upstreams_survive(site: Site) -> None:
    async with caller(site.router.port) as me:
        assert (await me.ask(GET)).body == b"legacy"
        pools = dict(site.router.live.pools)

        await changed(site, site.text("legacy", "[server]\nanswered_by = true"))

        assert dict(site.router.live.pools) == pools
        assert (await me.ask(GET)).values(b"x-answered-by") == [b"legacy"]
    assert site.legacy.connections == 1


async def test_connections_to_a_changed_upstream_are_closed(site: Site) -> None:
    await site.answerer()
    old = site.router.live.pools["legacy"]
    assert site.legacy.open == 1

    text = site.text("legacy").replace(
        f'legacy = "{site.legacy.url}"', f'legacy = {{ url = "{site.legacy.url}", connections = 7 }}'
    )
    await changed(site, text)

    await until(lambda: not site.legacy.open)
    assert site.router.live.pools["legacy"] is not old
    await until(lambda: old._sweeper is None)


async def test_a_request_under_way_ends_where_it_began(tmp_path: Path) -> None:
    may_end = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nleg")
        await may_end.wait()
        await talk.send(b"acy")
        await talk.ended()

    async with upstream(slow) as legacy, upstream(lambda talk: named(talk, b"service")) as service:
        site = Site(tmp_path, legacy, service)
        async with serving(site.file) as site.router, caller(site.router.port) as me:
            await me.send(GET)
            answer = await me.head()
            answer.body = await me.piece()

            text = site.text("extracted").replace(
                f'legacy = "{legacy.url}"', f'legacy = {{ url = "{legacy.url}", connections = 7 }}'
            )
            await changed(site, text)
            assert await site.answerer() == b"service"
            may_end.set()

            answer.body += await asyncio.wait_for(me.piece(), SECONDS)
            assert answer.body == b"legacy"
            await until(lambda: not legacy.open)


async def test_after_its_end_the_router_watches_nothing_and_keeps_no_connection(tmp_path: Path) -> None:
    async with upstream(lambda talk: named(talk, b"legacy")) as legacy:
        site = Site(tmp_path, legacy, legacy)
        async with serving(site.file) as site.router:
            await site.answerer()

        await until(lambda: not legacy.open)
        await until(lambda: "reload.py" not in "".join(map(repr, asyncio.all_tasks())))
