"""The router beside itself: what more routes, traces and copies cost, in CPU per request, in one run.

One router for each setting, one worker each, on the core for what is measured; every other process, the shadow
process of the one that copies included, has the last core. All are asked alike, at a moderate rate: at full speed
copies would be dropped, and cost nothing. The repetitions of all settings take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .peers import Peer
from .processes import Cores, Running, origins, started
from .results import add_options, at_least_one, write_down

CONNECTIONS = 20
PAUSE_SECONDS = 0.05
"""Of a connection before its next request: together some 400 requests per second."""
WARM_SECONDS = 1.0
SHIPPED = "as shipped, 50 routes"


@dataclass(frozen=True)
class Setting:
    """What one router is told, beside what all are told."""

    name: str
    routes: int = 50
    stage: str = "extracted"
    toml: str = ""
    has_traces: bool = False

    def text(self, origin: int, folder: Path) -> str:
        """Its routes.toml; the route that is asked is the one in the middle."""
        here = f'"http://127.0.0.1:{origin}"'
        head = f'[upstreams]\nlegacy = {here}\nextracted = {here}\n[evidence]\nurl = "sqlite:///{folder}/evidence.db"\n'
        shadow = 'shadow = { percent = 100, effects = "none" }\n' if self.stage == "shadow" else ""
        routes = [
            f'[[routes]]\nname = "r{number}"\npath = "/api/r{number}/{{rest:path}}"\nstage = "{self.stage}"\n{shadow}'
            for number in range(self.routes)
        ]
        return "".join([head, self.toml, *routes])

    @property
    def path(self) -> str:
        return f"/api/r{self.routes // 2}/7/summary"


SETTINGS = (
    Setting(SHIPPED),
    Setting("1 route", routes=1),
    Setting("1,000 routes", routes=1000),
    Setting("a tenth traced, to a file", toml="[telemetry]\nsample = 0.1\n", has_traces=True),
    Setting("all traced, to a file", has_traces=True),
    Setting("all copied", stage="shadow", toml="[shadow]\nper_second = 100000\n"),
)


@dataclass
class Figures:
    """A value for each repetition, in microseconds of CPU per request."""

    worker: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    """Of the shadow process."""
    requests: int = 0
    failed: int = 0


def main(arguments: list[str] | None = None) -> int:
    chosen = _chosen(arguments)
    cores = Cores()
    figures = {setting.name: Figures() for setting in SETTINGS}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin, _ = origins(stack, cores, folder)
        running = {
            setting: started(stack, cores, _peer(setting, folder, number), folder, origin)
            for number, setting in enumerate(SETTINGS)
        }
        for setting, router in running.items():
            _asked(cores, setting, router, min(WARM_SECONDS, chosen.seconds))
            cores.move_to_the_last(router.process.children(recursive=True))
        for _ in range(chosen.repetitions):
            for setting, router in running.items():
                _measure(cores, setting, router, figures[setting.name], chosen.seconds)
    print(table(figures))
    told = {name: vars(each) for name, each in figures.items()}
    write_down(chosen, "settings", {"seconds": chosen.seconds, "settings": told})
    return int(any(each.failed or not each.requests for each in figures.values()))


def _chosen(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=at_least_one, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    add_options(parser, "settings")
    chosen = parser.parse_args(arguments)
    if chosen.smoke:
        chosen.repetitions, chosen.seconds = 1, 0.5
    return chosen


def _peer(setting: Setting, folder: Path, number: int) -> Peer:
    def command(place: Path, port: int, origin: int) -> list[str]:
        file = place / "routes.toml"
        file.write_text(setting.text(origin, place), "utf-8")
        return [sys.executable, "-m", "router", "serve", str(file), "--port", str(port)]

    environ = {"TRACES_FILE": str(folder / f"traces-{number}.jsonl")} if setting.has_traces else {}
    return Peer(f"router {number}", "", command, environ)


def _measure(cores: Cores, setting: Setting, router: Running, figures: Figures, seconds: float) -> None:
    beside = router.process.children(recursive=True)
    before, before_beside = cpu_seconds(router.process.pid), sum(cpu_seconds(each.pid) for each in beside)
    seen = _asked(cores, setting, router, seconds)
    requests = int(seen["requests"])
    figures.requests += requests
    figures.failed += int(seen["failed"])
    if requests:
        figures.worker.append((cpu_seconds(router.process.pid) - before) / requests * 1e6)
        figures.beside.append((sum(cpu_seconds(each.pid) for each in beside) - before_beside) / requests * 1e6)


def _asked(cores: Cores, setting: Setting, router: Running, seconds: float) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", "requests", router.url + setting.path]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds), "--pause-seconds", str(PAUSE_SECONDS)]
    load = cores.start(command, measured=False, stdout=subprocess.PIPE)
    said: dict[str, float] = json.loads(load.communicate()[0])
    return said


def cpu_seconds(pid: int) -> float:
    """User and system time of a process's threads to the nanosecond: `stat` counts in hundredths of a second."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text("ascii").split()[0]) for each in threads) / 1e9


def table(figures: Mapping[str, Figures]) -> str:
    shipped = statistics.median(figures[SHIPPED].worker) if figures[SHIPPED].worker else float("nan")
    head = f"{'setting':28}{'CPU per request':>26}{'more':>10}{'shadow process':>17}{'requests':>11}"
    return "\n".join([head, *(_line(name, each, shipped) for name, each in figures.items())])


def _line(name: str, each: Figures, shipped: float) -> str:
    failed = f"  failed: {each.failed}" if each.failed else ""
    if not each.worker:
        return f"{name:28}  no answer{failed}"
    middle, beside = statistics.median(each.worker), statistics.median(each.beside)
    spread = f"{middle:.1f} us ({min(each.worker):.1f}-{max(each.worker):.1f})"
    besides = f"{beside:.0f} us" if beside else "none"
    return f"{name:28}{spread:>26}{middle - shipped:>+10.1f}{besides:>17}{each.requests:>11,}{failed}"


if __name__ == "__main__":
    sys.exit(main())
