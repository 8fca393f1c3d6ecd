"""The whole stack, started for real: ready, used through the router, and gone without a rest."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sandbox.callers import crowd
from sandbox.ports import holder_of, listening_socket
from sandbox.stack import ROOT

pytestmark = pytest.mark.timeout(400)  # the first start fills a database, on a machine that may be busy
START_SECONDS = 300.0
STOP_SECONDS = 60.0
UP = (sys.executable, "-m", "sandbox", "up", "--latency-seconds", "0", "--tokens-per-second", "0")


class Started:
    """A stack in a process of its own, with what it wrote when it was ready."""

    def __init__(self, data: Path, *options: str) -> None:
        self.ready_file = data / "ready.json"
        self.output = data / "output.txt"
        self.ready_file.unlink(missing_ok=True)  # a killed stack leaves it
        command = [*UP, "--port-base", "0", "--data", str(data), "--ready-file", str(self.ready_file), *options]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.05)
        self.ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        stack = psutil.Process(self.process.pid)
        self.family = [child.pid for child in stack.children(recursive=True)]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def left(self) -> list[int]:
        """Processes of the stack that still run after a moment of grace."""
        deadline = time.monotonic() + STOP_SECONDS
        while (alive := [pid for pid in self.family if _runs(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: only the first start fills the database."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture
def filled(data: Path) -> Path:
    """The same folder, after a start."""
    if not (data / "sqlite.stamp").exists():
        Started(data).end(signal.SIGTERM)
    return data


@pytest.fixture
def start(data: Path) -> Iterator[Callable[[], Started]]:
    started: list[Started] = []

    def begin() -> Started:
        started.append(Started(data))
        return started[-1]

    yield begin
    for stack in started:
        if stack.process.poll() is None:
            stack.end(signal.SIGTERM)


@pytest.mark.anyio
async def test_a_started_stack_serves_agents_through_the_router(start: Callable[[], Started]) -> None:
    stack = start()

    async with crowd(stack.ready["router"], stack.ready["logins"], readers=1, assistants=1) as people:
        caller, reader = people.assistants[0], people.readers[0]
        await caller.summary(caller.tickets[0])
        await caller.reply(caller.tickets[0])
        await reader.get("ticket page", f"/tickets/{reader.tickets[0]}/")

    assert [(seen.kind, seen.problem) for seen in people.recording.seen] == [
        ("summary", None),
        ("reply", None),
        ("ticket page", None),
    ]
    assert {seen.answered_by for seen in people.recording.seen} == {"legacy"}
    assert people.recording.seen[1].first_event_seconds is not None


def test_sigterm_stops_everything(start: Callable[[], Started], data: Path) -> None:
    stack = start()

    status = stack.end(signal.SIGTERM)

    assert (status, stack.left(), stack.ready_file.exists(), (data / "pids").exists()) == (0, [], False, False)
    assert len(stack.family) >= 9  # gunicorn's workers are among them


def test_a_second_start_fills_nothing_and_the_death_of_a_process_stops_the_stack(
    start: Callable[[], Started], filled: Path
) -> None:
    stack = start()
    assert "Filling the database" not in stack.output.read_text()

    os.kill(int((filled / "pids" / "extracted").read_text()), signal.SIGKILL)

    assert stack.process.wait(STOP_SECONDS) == 1
    assert "extracted was ended by signal 9." in stack.output.read_text()
    assert "Uvicorn running on" in stack.output.read_text()
    assert stack.left() == []


def test_a_killed_stack_leaves_no_process(start: Callable[[], Started]) -> None:
    stack = start()

    stack.end(signal.SIGKILL)

    assert stack.left() == []


def test_a_second_stack_on_the_same_folder_is_refused(start: Callable[[], Started], data: Path) -> None:
    start()

    second = subprocess.run(
        [*UP, "--port-base", "0", "--data", str(data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )

    assert second.returncode == 1
    assert "Another stack runs on" in second.stdout
    assert "--data DIR" in second.stdout


def test_a_stack_that_is_given_a_filled_database_fills_none(filled: Path, tmp_path: Path) -> None:
    """Made by another one, whose keys and ports are no part of it."""
    kept, own = tmp_path / "kept", tmp_path / "own"
    own.mkdir()
    (kept / "sqlite").mkdir(parents=True)
    shutil.copy(filled / "helpdesk.sqlite3", kept / "sqlite")

    stack = Started(own, "--filled", str(kept))
    with httpx.Client(base_url=stack.ready["router"], timeout=START_SECONDS) as client:
        client.get("/login/").raise_for_status()
        form = {"username": "jonas", "password": "helpdesk", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        entered = client.post("/login/", data=form)
        tickets = client.get("/api/tickets")
    said = stack.output.read_text()
    stack.end(signal.SIGTERM)

    assert "Filling the database" not in said
    assert (entered.status_code, tickets.status_code) == (302, 200)
    assert tickets.json()["count"] > 0


def test_a_port_in_use_is_one_sentence_with_the_cure(tmp_path: Path) -> None:
    listener = listening_socket(0)
    port = listener.getsockname()[1]

    with listener:
        refused = subprocess.run(
            [*UP, "--port-base", str(port), "--data", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )

    assert refused.returncode == 1
    assert refused.stdout.startswith(f"Port {port}, which router needs, is in use")
    assert f"(process {os.getpid()})" in refused.stdout
    assert "--port-base 9000" in refused.stdout


def test_the_holder_of_a_port_is_named() -> None:
    listener = listening_socket(0)

    with listener:
        assert holder_of(listener.getsockname()[1]) == f"{psutil.Process().name()} (process {os.getpid()})"


def test_nothing_to_call_is_one_sentence() -> None:
    called = subprocess.run(
        [sys.executable, "-m", "sandbox", "callers", "--url", "http://127.0.0.1:9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )

    assert called.returncode == 1
    assert "Nothing answers at http://127.0.0.1:9" in called.stdout
    assert "python -m sandbox up" in called.stdout
