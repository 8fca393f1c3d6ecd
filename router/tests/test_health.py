"""An upstream that fails its health checks is not asked, and says so, until it is well again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ..limits import Health
from ..upstream.health import Standing, judged
from .conftest import Front
from .wire import OK, Talk, always, until, upstream

GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na"
CHECKED = "health = { every_seconds = 0.05, timeout_seconds = 20, down_after = 2, up_after = 2 }"
ROUTE = """
[upstreams.new]
url = "{url}"
{checked}
[[routes]]
name = "r"
path = "/r"
stage = "extracted"
{fallback}
"""


def after(*troubles: str, settings: Health) -> Standing:
    standing = Standing()
    for now, trouble in enumerate(troubles):
        standing = judged(standing, trouble, settings, float(now))
    return standing


def test_so_many_bad_answers_in_a_row_make_it_down() -> None:
    settings = Health(down_after=3, up_after=2)

    assert not after("a", "b", settings=settings).is_down
    assert not after("a", "b", "", "c", "d", settings=settings).is_down
    assert after("a", "b", "c", settings=settings) == Standing(True, 2.0, "c", 0)


def test_so_many_good_answers_in_a_row_make_it_up() -> None:
    settings = Health(down_after=1, up_after=2)

    assert after("a", "", settings=settings).is_down
    assert after("a", "", "b", "", settings=settings).is_down
    assert after("a", "", "", settings=settings) == Standing(False, 2.0, "", 0)


class Patient:
    """An upstream that is well or not as the test says, and asked for its health at /healthz."""

    is_well = True
    checks = 0

    async def __call__(self, talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            if asked.target != b"/healthz":
                await talk.send(OK)
                continue
            self.checks += 1
            await talk.send(OK if self.is_well else b"HTTP/1.1 500 Ill\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.anyio
async def test_a_down_upstream_is_a_503_at_once_until_it_is_up_again(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    patient = Patient()
    router, legacy = await front(patient, settings=CHECKED)
    pool = router.live.pools["legacy"]
    assert (await router.ask(GET)).status == 200

    patient.is_well = False
    await until(lambda: (health := pool.state().health) and health.is_down)
    asked = sum(each.target == b"/r" for each in legacy.asked)
    answer = await router.ask(POST)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "upstream_down")
    assert answer.values(b"retry-after") == [b"2"]
    assert sum(each.target == b"/r" for each in legacy.asked) == asked
    health = pool.state().health
    assert health is not None
    assert health.why == "/healthz answers 500"

    patient.is_well = True
    await until(lambda: (health := pool.state().health) and not health.is_down)
    assert (await router.ask(GET)).status == 200
    assert "counts as down: /healthz answers 500" in caplog.text
    assert "is up again" in caplog.text


@pytest.mark.anyio
async def test_a_down_upstream_is_answered_for_by_legacy_where_the_route_allows_it(front: Front) -> None:
    patient = Patient()
    patient.is_well = False
    async with upstream(patient) as new:
        rest = ROUTE.format(url=new.url, checked=CHECKED, fallback="fallback = true")
        router, legacy = await front(always(OK), rest=rest)
        await until(lambda: (health := router.live.pools["new"].state().health) and health.is_down)

        answer = await router.ask(POST)

    assert (answer.status, answer.values(b"x-answered-by")) == (200, [b"legacy"])
    assert legacy.asked[0].body == b"a"


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", ["gone", "silent", "nonsense"])
async def test_no_good_answer_is_a_bad_one(front: Front, trouble: str) -> None:
    async def script(talk: Talk) -> None:
        if trouble == "silent":
            await talk.ended()
        await talk.request()
        await talk.send(b"nonsense\r\n\r\n")

    async with upstream(script) as new:
        url = new.url
        if trouble == "gone":
            async with upstream(script) as gone:
                url = gone.url
        checked = CHECKED.replace("timeout_seconds = 20", "timeout_seconds = 0.1")
        router, _ = await front(always(OK), rest=ROUTE.format(url=url, checked=checked, fallback=""))

        await until(lambda: (health := router.live.pools["new"].state().health) and health.is_down)


@pytest.mark.anyio
async def test_a_check_takes_no_place_of_the_requests(front: Front) -> None:
    async def script(talk: Talk) -> None:
        asked = await talk.request()
        if asked is not None and asked.target == b"/healthz":
            await talk.send(OK)
            return
        await talk.ended()

    router, legacy = await front(script, settings=f"{CHECKED}\nconnections = 1\nwaiting = 0")
    asking = asyncio.create_task(router.ask(GET))
    await until(lambda: any(each.target == b"/r" for each in legacy.asked))
    checks = sum(each.target == b"/healthz" for each in legacy.asked)

    await until(lambda: sum(each.target == b"/healthz" for each in legacy.asked) > checks + 2)

    health = router.live.pools["legacy"].state().health
    assert health is not None
    assert not health.is_down
    asking.cancel()


@pytest.mark.anyio
async def test_a_reload_keeps_what_is_known_of_an_upstream_that_did_not_change(front: Front, tmp_path: Path) -> None:
    patient = Patient()
    patient.is_well = False
    async with upstream(patient) as new:
        text = ROUTE.format(url=new.url, checked=CHECKED, fallback="")
        router, _ = await front(always(OK), rest=text)
        before = router.live
        await until(lambda: (health := before.pools["new"].state().health) and health.is_down)

        file = tmp_path / "routes.toml"
        file.write_text(file.read_text("utf-8") + "[server]\nanswered_by = true\n", "utf-8")
        await until(lambda: router.live is not before)

        health = router.live.pools["new"].state().health
        assert health is not None
        assert health.is_down
        assert (await router.ask(GET)).status == 503


@pytest.mark.anyio
async def test_an_upstream_that_is_no_more_in_the_file_is_not_asked_any_more(front: Front, tmp_path: Path) -> None:
    patient = Patient()
    async with upstream(patient) as new:
        text = ROUTE.format(url=new.url, checked=CHECKED, fallback="")
        router, legacy = await front(always(OK), rest=text)
        pool = router.live.pools["new"]
        await until(lambda: patient.checks)

        (tmp_path / "routes.toml").write_text(f'upstreams = {{ legacy = "{legacy.url}" }}', "utf-8")
        await until(lambda: "new" not in router.live.pools)

        assert pool._checks is not None
        await until(pool._checks._task.done)
