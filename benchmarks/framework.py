"""What a framework costs: CPU per request of one JSON endpoint, and how long from a cold start to the first answer.

The rungs without a framework are what the server itself costs. A Django view below "middleware" has none; above it has
those of `startproject`. Cold starts end with the first answer and are counted for monolith, service and router too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from .ladder import PATH, RUNGS, Rung
from .processes import Cores, Running, free_port, spawned
from .results import add_options, at_least_one, write_down
from .servers import EXTRACTED, Servers, sync
from .stack import running_stack

CONNECTIONS = 16
COLD_SECONDS = 60.0
LOOK_SECONDS = 0.002
Row = dict[str, list[float]]


@dataclass(frozen=True)
class Start:
    """Something that is started cold."""

    name: str
    command: Callable[[int], list[str]]
    environ: Mapping[str, str]
    path: str


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=at_least_one, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    add_options(parser, "framework")
    chosen = parser.parse_args(arguments)
    if chosen.smoke:
        chosen.repetitions, chosen.seconds = 1, 0.3
    cores, rungs = Cores(), [rung for rung in RUNGS if rung.is_here]
    with tempfile.TemporaryDirectory() as name, running_stack(0.0, 0) as stack:
        folder = Path(name)
        cores.move_to_the_last([process for family in stack.families.values() for process in family])
        requests = _requests(cores, folder, rungs, chosen)
        starts = [*_ours(Servers(stack, cores, folder)), *map(_rung, rungs)]
        cold = _cold(cores, starts, chosen.repetitions, is_warm=chosen.smoke)
    absent = [rung.name for rung in RUNGS if not rung.is_here]
    print("\n".join(table(requests, cold, absent)))
    found = {"versions": _versions(), "requests": requests, "cold": cold, "not_installed": absent}
    write_down(chosen, "framework", found)
    return 0


def _versions() -> dict[str, str]:
    packages = ("django", "gunicorn", "flask", "django-ninja", "djangorestframework")
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


# --- requests


def _requests(cores: Cores, folder: Path, rungs: list[Rung], chosen: argparse.Namespace) -> dict[str, Row]:
    found: dict[str, Row] = {rung.name: {"cpu_us": [], "per_second": []} for rung in rungs}
    with ExitStack() as leaving:
        running = []
        for rung in rungs:
            port = free_port()
            place = folder / f"{rung.make}-{port}"
            process = spawned(leaving, cores, rung.command(port), place, port, measured=True)
            running.append(Running(rung.name, psutil.Process(process.pid), f"http://127.0.0.1:{port}"))
        for _ in range(chosen.repetitions):
            for each in running:
                if not chosen.smoke:
                    _ask(cores, each, chosen.seconds / 4)
                before = each.cpu_seconds()
                said = _ask(cores, each, chosen.seconds)
                if said["failed"] or not said["requests"]:
                    raise SystemExit(f"{each.name}: {said}")
                used = each.cpu_seconds() - before
                found[each.name]["cpu_us"].append(used / said["requests"] * 1e6)
                found[each.name]["per_second"].append(said["requests"] / chosen.seconds)
    return found


def _ask(cores: Cores, each: Running, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", "requests", each.url + PATH]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    said: dict[str, float] = json.loads(cores.start(command, measured=False, stdout=subprocess.PIPE).communicate()[0])
    return said


# --- cold starts


def _ours(servers: Servers) -> list[Start]:
    monolith, service = sync(1), EXTRACTED
    router = servers.routes_file({"legacy": servers.stack.provider})
    return [
        Start(
            "the monolith, gunicorn", lambda port: servers.command(monolith, port), servers.environ("legacy"), "/login/"
        ),
        Start(
            "the extracted service",
            lambda port: servers.command(service, port),
            servers.environ("extracted"),
            "/health",
        ),
        Start(
            "the router",
            lambda port: [sys.executable, "-m", "router", "serve", str(router), "--port", str(port)],
            servers.environ("router"),
            "/sandbox/settings",
        ),
    ]


def _rung(rung: Rung) -> Start:
    return Start(rung.name, rung.command, {}, PATH)


def _cold(cores: Cores, starts: list[Start], repetitions: int, *, is_warm: bool) -> dict[str, Row]:
    """Unless it is warm, the first start reads the files from the disk, and does not count."""
    found: dict[str, Row] = {start.name: {"seconds": [], "cpu_seconds": []} for start in starts}
    for repetition in range(int(is_warm), repetitions + 1):
        for start in starts:
            seconds, cpu = cold(cores, start)
            if repetition:
                found[start.name]["seconds"].append(seconds)
                found[start.name]["cpu_seconds"].append(cpu)
    return found


def cold(cores: Cores, start: Start) -> tuple[float, float]:
    """From the start of the process until its first 200: seconds, and CPU seconds."""
    port = free_port()
    environ = {**os.environ, **start.environ}
    began = time.monotonic()
    process = cores.start(
        start.command(port), measured=True, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = Running(start.name, psutil.Process(process.pid), f"http://127.0.0.1:{port}")
    try:
        while not _answers(port, start.path):
            if process.poll() is not None or time.monotonic() - began > COLD_SECONDS:
                raise SystemExit(f"{start.name} did not start.")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began, running.cpu_seconds()
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(COLD_SECONDS)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def table(requests: dict[str, Row], cold_starts: dict[str, Row], absent: list[str]) -> Iterator[str]:
    yield f"{'one JSON endpoint':28}{'CPU us per request':>26}{'requests per s':>18}"
    for name, row in sorted(requests.items(), key=lambda item: statistics.median(item[1]["cpu_us"])):
        yield f"{name:28}{_spread(row['cpu_us'], 1, 0):>26}{statistics.median(row['per_second']):>18,.0f}"
    yield f"{'cold start':28}{'CPU ms':>26}{'ms until the first answer':>28}"
    for name, row in sorted(cold_starts.items(), key=lambda item: statistics.median(item[1]["cpu_seconds"])):
        yield f"{name:28}{_spread(row['cpu_seconds'], 1000, 0):>26}{_spread(row['seconds'], 1000, 0):>28}"
    for name in absent:
        yield f"{name:28}{'not installed, not measured':>28}"


def _spread(values: list[float], factor: float, digits: int) -> str:
    low, middle, high = (value * factor for value in (min(values), statistics.median(values), max(values)))
    return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
