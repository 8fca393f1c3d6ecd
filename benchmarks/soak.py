"""A soak: a great many requests of every kind, faults among them, through one worker of the router.

The rule. The first fifth of the requests is warm-up. After it the medians of the second fifth and of the last fifth
are compared: memory (PSS) may have grown by 3 % and no more than 2 MiB, tasks and descriptors, which go up and down
with the callers, by a tenth and five. When the callers have gone, tasks and descriptors are what they were before the
first came. Every caller got what was due.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import psutil
import uvloop

from .results import at_least_one
from .soak_callers import Soak

START_SECONDS = 60.0
REST_SECONDS = 30.0
ROUTES = """
[upstreams]
legacy   = {{ url = "http://127.0.0.1:{port}" }}
gone     = {{ url = "http://127.0.0.1:{gone}" }}
sick     = {{ url = "http://127.0.0.1:{port}", chunked_requests = "stream" }}
flapping = {{ url = "http://127.0.0.1:{port}", health = {{ every_seconds = 0.5, down_after = 2, up_after = 2 }} }}
narrow   = {{ url = "http://127.0.0.1:{port}", connections = 2, waiting = 4, wait_seconds = 0.3 }}
[evidence]
url = "sqlite:///{folder}/evidence.db"
{routes}
"""
ROUTE = '[[routes]]\nname = "{name}"\npath = "/{name}"\nto = "{to}"\nstage = "{stage}"\n{rest}\n'
MOVED = [
    ("gone", "gone", "extracted", "fallback = true"),
    ("sick", "sick", "extracted", "trip = { window_seconds = 2, probe_seconds = 1, slow_seconds = 0.5 }"),
    ("flap", "flapping", "extracted", "fallback = true"),
    ("hang", "sick", "legacy", "first_byte_seconds = 0.5"),
    ("busy", "narrow", "extracted", "total_seconds = 10"),
    ("copied", "sick", "shadow", 'methods = ["POST"]\nshadow = { effects = "none" }'),
    ("split", "sick", "split", 'split = { percent = 50, by = "cookie:sessionid" }'),
]


@dataclass(frozen=True)
class Sample:
    """The router at one moment."""

    requests: int
    pss_kib: int
    tasks: int
    descriptors: int


class Router:
    """The process that is watched, and the upstream behind it."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "router.log").open("w+")
        upstream = [sys.executable, "-m", "benchmarks.soak_upstream"]
        self._upstream = subprocess.Popen(upstream, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        port = int((self._upstream.stdout.readline() if self._upstream.stdout else "") or 0)
        self._gone = socket.socket()
        self._gone.bind(("127.0.0.1", 0))  # and never listens: nobody else gets this port, and whoever asks is refused
        routes = folder / "routes.toml"
        routes.write_text(routes_toml(port, self._gone.getsockname()[1], folder), "utf-8")
        command = [sys.executable, "-m", "router", "serve", str(routes), "--port", "0", "--admin", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self.port = int(self._when(lambda: self._said(r"Serving \S+ on \S+:(\d+)")))
        self._admin = int(self._when(lambda: self._said(r"Operators ask on \S+:(\d+)")))
        self._when(self._is_ready)

    def _when(self, found: Callable[[], str]) -> str:
        """What it finds, as soon as it finds something."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if what := found():
                return what
            time.sleep(0.1)
        self.process.kill()
        raise SystemExit(f"The router did not start. It said:\n{Path(self._log.name).read_text('utf-8')}")

    def _said(self, words: str) -> str:
        found = re.search(words, Path(self._log.name).read_text("utf-8"))
        return found[1] if found else ""

    def _is_ready(self) -> str:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/readyz", timeout=30) as answer,
        ):
            return str(answer.read())
        return ""

    def sample(self, requests: int) -> Sample | None:
        """Asking costs the router a connection and a task of its own, the same each time.

        None if the worker had no time to answer: on a busy machine that happens.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/status", timeout=30) as answer:
            workers = json.load(answer)["workers"]
        if not workers:
            return None
        (worker,) = workers
        process = psutil.Process(self.process.pid)
        pss = process.memory_full_info().pss // 1024
        return Sample(requests, pss, worker["process"]["tasks"], process.num_fds())

    def last_words(self) -> str:
        return "".join(Path(self._log.name).read_text("utf-8").splitlines(keepends=True)[-40:])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        if self._upstream.stdin is not None:
            self._upstream.stdin.close()
        self._upstream.wait(10)
        self._log.close()
        self._gone.close()


def routes_toml(port: int, gone: int, folder: Path) -> str:
    routes = "".join(ROUTE.format(name=name, to=to, stage=stage, rest=rest) for name, to, stage, rest in MOVED)
    return ROUTES.format(port=port, gone=gone, folder=folder, routes=routes)


async def run(
    router: Router, count: int, callers: int, seed: int, every_seconds: float
) -> tuple[Soak, list[Sample], Sample, Sample]:
    """The soak, samples of it, and the router at rest before and after."""
    before = await at_rest(router, 0, None)
    soak = Soak(router.port, count, seed)
    asking = asyncio.create_task(soak.run(callers))
    samples: list[Sample] = []
    while not asking.done():
        await asyncio.wait([asking], timeout=every_seconds)
        if not asking.done() and (sample := await asyncio.to_thread(router.sample, soak.done)):
            samples.append(sample)
    await asking
    return soak, samples, before, await at_rest(router, count, before)


async def at_rest(router: Router, requests: int, before: Sample | None) -> Sample:
    """The router without callers, when it has let go of what they cost it, or has had the time to."""
    deadline = time.monotonic() + REST_SECONDS
    sample = None
    while time.monotonic() < deadline:
        sample = await asyncio.to_thread(router.sample, requests) or sample
        if sample and (not before or (sample.tasks <= before.tasks and sample.descriptors <= before.descriptors)):
            break
        await asyncio.sleep(0.5)
    if sample is None:
        raise SystemExit(f"The router does not say how it is. Its log ends:\n{router.last_words()}")
    return sample


def medians(samples: list[Sample], count: int, fifth: int) -> dict[str, float]:
    """Of the samples that were taken in this fifth, 1 to 5, of the requests; empty if there were none."""
    chosen = [each for each in samples if (fifth - 1) * count / 5 < each.requests <= fifth * count / 5]
    if not chosen:
        return {}
    return {
        name: statistics.median(getattr(each, name) for each in chosen) for name in ("pss_kib", "tasks", "descriptors")
    }


def grown(early: dict[str, float], late: dict[str, float], *, with_memory: bool) -> list[str]:
    """What is not flat, in words; without memory, as in a smoke test, too few samples are no fault."""
    if not early or not late:
        return ["there are too few samples: ask for more requests"] if with_memory else []
    allowed = {
        "pss_kib": early["pss_kib"] + min(early["pss_kib"] * 0.03, 2048),
        "tasks": early["tasks"] * 1.1 + 5,
        "descriptors": early["descriptors"] * 1.1 + 5,
    }
    return [
        f"{name} went from {early[name]:g} to {late[name]:g}, more than {limit:g}"
        for name, limit in allowed.items()
        if late[name] > limit and (with_memory or name != "pss_kib")
    ]


def told(soak: Soak, samples: list[Sample], before: Sample, after: Sample, count: int) -> Iterator[str]:
    for (name, result), times in sorted(soak.seen.items(), key=lambda pair: (pair[0][0], str(pair[0][1]))):
        yield f"{times:>9}  {name}: {result}"
    yield f"\n{'':22}{'memory (PSS KiB)':>18}{'tasks':>8}{'descriptors':>13}"
    rows = [("at rest, before", asdict(before))]
    rows += [(f"fifth {fifth}, median", medians(samples, count, fifth)) for fifth in range(1, 6)]
    for name, row in [*filter(itemgetter(1), rows), ("at rest, after", asdict(after))]:
        yield f"{name:22}{row['pss_kib']:>18g}{row['tasks']:>8g}{row['descriptors']:>13g}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=at_least_one, default=1_000_000)
    arguments.add_argument("--callers", type=at_least_one, default=64)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--smoke", action="store_true", help="a few thousand, in seconds; memory is not judged")
    arguments.add_argument("--json", type=Path, default=Path("var/benchmarks/soak.json"))
    chosen = arguments.parse_args()
    count = min(chosen.requests, 4000) if chosen.smoke else chosen.requests
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the router would outlive this process
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Router(Path(folder))) as router:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            soak, samples, before, after = runner.run(
                run(router, count, chosen.callers, chosen.seed, 0.1 if chosen.smoke else 1.0)
            )
        cpu = psutil.Process(router.process.pid).cpu_times()
    print("\n".join(told(soak, samples, before, after, count)))
    faults = [f"{times} × {what}" for what, times in soak.wrong.items()]
    faults += grown(medians(samples, count, 2), medians(samples, count, 5), with_memory=not chosen.smoke)
    faults += [
        f"{name} at rest: {getattr(before, name)} before, {getattr(after, name)} after"
        for name in ("tasks", "descriptors")
        if getattr(after, name) > getattr(before, name)
    ]
    seconds, spent = time.monotonic() - began, cpu.user + cpu.system
    print(
        f"\n{count} requests in {seconds:.0f} s; {spent:.0f} s of the router's CPU, {spent / count * 1e6:.0f} µs each"
    )
    verdict = "Sound; memory is not judged in a smoke test." if chosen.smoke else "Flat."
    print("\n".join(faults) or verdict)
    found: dict[str, Any] = {"requests": count, "faults": faults, "samples": [asdict(each) for each in samples]}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(found), "utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
