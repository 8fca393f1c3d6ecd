"""What callers notice of shadowing, whatever the candidate does with the copies: their p99, memory, descriptors.

One router is asked at a steady rate for answers that take the primary some milliseconds, as a monolith's do. Runs
without and with shadowing of every request take turns, so that a busy machine is as busy for both; what is compared
are the 99th percentiles of all requests of either kind. The candidate and the shadow process have a core of their own,
apart from callers, router and primary: a real candidate is another machine. It behaves in one way for each pair of
runs: well, hanging, dripping, never ending, flooding, dying, failing (see `candidates.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import psutil
import uvloop

from .candidates import BEHAVIOURS, BODY

ALLOWED_RATIO = 1.05
ALLOWED_GROWTH_MIB = 96
"""Of the router and its shadow process together: recordings and answers at their limits, and the evidence's library."""
START_SECONDS = 30.0
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.2
ROUTE = """
[[routes]]
name = "{kind}-{behaviour}"
path = "/{kind}/{behaviour}"
methods = ["GET"]
to = "candidate"
stage = "{stage}"
shadow = {{ effects = "none" }}
"""
SETTINGS = """
[upstreams]
legacy = {{ url = "http://127.0.0.1:{legacy}", keep_seconds = 0.5 }}
candidate = "http://127.0.0.1:{candidate}"
[shadow]
workers = 16
queue = 32
per_second = 100000
timeout_seconds = 0.5
[evidence]
url = "sqlite:///{folder}/evidence.db"
"""


@dataclass(frozen=True)
class Pair:
    """One behaviour: what every request of all runs took, in milliseconds; a run alone has too few for a 99th
    percentile that means something."""

    behaviour: str
    without_ms: list[float] = field(default_factory=list)
    with_ms: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def ratio(self) -> float:
        return percentile(self.with_ms, 0.99) / percentile(self.without_ms, 0.99)

    def figures(self) -> dict[str, object]:
        """What is written down."""
        shares = {"p50": 0.5, "p99": 0.99}
        both = {"without": self.without_ms, "with": self.with_ms}
        found = {f"{name}_{way}_ms": percentile(took, at) for name, at in shares.items() for way, took in both.items()}
        requests = len(self.without_ms) + len(self.with_ms)
        return {"behaviour": self.behaviour, **found, "ratio": self.ratio, "requests": requests, "failed": self.failed}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


class Line(asyncio.Protocol):
    """One kept connection to the router."""

    def __init__(self, idle: list[Line], seconds: list[float]) -> None:
        self._idle = idle
        self._seconds = seconds
        self._answer = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> None:
        self._asked = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.startswith(b"HTTP/1.1 200") and self._answer.endswith(b"\r\n\r\n" + BODY):
            self._seconds.append(time.perf_counter() - self._asked)
            self._answer = b""
            self._idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False


async def run(port: int, path: str, rate: float, seconds: float) -> tuple[list[float], int]:
    """The seconds that each right answer took, in order of size; and how many requests had none."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode()
    idle: list[Line] = []
    lines: list[Line] = []
    took: list[float] = []
    began = loop.time()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(began + number / rate - loop.time())
        line = idle.pop() if idle else None
        if line is None or not line.is_open:
            _, line = await loop.create_connection(lambda: Line(idle, took), "127.0.0.1", port)
            lines.append(line)
        line.ask(request)
    deadline = loop.time() + 5
    while len(took) < int(rate * seconds) and loop.time() < deadline:  # noqa: ASYNC110  (no event per answer)
        await asyncio.sleep(0.01)
    for line in lines:
        line.transport.abort()
    return sorted(took), int(rate * seconds) - len(took)


@contextmanager
def process(*words: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    err = subprocess.DEVNULL if log is None else log.open("wb")
    running = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=err)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(30)
        if running.stdout is not None:
            running.stdout.close()


def port_of(running: subprocess.Popen[bytes]) -> int:
    assert running.stdout is not None
    return int(running.stdout.readline())


def serving_port(log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(rb"http://127\.0\.0\.1:(\d+)\s", log.read_bytes()):
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"The router did not start. It said:\n{log.read_text()}")


def resident_mib(router: psutil.Process) -> float:
    return sum(each.memory_info().rss for each in _family(router)) / 1_048_576


def descriptors(router: psutil.Process) -> int:
    return sum(each.num_fds() for each in _family(router))


def _family(router: psutil.Process) -> list[psutil.Process]:
    return [router, *router.children(recursive=True)]


class Watching:
    """The most memory that the router and its shadow process took."""

    def __init__(self, router: psutil.Process) -> None:
        self.peak_mib = 0.0
        self._router = router

    async def watch(self) -> None:
        while True:
            with contextlib.suppress(psutil.Error):
                self.peak_mib = max(self.peak_mib, resident_mib(self._router))
            await asyncio.sleep(LOOK_SECONDS)


async def settled(router: psutil.Process, before: int) -> int:
    """So many descriptors are open once no more than before are, or once patience is over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (now := descriptors(router)) > before and time.monotonic() < deadline:  # noqa: ASYNC110  (another process)
        await asyncio.sleep(LOOK_SECONDS)
    return now


async def measured(
    port: int, router: psutil.Process, behaviour: str, rate: float, seconds: float, repetitions: int
) -> Pair:
    pair, failed = Pair(behaviour), 0
    for repetition in range(repetitions):
        kinds = ("plain", "shadow") if repetition % 2 == 0 else ("shadow", "plain")
        for kind in kinds:
            quiet = descriptors(router)
            took, lost = await run(port, f"/{kind}/{behaviour}", rate, seconds)
            failed += lost
            of_all = pair.without_ms if kind == "plain" else pair.with_ms
            of_all += [each * 1000 for each in took]
            await settled(router, quiet)
            await asyncio.sleep(0.5)
    return replace(pair, failed=failed)


async def measure(folder: Path, behaviours: list[str], chosen: argparse.Namespace) -> dict[str, object]:
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        os.sched_setaffinity(0, {cores[0]})
        own = stack.enter_context(process("benchmarks.candidates", "--seconds", str(chosen.latency_ms / 1000)))
        other = stack.enter_context(process("benchmarks.candidates"))
        os.sched_setaffinity(other.pid, {cores[-1]})
        file, log = folder / "routes.toml", folder / "router.log"
        routes = [
            ROUTE.format(kind=kind, behaviour=behaviour, stage="legacy" if kind == "plain" else "shadow")
            for behaviour in BEHAVIOURS
            for kind in ("plain", "shadow")
        ]
        settings = SETTINGS.format(legacy=port_of(own), candidate=port_of(other), folder=folder)
        file.write_text(settings + "".join(routes))
        running = stack.enter_context(process("router", "serve", str(file), "--port", "0", log=log))
        port, router = serving_port(log), psutil.Process(running.pid)
        for kind in ("plain", "shadow"):  # once each for what is loaded at its first use
            await run(port, f"/{kind}/well", chosen.rate, 1.0)
        for shadow_process in router.children():
            shadow_process.cpu_affinity([cores[-1]])
        await asyncio.sleep(2)
        open_before, mib_before = descriptors(router), resident_mib(router)
        watching = Watching(router)
        task = asyncio.create_task(watching.watch())
        pairs = [
            await measured(port, router, behaviour, chosen.rate, chosen.seconds, chosen.repetitions)
            for behaviour in behaviours
        ]
        task.cancel()
        return {
            "pairs": pairs,
            "descriptors_before": open_before,
            "descriptors_after": await settled(router, open_before),
            "mib_before": mib_before,
            "mib_peak": watching.peak_mib,
            "copies": kept(folder / "evidence.db"),
        }


def kept(database: Path) -> dict[str, int]:
    """How many copies were compared, by verdict: proof that there were any."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return dict(
            connection.execute("SELECT verdict, count(*) FROM evidence_comparisons GROUP BY verdict").fetchall()
        )


def told(found: dict[str, object], allowed_ratio: float) -> bool:
    """Print what was found. False if callers notice, or something was left."""
    pairs = cast("list[Pair]", found["pairs"])
    print(f"{'candidate':12}{'p50 without':>13}{'with':>8}{'p99 without':>13}{'with':>8}{'ratio':>8}{'no answer':>11}")
    for pair in pairs:
        one, two, three, four = (
            percentile(took, share) for share in (0.5, 0.99) for took in (pair.without_ms, pair.with_ms)
        )
        times = f"{one:>10.2f} ms{two:>8.2f}{three:>10.2f} ms{four:>8.2f}"
        print(f"{pair.behaviour:12}{times}{pair.ratio:>8.3f}{pair.failed:>11}")
    growth = cast(float, found["mib_peak"]) - cast(float, found["mib_before"])
    left = cast(int, found["descriptors_after"]) - cast(int, found["descriptors_before"])
    print(f"memory of router and shadow process: {found['mib_before']:.0f} MiB, at most {growth:.0f} more")
    print(f"descriptors: {found['descriptors_before']} before, {found['descriptors_after']} after")
    print(f"copies: {found['copies']}")
    is_unnoticed = all(pair.ratio <= allowed_ratio and not pair.failed for pair in pairs)
    return is_unnoticed and growth <= ALLOWED_GROWTH_MIB and left <= 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=float, default=100.0, help="requests per second")
    arguments.add_argument("--seconds", type=float, default=4.0, help="of one run")
    arguments.add_argument("--repetitions", type=int, default=9, help="runs of each kind for each behaviour")
    arguments.add_argument("--latency-ms", type=float, default=20.0, help="what the primary takes to answer")
    arguments.add_argument("--behaviours", nargs="+", choices=BEHAVIOURS, default=list(BEHAVIOURS))
    arguments.add_argument("--json", type=Path, default=Path("var/benchmarks/shadow.json"))
    arguments.add_argument("--smoke", action="store_true", help="a second of each: does it work, not what is noticed")
    arguments.add_argument(
        "--niceness", type=int, default=0, help="of all that is measured: below 0 (root) it is heard on a busy machine"
    )
    chosen = arguments.parse_args()
    os.nice(chosen.niceness)
    if chosen.smoke:
        chosen.seconds, chosen.repetitions = 0.5, 1
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(measure(Path(folder), chosen.behaviours, chosen))
    held = told(found, math.inf if chosen.smoke else ALLOWED_RATIO)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    pairs = [pair.figures() for pair in cast("list[Pair]", found["pairs"])]
    chosen.json.write_text(json.dumps({**found, "pairs": pairs, "held": held}, indent=2), "utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
