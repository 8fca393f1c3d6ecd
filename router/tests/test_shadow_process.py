"""The shadow process itself: it makes the copies, its death is noticed and mended, and it never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from ..shadow import Process, copier
from ..shadow.words import Tally
from .serving import Serving, routes_file, serving
from .test_cli import port_in, served
from .test_operations import is_running
from .wire import OK, SECONDS, Upstream, always, caller, until, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
STARVED_SECONDS = 90.0
"""A process that gives way has a hundredth of the processor, or less, where others want all of it."""


class Awake(Process):
    """A shadow process that does not give way: for whatever is said of something else."""

    program = ("-c", f"from {Process.__module__.rpartition('.')[0]}.worker import main; main()")


ROUTES = """
[upstreams]
legacy = {{ url = "{legacy}", keep_seconds = 0.2 }}
service = {{ url = "{service}", connect_seconds = 60 }}
[evidence]
url = "sqlite:///{folder}/evidence.db"
[[routes]]
name = "r"
path = "/{{rest:path}}"
to = "service"
stage = "shadow"
shadow = {{ effects = "none", twice_percent = 0 }}
"""


def routes(folder: Path, legacy: Upstream, service: Upstream, rest: str = "") -> Path:
    return routes_file(folder, ROUTES.format(legacy=legacy.url, service=service.url, folder=folder) + rest)


def children(parent: int) -> list[int]:
    """The shadow processes of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if (
                int(after_name[1]) == parent
                and after_name[0] != "Z"
                and b".shadow" in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
        except (OSError, IndexError):
            continue
    return found


def classes_of(pid: int) -> list[int]:
    """The scheduling class of each thread."""
    return [os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()]


def sent(router: Serving) -> int:
    return router.counts["r"].sent


async def test_copies_are_made_in_a_process_that_lets_callers_go_first(tmp_path: Path) -> None:
    async with (
        upstream(always(OK)) as legacy,
        upstream(always(OK)) as service,
        serving(routes(tmp_path, legacy, service)) as router,
    ):
        await router.ask(GET)
        await until(lambda: sent(router) == 1, seconds=STARVED_SECONDS)

        (pid,) = children(os.getpid())
        assert len(service.asked) == 1
        classes = classes_of(pid)
        assert len(classes) > 1  # the evidence is written by a thread of its own
        assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
        assert set(classes) == {os.SCHED_IDLE}

    assert children(os.getpid()) == []


async def test_a_shadow_process_that_dies_costs_its_copies_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copier, "START_AGAIN_SECONDS", (0.05, 0.05))
    async with (
        upstream(always(OK)) as legacy,
        upstream(always(OK)) as service,
        serving(routes(tmp_path, legacy, service), start=Awake) as router,
    ):
        await router.ask(GET)
        await until(lambda: sent(router) == 1)
        (first,) = children(os.getpid())
        os.kill(first, signal.SIGKILL)
        await until(lambda: children(os.getpid()) not in ([], [first]))

        answer = await router.ask(GET)
        await until(lambda: sent(router) == 2)

    assert answer.status == 200
    assert children(os.getpid()) == []


async def test_what_is_said_to_a_shadow_process_that_has_just_died_disturbs_nobody() -> None:
    is_gone = asyncio.Event()
    process = Awake(lambda _: None, is_gone.set)
    process.kill()
    await asyncio.wait_for(is_gone.wait(), SECONDS)

    process.send(Tally({}))
    process._flush()
    await process.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_shadow_process_ends_with_its_parent_however_that_ends(tmp_path: Path, how: signal.Signals) -> None:
    async with upstream(always(OK)) as legacy, upstream(always(OK)) as service:
        file = routes(tmp_path, legacy, service)
        with served(file) as (process, log):
            async with caller(await port_in(log)) as me:
                await me.ask(GET)
            await until(lambda: service.asked, seconds=STARVED_SECONDS)
            (child,) = children(process.pid)

            process.send_signal(how)

            await until(lambda: not is_running(child), seconds=STARVED_SECONDS)  # whoever is to bury it may never come
