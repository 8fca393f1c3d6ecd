"""What a stack can lose while it works: its provider, its database, one of its processes. And what it holds on to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import psycopg

from contract_tests.loopback import PATIENCE_SECONDS, asking, free_port
from contract_tests.stack import Stack, StackError

LOOK_AGAIN_SECONDS = 0.02


def until(happened: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for it, and say what did not happen in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise StackError(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_AGAIN_SECONDS)


class OwnProvider:
    """The simulated provider as a process that a test may kill: the stack does not watch it."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "sandbox", "provider", "--port", str(port)]
        self.start()

    def start(self) -> None:
        pace = ["--latency-seconds", "0.02", "--tokens-per-second", "2000", "--embedding-latency-seconds", "0.01"]
        self._process = subprocess.Popen([*self._command, *pace])
        until(self._answers, "the provider answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with frozen(self._process.pid):
            yield

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return asking().get(f"{self.url}/v1/models").status_code < 500
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and its children hang: their sockets accept connections, and nobody answers."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@contextmanager
def database_gone(url: str) -> Iterator[None]:
    """Every connection of the stack ends in whatever it does, and no new one comes about."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url.removesuffix(name) + "template1", autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


@contextmanager
def locked(url: str, table: str) -> Iterator[Callable[[], int]]:
    """Whoever needs the table waits; the function says how many connections of the service do."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'extracted_service' AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(url, autocommit=True) as watcher, psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield lambda: _number(watcher, waiting)
        with suppress(psycopg.OperationalError):  # it may have been killed meanwhile
            holder.rollback()


def pids(stack: Stack) -> dict[str, int]:
    found: dict[str, int] = _told(stack)["pids"]
    return found


def service_of(stack: Stack) -> str:
    """The address of the extracted service itself, without the router."""
    return str(_told(stack)["extracted"])


def _told(stack: Stack) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stack.routes.with_name("ready.json").read_text())
    return told


def held_by(pid: int) -> Counter[str]:
    """The descriptors of a process by kind, its established connections and its threads."""
    held = Counter(_kind(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    process = psutil.Process(pid)
    established = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    held["established connections"] = len(established)
    held["threads"] = process.num_threads()
    return held


def _kind(link: Path) -> str:
    with suppress(FileNotFoundError):  # closed since it was listed
        target = str(link.readlink())
        return target.partition(":")[0] if ":[" in target or target.startswith("anon_inode") else target
    return "closed"


def _number(connection: psycopg.Connection, query: str) -> int:
    found = connection.execute(query.encode()).fetchone()
    return int(found[0]) if found else 0
