"""Whatever the candidate does with copies, callers get their answers, and nothing is left behind or grows."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from .serving import serving
from .test_leaks import descriptors
from .test_shadow_process import Awake, children, routes
from .wire import Script, Talk, always, caller, until, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read in /proc"),
]

BODY = b"x" * 3000
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n" + BODY
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\n\r\n" + BODY
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CALLERS, REQUESTS = 8, 25
GIGABYTE = 1 << 30
GROWTH_BYTES = 48 << 20
"""So much may the shadow process grow: its workers' answers at their limits, and what the allocator keeps."""
SETTINGS = "[shadow]\nworkers = 4\nqueue = 8\nper_second = 10000\nbody_bytes = 100000\ntimeout_seconds = 0.5\n"


async def hangs(talk: Talk) -> None:
    await talk.ended()


async def drips(talk: Talk) -> None:
    await talk.request()
    await talk.send(STREAM)
    while True:
        await talk.send(b"1\r\na\r\n")
        await asyncio.sleep(0.2)


async def never_ends(talk: Talk) -> None:
    await talk.request()
    await talk.send(STREAM)
    while True:
        await talk.send(b"a\r\ndata: ab\n\n\r\n")


async def floods(talk: Talk) -> None:
    await talk.request()
    await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % GIGABYTE)
    piece = b"y" * 65_536
    for _ in range(GIGABYTE // len(piece)):
        await talk.send(piece)


async def floods_headers(talk: Talk) -> None:
    await talk.request()
    await talk.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await talk.send(b"x-more: " + b"z" * 60_000 + b"\r\n")


async def dies(talk: Talk) -> None:
    await talk.head()
    talk.reset()


async def dies_halfway(talk: Talk) -> None:
    await talk.request()
    await talk.send(STREAM + b"4\r\nhalf\r\n")
    talk.reset()


SCRIPTS: list[Script] = [
    hangs,
    drips,
    never_ends,
    floods,
    floods_headers,
    dies,
    dies_halfway,
    always(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
    always(b"nonsense\r\n\r\n"),
]


def resident(pid: int) -> int:
    """Bytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_in(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def has_opened(file: Path, pid: int) -> bool:
    return str(file) in {os.path.realpath(each) for each in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: getattr(script, "__name__", ""))
async def test_callers_do_not_notice_what_the_candidate_does(tmp_path: Path, script: Script) -> None:
    async with (
        upstream(always(ANSWER)) as legacy,
        upstream(script) as service,
        serving(routes(tmp_path, legacy, service, SETTINGS), start=Awake) as router,
    ):
        counts = router.counts["r"]
        await router.ask(POST)
        await until(lambda: counts.sent == 1)
        (child,) = children(os.getpid())
        await until(lambda: has_opened(tmp_path / "evidence.db-shm", child))
        tasks, before = asyncio.all_tasks(), descriptors()
        childs, memory = open_in(child), resident(child)

        async def visit() -> list[bool]:
            async with caller(router.port) as me:
                answers = [await me.ask(POST) for _ in range(REQUESTS)]
            return [(each.status, each.body, each.is_cut) == (200, BODY, False) for each in answers]

        right = await asyncio.gather(*(visit() for _ in range(CALLERS)))
        await until(lambda: counts.offered == counts.sent + sum(counts.dropped.values()))

        assert all(map(all, right))
        assert counts.offered == CALLERS * REQUESTS + 1
        assert router.live.shadowing._copier.room.used == 0
        await until(lambda: not service.open)
        await until(lambda: asyncio.all_tasks() <= tasks)
        await until(lambda: descriptors() <= before)
        await until(lambda: open_in(child) <= childs)
        assert resident(child) - memory < GROWTH_BYTES
