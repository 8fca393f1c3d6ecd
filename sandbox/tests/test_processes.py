"""A process of the stack is started, awaited, watched and stopped; whoever it started goes with it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandbox.ports import listening_socket
from sandbox.processes import Plan, ProcessFailed, Running, run_to_the_end, start, until_ready

pytestmark = pytest.mark.anyio
FOREVER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def plan(code: str, ready_url: str | None = None) -> Plan:
    return Plan("stand-in", (sys.executable, "-c", code), {}, ready_url)


async def started(code: str, folder: Path, ready_url: str | None = None) -> Running:
    return await start(plan(code, ready_url), folder, folder / "log", lambda name, line: None)


async def first_line(running: Running) -> str:
    await until(lambda: bool(running.last_lines))
    return running.last_lines[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  (another process makes it true: there is no event to wait for)
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_stopped_process_is_gone(tmp_path: Path) -> None:
    running = await started(FOREVER, tmp_path)
    await first_line(running)

    await running.stop()

    assert not psutil.pid_exists(running.pid)


async def test_a_process_that_ignores_sigterm_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.processes.STOP_SECONDS", 0.2)
    running = await started(STUBBORN, tmp_path)
    child = int(await first_line(running))

    await running.stop()

    assert not psutil.pid_exists(running.pid)
    await until(lambda: gone(child))


async def test_a_process_that_ends_by_itself_says_how_and_its_last_lines(tmp_path: Path) -> None:
    running = await started("print('no such table'); raise SystemExit(3)", tmp_path)

    failed = await running.ended()

    assert str(failed) == "stand-in ended by itself with status 3. Its last lines:\n    no such table"
    await running.stop()


async def test_waiting_for_readiness_ends_when_the_process_does(tmp_path: Path) -> None:
    running = await started("raise SystemExit('nothing to serve')", tmp_path, "http://127.0.0.1:9/")

    with pytest.raises(ProcessFailed, match="nothing to serve"):
        await until_ready(running, 60)

    await running.stop()


async def test_waiting_for_readiness_has_a_deadline(tmp_path: Path) -> None:
    running = await started(FOREVER, tmp_path, "http://127.0.0.1:9/")

    with pytest.raises(ProcessFailed, match="did not answer within 0 s"):
        await until_ready(running, 0.2)

    await running.stop()


async def test_a_command_that_fails_is_reported_and_one_that_works_is_not(tmp_path: Path) -> None:
    await run_to_the_end(plan("print('done')"), tmp_path, tmp_path / "log", print, 60)

    with pytest.raises(ProcessFailed, match="status 1"):
        await run_to_the_end(plan("raise SystemExit(1)"), tmp_path, tmp_path / "log", print, 60)

    assert (tmp_path / "log").read_text() == ""


async def test_lines_go_to_whoever_watches_and_to_the_log(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    await run_to_the_end(
        plan("print('one'); print('two')"), tmp_path, tmp_path / "log", lambda *line: seen.append(line), 60
    )

    assert seen == [("stand-in", "one"), ("stand-in", "two")]
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's")
async def test_a_killed_starter_takes_its_processes_with_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from sandbox.processes import Plan, start\n"
        "async def main():\n"
        f"    plan = Plan('inner', (sys.executable, '-c', {FOREVER!r}), {{}})\n"
        "    folder = pathlib.Path(sys.argv[1])\n"
        "    inner = await start(plan, folder, folder / 'inner', print)\n"
        "    print(inner.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    outer = await start(
        Plan("outer", (sys.executable, "-c", code, str(tmp_path)), {}), Path.cwd(), tmp_path / "log", lambda *_: None
    )
    inner = int(await first_line(outer))

    os.kill(outer.pid, signal.SIGKILL)

    await until(lambda: gone(inner))
    await outer.stop()


def test_a_taken_port_is_refused() -> None:
    listener = listening_socket(0)

    with listener, pytest.raises(OSError, match="in use"):
        listening_socket(listener.getsockname()[1])
