"""The processes of a benchmark: what is measured on one core, what measures it and what is behind it on another."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .origin import JSON
from .peers import NGINX_FOLDERS, Peer

START_SECONDS = 120.0
PORTS = range(4_000, 12_000)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Running:
    """A proxy that is measured."""

    name: str
    process: psutil.Process
    url: str

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(times.user + times.system for times in (each.cpu_times() for each in self._tree()))

    def memory_kib(self) -> float:
        """Proportional set size."""
        return sum(each.memory_full_info().pss for each in self._tree()) / 1024

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class Cores:
    """One core for what is measured, another for what measures it; the same if there is only one."""

    def __init__(self) -> None:
        self._all = sorted(os.sched_getaffinity(0))

    def start(self, command: list[str], *, measured: bool | None, **options: Any) -> subprocess.Popen[str]:
        """On the core for what is measured or for what is not; None: on any."""
        if measured is not None:
            os.sched_setaffinity(0, {self._all[0 if measured else -1]})  # inherited by the child
        try:
            return subprocess.Popen(command, text=True, cwd=ROOT, **options)
        finally:
            os.sched_setaffinity(0, self._all)

    def move_to_the_last(self, processes: list[psutil.Process]) -> None:
        """What runs already and is not measured."""
        for each in processes:
            each.cpu_affinity([self._all[-1]])

    def measure_from_the_last(self) -> None:
        """This process itself: it puts the load on."""
        os.sched_setaffinity(0, {self._all[-1]})


def origins(stack: contextlib.ExitStack, cores: Cores, folder: Path) -> tuple[int, int]:
    """Ports of what answers requests (nginx, if it is here) and of what streams events."""
    ours, nginx = free_port(), shutil.which("nginx")
    spawned(stack, cores, [sys.executable, "-m", "benchmarks.origin", "--port", str(ours)], folder / "origin", ours)
    if not nginx:
        return ours, ours
    port = free_port()
    file = folder / "origin" / "nginx.conf"
    folders = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in NGINX_FOLDERS)
    file.write_text(
        f"""worker_processes 1; pid {folder}/origin.pid; error_log {folder}/origin.log; daemon off;
        events {{ worker_connections 4096; }}
        http {{ access_log off; {folders} default_type application/json;
        server {{ listen 127.0.0.1:{port} backlog=1024; keepalive_requests 1000000000; keepalive_timeout 600s;
        location / {{ return 200 '{JSON.decode()}'; }} }} }}""",
        "utf-8",
    )
    spawned(stack, cores, [nginx, "-c", str(file), "-e", f"{folder}/origin.log"], folder / "origin", port)
    return port, ours


def started(
    stack: contextlib.ExitStack, cores: Cores, peer: Peer, folder: Path, origin: int, *, measured: bool | None = True
) -> Running:
    """A proxy in front of the origin on this port."""
    port = free_port()
    place = folder / f"{peer.name.replace(' ', '-')}-{port}"
    place.mkdir()
    process = spawned(stack, cores, peer.command(place, port, origin), place, port, peer.environ, measured=measured)
    return Running(peer.name, psutil.Process(process.pid), f"http://127.0.0.1:{port}")


def spawned(
    stack: contextlib.ExitStack,
    cores: Cores,
    command: list[str],
    place: Path,
    port: int,
    environ: Mapping[str, str] | None = None,
    *,
    measured: bool | None = False,
) -> subprocess.Popen[str]:
    place.mkdir(exist_ok=True)
    log = stack.enter_context((place / "log").open("w"))
    process = cores.start(command, measured=measured, env={**os.environ, **(environ or {})}, stdout=log, stderr=log)
    stack.callback(_end, process)
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{' '.join(command)} did not start. It said:\n{(place / 'log').read_text()}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[str]) -> None:
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=5)
    for each in alive:
        each.kill()
    process.wait(5)


def free_port() -> int:
    """Below the range that systems take for outgoing connections: those could be gone before a process listens."""
    for port in random.sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise SystemExit(f"100 ports between {PORTS.start} and {PORTS.stop} are all in use.")
