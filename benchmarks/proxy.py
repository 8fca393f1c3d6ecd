"""The router beside other proxies, in one run on one machine: CPU per request, CPU per relayed event, latency, memory.

Each proxy has one worker on a core of its own; origin and load share another. CPU is the proxy's own user and system
time, children included, divided by what it finished in that time: it holds on a busy machine, where rates and
latencies do not. The repetitions of all proxies are interleaved; what is told is the median, with the extremes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .peers import ROUTES, Peer, found
from .processes import Cores, Running, origins, started
from .results import at_least_one

WARM_SECONDS = 0.5
CONNECTIONS = 32
STREAMS = 200
PATH = f"/api/r{ROUTES // 2}/7/summary"


@dataclass
class Figures:
    """What one proxy showed, a value for each repetition. Times in microseconds, memory in KiB."""

    name: str
    version: str
    cpu_per_request: list[float] = field(default_factory=list)
    requests_per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p50_alone: list[float] = field(default_factory=list)
    cpu_per_event: list[float] = field(default_factory=list)
    events_per_second: list[float] = field(default_factory=list)
    memory_per_stream: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    failed: int = 0
    streams_failed: str = ""
    """Why events were not measured: some proxies cannot hold so many streams, and are not asked twice."""


def main(arguments: list[str] | None = None) -> int:
    chosen, peers = _chosen(arguments)
    cores = Cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        requests_origin, events_origin = origins(stack, cores, folder)
        load = "wrk" if shutil.which("wrk") and not chosen.smoke else "benchmarks.load"
        running = [started(stack, cores, peer, folder, requests_origin) for peer in peers]
        figures = {peer.name: Figures(peer.name, peer.version) for peer in peers}
        for _ in range(chosen.repetitions):
            for each in running:
                _requests(cores, each, figures[each.name], load, CONNECTIONS, chosen.seconds)
            for each in running:
                _requests(cores, each, figures[each.name], load, 1, chosen.seconds / 2)
        streaming = [started(stack, cores, peer, folder, events_origin) for peer in peers]
        for _ in range(chosen.repetitions):
            for each in streaming:
                _events(cores, each, figures[each.name], chosen.streams, chosen.seconds)
    return _told(list(figures.values()), load, chosen)


def _told(figures: list[Figures], load: str, chosen: argparse.Namespace) -> int:
    print(table(figures))
    print("\n".join(said for said, _ in judged(figures)))
    _write_down(chosen.json, figures, load, chosen)
    if chosen.smoke:
        return int(any(each.failed or each.streams_failed or not all(each.events_per_second) for each in figures))
    return int(any(held is False for _, held in judged(figures)))


def _chosen(arguments: list[str] | None) -> tuple[argparse.Namespace, list[Peer]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=at_least_one, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--streams", type=at_least_one, default=STREAMS)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="measure only this proxy; repeatable"
    )
    environment = os.environ.get("BENCH_PEERS")
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(environment) if environment else None,
        help="a virtual environment with further proxies (or BENCH_PEERS)",
    )
    parser.add_argument("--json", type=Path, default=Path("var/benchmarks/proxy.json"))
    parser.add_argument("--smoke", action="store_true", help="a second of each: does it work, not how fast is it")
    chosen = parser.parse_args(arguments)
    if chosen.peers and not (chosen.peers / "bin" / "python").exists():
        parser.error(f"{chosen.peers} is no virtual environment: leave out --peers, or make one")
    here = found(chosen.peers)
    if absent := set(chosen.only) - {each.name for each in here}:
        parser.error(f"{', '.join(sorted(absent))} is not here; here are: {', '.join(each.name for each in here)}")
    if chosen.smoke:
        chosen.repetitions, chosen.seconds, chosen.streams = 1, 0.5, 20
    return chosen, [each for each in here if not chosen.only or each.name in chosen.only]


# --- measurements


def _requests(cores: Cores, each: Running, figures: Figures, load: str, connections: int, seconds: float) -> None:
    _asked(cores, each, load, connections, WARM_SECONDS)
    before, began = each.cpu_seconds(), time.monotonic()
    seen = _asked(cores, each, load, connections, seconds)
    cpu, took = each.cpu_seconds() - before, time.monotonic() - began
    figures.failed += int(seen["failed"])
    if not seen["requests"]:
        figures.failed += 1
        return
    if connections == 1:
        figures.p50_alone.append(seen["p50_seconds"] * 1e6)
        return
    figures.cpu_per_request.append(cpu / seen["requests"] * 1e6)
    figures.requests_per_second.append(seen["requests"] / min(took, seconds))
    figures.p50.append(seen["p50_seconds"] * 1e6)


def _asked(cores: Cores, each: Running, load: str, connections: int, seconds: float) -> dict[str, float]:
    url = each.url + PATH
    if load == "wrk":
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", url]
        return wrk_said(cores.start(command, measured=False, stdout=subprocess.PIPE).communicate()[0])
    command = [sys.executable, "-m", "benchmarks.load", "requests", url]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    said: dict[str, float] = json.loads(cores.start(command, measured=False, stdout=subprocess.PIPE).communicate()[0])
    return said


def wrk_said(text: str) -> dict[str, float]:
    """What wrk prints, in numbers."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    requests = re.search(r"(\d+) requests in", text)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {
        "requests": int(requests[1]) if requests else 0,
        "failed": (int(wrong[1]) if wrong else 0) + (sum(map(int, broken.groups())) if broken else 0),
        "p50_seconds": float(p50[1]) * units[p50[2]] if p50 else 0.0,
    }


def _events(cores: Cores, each: Running, figures: Figures, streams: int, seconds: float) -> None:
    if figures.streams_failed:
        return
    idle = each.memory_kib()
    command = [sys.executable, "-m", "benchmarks.load", "events", f"{each.url}/events"]
    command += ["--connections", str(streams), "--seconds", str(seconds)]
    load = cores.start(command, measured=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if load.stdout is None:
        raise TypeError("a pipe was asked for")
    said = load.stdout.readline()
    if said != "open\n":
        figures.streams_failed = said.strip() or "the streams broke"
        load.communicate()
        return
    before = each.cpu_seconds()
    events = int(load.stdout.readline())
    figures.cpu_per_event.append((each.cpu_seconds() - before) / max(1, events) * 1e6)
    figures.events_per_second.append(events / seconds)
    figures.memory.append(each.memory_kib())
    figures.memory_per_stream.append((figures.memory[-1] - idle) / streams)
    load.communicate()


# --- what is told


def table(figures: list[Figures]) -> str:
    head = f"{'proxy':20}{'CPU per request':>26}{'req/s':>9}{'p50 at 32':>11}{'p50 at 1':>10}"
    head += f"{'CPU per event':>24}{'KiB per stream':>16}{'MiB':>7}"
    return "\n".join([head, *(_line(each) for each in sorted(figures, key=lambda each: _middle(each.cpu_per_request)))])


def _line(each: Figures) -> str:
    return (
        f"{each.name:20}{_spread(each.cpu_per_request):>26}{_middle(each.requests_per_second):>9,.0f}"
        f"{_middle(each.p50) / 1000:>8.2f} ms{_middle(each.p50_alone) / 1000:>7.3f} ms"
        f"{_spread(each.cpu_per_event):>24}{_first(each.memory_per_stream):>16.1f}"
        f"{_middle(each.memory) / 1024:>7.0f}"
        + (f"  failed: {each.failed}" if each.failed else "")
        + (f"  {each.streams_failed}" if each.streams_failed else "")
    )


def judged(figures: list[Figures]) -> Iterator[tuple[str, bool | None]]:
    """The targets, and whether they are met: None where the other proxy is not here."""
    by_name = {each.name: each for each in figures}
    for what, name, most in (
        ("cpu_per_request", "envoy", 1.5),
        ("cpu_per_request", "caddy", 1.0),
        ("cpu_per_event", "envoy", 1.2),
        ("p50_alone", "nginx", 1.5),
    ):
        words = what.replace("_", " ")
        if "router" not in by_name or name not in by_name:
            yield f"{words} against {name}: not measured", None
            continue
        ratio = _middle(getattr(by_name["router"], what)) / _middle(getattr(by_name[name], what))
        held = ratio <= most
        yield f"{words}: {ratio:.2f} x {name}, at most {most:g}: {'met' if held else 'MISSED'}", held


def _middle(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _first(values: list[float]) -> float:
    """What memory grew by the first time: allocators keep it for the next."""
    return values[0] if values else float("nan")


def _spread(values: list[float]) -> str:
    return f"{_middle(values):.1f} us ({min(values):.1f}-{max(values):.1f})" if values else "none"


def _write_down(file: Path, figures: list[Figures], load: str, chosen: argparse.Namespace) -> None:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    told = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": cpu[1] if cpu else platform.processor(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
        },
        "load_average": os.getloadavg(),
        "load": load,
        "routes": ROUTES,
        "connections": CONNECTIONS,
        "streams": chosen.streams,
        "seconds": chosen.seconds,
        "targets": [said for said, _ in judged(figures)],
        "proxies": [asdict(each) for each in figures],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
