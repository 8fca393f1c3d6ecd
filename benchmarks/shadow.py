"""What callers notice of shadowing, whatever the candidate does with the copies: their p99, memory, descriptors.

One router is asked for answers that take the primary some milliseconds, as a monolith's do. Short runs without and
with shadowing of every request take turns, so that a busy machine is as busy for both; what is compared are the 99th
percentiles of all requests of either kind. The shadow process has to share the core of callers, router and primary,
which is the worst place for it; the candidate has another one, as a real candidate is another machine. It behaves in
one way for each pair of runs: well, hanging, dripping, never ending, flooding, dying, failing (see `candidates.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import math
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from . import shadow_told
from .candidates import BEHAVIOURS, exact_loop
from .results import add_options, write_down
from .shadow_callers import run
from .shadow_told import ALLOWED_RATIO, Pair, Pairs

START_SECONDS = 30.0
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.2
REST_SECONDS = 0.5
"""Between two runs."""
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


class Watched:
    """The router and its shadow process, and the most memory that they took together."""

    def __init__(self, pid: int) -> None:
        self._router = psutil.Process(pid)
        self._family: list[psutil.Process] = []
        self.peak_mib = 0.0
        self.look_around()

    def look_around(self) -> None:
        """Which processes there are: nothing to be asked while somebody waits, it takes milliseconds."""
        self._family = [self._router, *self._router.children(recursive=True)]

    def mib(self) -> float:
        return sum(each.memory_info().rss for each in self._family) / 1_048_576

    def descriptors(self) -> int:
        self.look_around()
        return sum(each.num_fds() for each in self._family)

    async def watch(self) -> None:
        while True:
            with contextlib.suppress(psutil.Error):
                self.peak_mib = max(self.peak_mib, self.mib())
            await asyncio.sleep(LOOK_SECONDS)

    async def settled(self, before: int) -> int:
        """So many descriptors are open once no more than before are, or once patience is over."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (now := self.descriptors()) > before and time.monotonic() < deadline:  # noqa: ASYNC110  (another process)
            await asyncio.sleep(LOOK_SECONDS)
        return now

    def go_first(self) -> None:
        for each in self._family:
            go_first(each.pid)


def go_first(pid: int) -> None:
    """Before everything else on the machine, in the order that the benchmark's processes have among themselves: of the
    class SCHED_IDLE, which gives the processor back at once, is below the others, and whatever is not is their equal.
    """
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        priority = 1 if os.sched_getscheduler(thread) == os.SCHED_IDLE else 2
        try:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
        except PermissionError as error:
            raise SystemExit("--real-time is for root, or with the capability CAP_SYS_NICE") from error


async def measured(port: int, watched: Watched, behaviour: str, chosen: argparse.Namespace) -> Pairs:
    pairs: list[Pair] = []
    failed = 0
    for repetition in range(chosen.repetitions):
        took: dict[str, list[float]] = {}
        for kind in ("plain", "shadow") if repetition % 2 == 0 else ("shadow", "plain"):
            quiet = watched.descriptors()
            same = random.Random(repetition)  # noqa: S311  (when requests come, which is the same for both)
            took[kind], lost = await run(port, f"/{kind}/{behaviour}", chosen.rate, chosen.seconds, same)
            failed += lost
            await watched.settled(quiet)
            await asyncio.sleep(REST_SECONDS)
        pairs.append((took["plain"], took["shadow"]))
    return Pairs(behaviour, pairs, failed)


async def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        os.sched_setaffinity(0, {cores[0]})
        own = stack.enter_context(process("benchmarks.candidates", "--seconds", str(chosen.latency_ms / 1000)))
        other = stack.enter_context(process("benchmarks.candidates"))
        os.sched_setaffinity(other.pid, {cores[-1]})
        file, log = folder / "routes.toml", folder / "router.log"
        file.write_text(settings(port_of(own), port_of(other), folder))
        router = stack.enter_context(process("router", "serve", str(file), "--port", "0", log=log))
        port = serving_port(log)
        for kind in ("plain", "shadow"):  # once each for what is loaded at its first use
            await run(port, f"/{kind}/well", chosen.rate, 1.0, random.Random(0))  # noqa: S311
        watched = Watched(router.pid)
        if chosen.real_time:
            go_first(os.getpid())
            go_first(own.pid)
            watched.go_first()
        await asyncio.sleep(2)
        gc.disable()  # callers' pauses would be taken for the router's
        open_before, mib_before = watched.descriptors(), watched.mib()
        watching = asyncio.create_task(watched.watch())
        pairs = [await measured(port, watched, behaviour, chosen) for behaviour in chosen.behaviours]
        watching.cancel()
        return {
            "pairs": pairs,
            "descriptors_before": open_before,
            "descriptors_after": await watched.settled(open_before),
            "mib_before": mib_before,
            "mib_peak": watched.peak_mib,
            "copies": kept(folder / "evidence.db"),
        }


def settings(legacy: int, candidate: int, folder: Path) -> str:
    routes = [
        ROUTE.format(kind=kind, behaviour=behaviour, stage="legacy" if kind == "plain" else "shadow")
        for behaviour in BEHAVIOURS
        for kind in ("plain", "shadow")
    ]
    return SETTINGS.format(legacy=legacy, candidate=candidate, folder=folder) + "".join(routes)


def kept(database: Path) -> dict[str, int]:
    """How many copies were compared, by verdict: proof that there were any."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return dict(
            connection.execute("SELECT verdict, count(*) FROM evidence_comparisons GROUP BY verdict").fetchall()
        )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=float, default=100.0, help="requests per second")
    arguments.add_argument("--seconds", type=float, default=2.5, help="of one run")
    arguments.add_argument("--repetitions", type=int, default=16, help="runs of each kind for each behaviour")
    arguments.add_argument("--latency-ms", type=float, default=20.0, help="what the primary takes to answer")
    arguments.add_argument("--behaviours", nargs="+", choices=BEHAVIOURS, default=list(BEHAVIOURS))
    arguments.add_argument("--real-time", action="store_true", help="before all else on a busy machine (root)")
    add_options(arguments, "shadow")
    chosen = arguments.parse_args()
    if chosen.smoke:
        chosen.seconds, chosen.repetitions = 0.5, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the router would outlive this process
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=exact_loop) as runner:
        found = runner.run(measure(Path(folder), chosen))
    print(shadow_told.table(found))
    judged = list(shadow_told.judge(found, math.inf if chosen.smoke else ALLOWED_RATIO))
    print("\n".join(said for said, _ in judged))
    asked = {name: getattr(chosen, name) for name in ("rate", "seconds", "repetitions", "latency_ms", "real_time")}
    figures = [pairs.figures() for pairs in found["pairs"]]
    write_down(chosen, "shadow", {**asked, **found, "pairs": figures, "judged": [said for said, _ in judged]})
    return 0 if all(held for _, held in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
