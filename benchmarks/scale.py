"""How far it goes: several workers of the router, thousands of open streams through one, a million comparisons.

Streams: each is open and has spoken before memory is read; memory per stream is what all of them together added to
the router that had none. The comparisons go through the router's own store, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .peers import Peer, found
from .processes import Cores, free_port, origins, spawned, started
from .results import add_options, at_least_one, write_down

WORKERS = (1, 2, 4)
STREAMS = (1, 100, 1_000, 5_000)
EVENT_SECONDS = 1.0  # between two events of a stream: thousands that speak fifty times a second are another question
CONNECTIONS = 64
CONNECTIONS_OF_AN_UPSTREAM = 10_000
FEW = 100
# What a further stream takes among the thousands, to among the hundreds. The first ones use what warming up left free.
FLAT = 1.25
PATH = "/api/r25/7/summary"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=at_least_one, nargs="+", default=list(WORKERS))
    parser.add_argument("--streams", type=at_least_one, nargs="+", default=list(STREAMS))
    parser.add_argument("--comparisons", type=at_least_one, default=1_000_000)
    parser.add_argument("--repetitions", type=at_least_one, default=3, help="of workers and streams")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    add_options(parser, "scale")
    chosen = parser.parse_args(arguments)
    if chosen.smoke:
        chosen.workers, chosen.streams, chosen.comparisons = [1, 2], [1, 50], 2_000
        chosen.repetitions, chosen.seconds = 1, 1.0
    _raise_descriptors(max(chosen.streams))
    cores = Cores()
    router = next(each for each in found(None) if each.name == "router")
    with tempfile.TemporaryDirectory() as name:
        found_out: dict[str, Any] = {
            "workers": _workers(cores, router, Path(name), chosen),
            "streams": _streams(cores, router, Path(name), chosen),
            "comparisons": _comparisons(Path(name), chosen.comparisons),
        }
    judged = list(judge(found_out))
    print("\n".join(table(found_out)))
    print("\n".join(said for said, _ in judged))
    write_down(chosen, "scale", {**found_out, "judged": [said for said, _ in judged]})
    return int(not all(held for _, held in judged) and not chosen.smoke)


def _raise_descriptors(streams: int) -> None:
    """Two for each stream; children inherit the limit."""
    wanted = 2 * streams + 1_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        raise SystemExit(f"{streams} streams need {wanted} descriptors, and this user may have {most}: see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


# --- workers


def _workers(cores: Cores, router: Peer, folder: Path, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Not pinned: more workers than cores is what is asked."""
    rows: dict[int, list[dict[str, float]]] = {count: [] for count in chosen.workers}
    with ExitStack() as leaving:
        origin, _ = origins(leaving, cores, folder)
        servers = {}
        for count in chosen.workers:
            peer = _with(router, "--workers", str(count))
            servers[count] = started(leaving, cores, peer, folder, origin, measured=None)
        for _ in range(chosen.repetitions):
            for count, server in servers.items():
                _ask(server.url, 0.5)
                before = server.cpu_seconds()
                said = _ask(server.url, chosen.seconds)
                cpu = server.cpu_seconds() - before
                if said["failed"] or not said["requests"]:
                    raise SystemExit(f"{count} workers: {said}")
                row = {"per_second": said["requests"] / chosen.seconds, "cpu_us": cpu / said["requests"] * 1e6}
                rows[count].append(row | {"memory_kib": server.memory_kib()})
    return [{"workers": count, **_medians(several)} for count, several in rows.items()]


def _ask(url: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", "requests", url + PATH]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    said: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return said


# --- streams


def _streams(cores: Cores, router: Peer, folder: Path, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    rows: dict[int, list[dict[str, float]]] = {count: [] for count in chosen.streams}
    with ExitStack() as leaving:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.origin", "--port", str(port)]
        spawned(leaving, cores, [*command, "--event-seconds", str(EVENT_SECONDS)], folder / "slow-origin", port)
        for _ in range(chosen.repetitions):
            for count in chosen.streams:
                rows[count].append(_open(cores, _roomy(router), folder, port, count, chosen.seconds))
    return [{"streams": count, **_medians(several)} for count, several in rows.items()]


def _open(cores: Cores, router: Peer, folder: Path, origin: int, count: int, seconds: float) -> dict[str, float]:
    """A router of its own for each measurement: what is free from the one before would be used again."""
    with ExitStack() as leaving:
        server = started(leaving, cores, router, folder, origin)
        _ask(server.url, 0.5)
        idle = server.memory_kib()
        load = cores.start(
            [
                *(sys.executable, "-m", "benchmarks.load", "events", f"{server.url}/events"),
                *("--connections", str(count), "--seconds", str(seconds)),
            ],
            measured=False,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert load.stdout is not None
        said = load.stdout.readline()
        if said != "open\n":
            load.kill()
            raise SystemExit(f"{count} streams could not all be opened: {said or 'no word'}")
        before = server.cpu_seconds()
        events = int(load.stdout.readline())
        cpu, memory = server.cpu_seconds() - before, server.memory_kib()
        load.communicate()
    return {
        "memory_idle_kib": idle,
        "memory_kib": memory,
        "memory_per_stream_kib": (memory - idle) / count,
        "events_per_second": events / seconds,
        "cpu_us_per_event": cpu / max(1, events) * 1e6,
    }


def _roomy(router: Peer) -> Peer:
    """An upstream has a thousand connections unless it is given more."""

    def command(folder: Path, port: int, origin: int) -> list[str]:
        told = router.command(folder, port, origin)
        file = folder / "routes.toml"
        text = file.read_text("utf-8")
        upstream = f'"http://127.0.0.1:{origin}"'
        file.write_text(text.replace(upstream, f"{{ url = {upstream}, connections = {CONNECTIONS_OF_AN_UPSTREAM} }}"))
        return told

    return Peer(router.name, router.version, command, router.environ)


# --- comparisons


def _comparisons(folder: Path, count: int) -> list[dict[str, Any]]:
    """In a process of its own for each database: the store belongs to the router, and memory is its own too."""
    rows = []
    for database in ("sqlite", "postgresql"):
        command = [sys.executable, "-m", "benchmarks.comparisons", database, str(folder), "--count", str(count)]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            raise SystemExit(said.stderr)
        rows.append(json.loads(said.stdout.splitlines()[-1]))
    return rows


def _with(peer: Peer, *options: str) -> Peer:
    return Peer(peer.name, peer.version, lambda *where: [*peer.command(*where), *options], peer.environ)


def _medians(several: list[dict[str, float]]) -> dict[str, Any]:
    """Of each figure, with the extremes."""
    values = {name: [each[name] for each in several] for name in several[0]}
    return {
        name: {"median": statistics.median(these), "least": min(these), "most": max(these)}
        for name, these in values.items()
    }


def table(told: dict[str, Any]) -> Iterator[str]:
    def of(row: dict[str, Any], name: str, divisor: float = 1, digits: int = 1) -> str:
        low, middle, high = (row[name][which] / divisor for which in ("least", "median", "most"))
        return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"

    yield f"{'workers':>10}{'requests per s':>30}{'CPU us per request':>26}{'MiB in all':>22}"
    for row in told["workers"]:
        rate, cpu, memory = of(row, "per_second", digits=0), of(row, "cpu_us"), of(row, "memory_kib", 1024)
        yield f"{row['workers']:>10}{rate:>30}{cpu:>26}{memory:>22}"
    yield f"{'streams':>10}{'KiB per stream':>30}{'CPU us per event':>26}{'MiB in all':>22}"
    for row in told["streams"]:
        # Of a few streams it would be the noise of a whole process.
        each = of(row, "memory_per_stream_kib") if row["streams"] >= FEW else "too few to say"
        cpu = of(row, "cpu_us_per_event")
        yield f"{row['streams']:>10}{each:>30}{cpu:>26}{of(row, 'memory_kib', 1024):>22}"
    yield f"{'database':>12}{'comparisons':>14}{'per s':>10}{'CPU us each':>13}{'report s':>10}{'MiB':>8}{'B each':>8}"
    for row in told["comparisons"]:
        yield (
            f"{row['database']:>12}{row['count']:>14,}{row['per_second']:>10,.0f}{row['cpu_us']:>13.0f}"
            f"{row['report_seconds']:>10.2f}{row['bytes'] / 2**20:>8.0f}{row['bytes'] / row['count']:>8.0f}"
        )


def judge(told: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    memory = {row["streams"]: row["memory_kib"]["median"] for row in told["streams"] if row["streams"] >= FEW}
    if len(memory) > 2:
        few, many, most = sorted(memory)[0], sorted(memory)[1], sorted(memory)[-1]
        first = (memory[many] - memory[few]) / (many - few)
        last = (memory[most] - memory[many]) / (most - many)
        words = (
            f"each further open stream takes {first:.1f} KiB from {few} to {many:,}, {last:.1f} from there to {most:,}"
        )
        yield f"{words}, at most {FLAT} times: {'held' if last <= FLAT * first else 'MISSED'}", last <= FLAT * first
    for row in told["comparisons"]:
        held = row["kept"] == row["count"]
        yield f"{row['database']}: {row['kept']:,} of {row['count']:,} are there: {'held' if held else 'MISSED'}", held


if __name__ == "__main__":
    sys.exit(main())
