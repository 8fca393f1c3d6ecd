"""The access log: a line for each exchange, with nothing in it that a caller said; and it never holds anybody up."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..access_log import LINES, AccessLog
from .conftest import Front
from .test_operations import GET, SECONDS, Site, site, text
from .wire import OK, Talk, always, caller, until, upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def lines(read: int) -> list[dict[str, Any]]:
    data = await asyncio.wait_for(asyncio.to_thread(os.read, read, 1_000_000), SECONDS)
    return [json.loads(line) for line in data.splitlines()]


async def logged(front: Front, pipe: tuple[int, int], request: bytes, answer: bytes = OK) -> dict[str, Any]:
    router, _ = await front(always(answer), rest="[server]\naccess_log = true")
    router.app._access_log._descriptor = pipe[1]
    await router.ask(request)
    [line] = await lines(pipe[0])
    return line


async def test_a_line_says_what_was_asked_and_answered_in_kind(front: Front, pipe: tuple[int, int]) -> None:
    line = await logged(front, pipe, GET)

    assert {name: line[name] for name in ("method", "route", "stage", "upstream", "status", "bytes", "error")} == {
        "method": "GET", "route": "", "stage": "", "upstream": "legacy", "status": 200, "bytes": 2, "error": "",
    }  # fmt: skip
    assert 0 < line["first_byte_seconds"] <= line["seconds"] < 60
    assert len(line["exchange"]) == 32
    assert line["time"].endswith("+00:00")


async def test_nothing_that_a_caller_or_an_upstream_said_is_in_it(front: Front, pipe: tuple[int, int]) -> None:
    request = (
        b"POST /secret-a?q=secret-b HTTP/1.1\r\nHost: secret-c\r\nCookie: secret-d\r\nAuthorization: secret-e\r\n"
        b"User-Agent: secret-f\r\nContent-Length: 8\r\n\r\nsecret-g"
    )

    line = await logged(front, pipe, request, b"HTTP/1.1 200 OK\r\nX: secret-h\r\nContent-Length: 8\r\n\r\nsecret-i")

    assert "secret" not in json.dumps(line)
    assert line["bytes"] == 8


async def test_a_failure_is_named(front: Front, pipe: tuple[int, int]) -> None:
    line = await logged(front, pipe, GET, b"nonsense\r\n\r\n")

    assert (line["status"], line["error"]) == (502, "AnswerMalformed")


async def test_a_caller_who_left_is_told(front: Front, pipe: tuple[int, int]) -> None:
    async def silent(talk: Talk) -> None:
        await talk.request()
        await talk.ended()

    router, legacy = await front(silent, rest="[server]\naccess_log = true")
    router.app._access_log._descriptor = pipe[1]
    async with caller(router.port) as me:
        await me.send(GET)
        await until(lambda: legacy.asked)

    [line] = await lines(pipe[0])
    assert (line["caller_left"], line["status"], line["first_byte_seconds"]) == (True, 0, None)


async def test_it_is_off_unless_it_is_asked_for(front: Front) -> None:
    router, _ = await front(always(OK))

    await router.ask(GET)

    assert router.live.access_log is None
    assert router.app._access_log._thread is None


async def test_a_reader_who_reads_nothing_holds_nobody_up_and_what_is_dropped_is_counted(
    pipe: tuple[int, int],
) -> None:
    log = AccessLog(pipe[1])
    line = {"x": "y" * 1000}

    for _ in range(LINES + 500):
        log.add(dict(line))
    dropped = log._dropped
    first = os.read(pipe[0], 65_536)
    await until(lambda: not log._lines.full())
    log.add({"last": True})

    assert dropped > 0
    assert first.startswith(b'{"x": "yyy')
    rest = b""
    while b'"last"' not in rest:
        rest += os.read(pipe[0], 1_000_000)
    assert json.loads(rest.splitlines()[-1]) == {"last": True, "dropped_before": dropped}
    log.close()


async def test_a_reader_who_is_gone_disturbs_nobody() -> None:
    read, write = os.pipe()
    os.close(read)
    log = AccessLog(write)

    log.add({})
    log.close()

    assert log._thread is not None
    assert not log._thread.is_alive()
    os.close(write)


async def test_two_workers_write_whole_lines_to_one_standard_output_and_a_reload_switches_it_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def load(router: Site) -> None:
        for _ in range(20):
            async with caller(router.port) as me:
                await me.ask(GET.replace(b" /", b" /r?secret"))

    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        await load(router)
        before = (await router.status())["table"]
        router.file.write_text("[server]\naccess_log = true\n" + text(legacy), "utf-8")
        await router.until(lambda state: state["table"] not in (None, before))
        await load(router)
        router.process.terminate()
        assert await router.stopped() == 0

    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["route"] for line in found] == ["r"] * 20
