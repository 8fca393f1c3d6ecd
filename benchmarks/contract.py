"""How many generated cases the contract tests hold to the promise per second, and what the time goes into.

The cases are those of `make contract`: drawn from the promise, put to the monolith, to the router before it and to the
router before the extracted service, one after the other; each answer is held to the promise and to the monolith's.
The simulated provider answers at once: its time is not ours.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from contract_tests.contractkit.document import Operation
from contract_tests.contractkit.drawing import drawn
from contract_tests.contractkit.holding import Report, Terms, judged
from contract_tests.contractkit.parity import put
from contract_tests.contractkit.targets import Request, Target
from contract_tests.sides import sides_of
from contract_tests.stack import Stack, running_stack
from contract_tests.terms import LEAD, helpdesk, known_names, path_values
from router.evidence.observations import Observation

from .results import add_options, at_least_one, write_down

DRAWING, JUDGING = "drawing a case", "holding its answers to the promise and to each other"
ROUTERS = "the two routers"
EACH, EACH_IN_SMOKE = 15, 8
"""Good and as many bad cases of each operation in a repetition, each repetition with a seed of its own."""


@dataclass
class Spent:
    """Seconds of a phase, in all repetitions together."""

    passed: float = 0.0
    cpu: float = 0.0
    """Of the process of the tests."""


@dataclass
class Figures:
    """What was found."""

    cases: int = 0
    findings: int = 0
    """There should be none: it is a promise that is kept."""
    phases: dict[str, Spent] = field(default_factory=dict)
    per_second: list[float] = field(default_factory=list)
    """Of each repetition."""
    processes_cpu: dict[str, float] = field(default_factory=dict)
    """CPU of the processes behind the sides: those of the stack and the two routers, in seconds."""

    @contextmanager
    def spending(self, phase: str) -> Iterator[None]:
        spent = self.phases.setdefault(phase, Spent())
        passed, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            spent.passed += time.perf_counter() - passed
            spent.cpu += time.process_time() - cpu


@dataclass
class Timed(Target):
    """A target whose answers are waited for on the clock."""

    figures: Figures = field(default_factory=Figures)

    def send(self, request: Request) -> Observation:
        with self.figures.spending(f"asking {self.name}"):
            return super().send(request)


def main(arguments: list[str] | None = None) -> int:
    chosen = _chosen(arguments)
    terms, figures = helpdesk(), Figures()
    operations = terms.promise.operations[:3] if chosen.smoke else terms.promise.operations
    with tempfile.TemporaryDirectory() as data, running_stack(Path(data)) as stack:
        stack.pace(latency_seconds=0.0, tokens_per_second=0)
        with sides_of(stack, Path(data), {}) as sides:
            targets = [Timed(each.name, each.url, each.headers, figures) for each in sides.targets(LEAD)]
            names = known_names(sides.urls["legacy"])
            before = processes_cpu(stack)
            for seed in range(chosen.repetitions):
                began, cases = time.perf_counter(), figures.cases
                for operation in operations:
                    _hold(terms, targets, operation, path_values(operation, names), chosen.each, seed, figures)
                figures.per_second.append((figures.cases - cases) / (time.perf_counter() - began))
            after = processes_cpu(stack)
            figures.processes_cpu = {name: after[name] - seconds for name, seconds in before.items()}
            for target in targets:
                target.close()
    print(table(figures))
    told = {**vars(figures), "phases": {name: vars(spent) for name, spent in figures.phases.items()}}
    write_down(chosen, "contract", {"operations": len(operations), "sides": len(targets), **told})
    return int(not figures.cases or bool(figures.findings))


def _chosen(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=at_least_one, default=3)
    add_options(parser, "contract")
    chosen = parser.parse_args(arguments)
    chosen.each = EACH_IN_SMOKE if chosen.smoke else EACH
    if chosen.smoke:
        chosen.repetitions = 1
    return chosen


def _hold(
    terms: Terms,
    targets: Sequence[Timed],
    operation: Operation,
    values: Mapping[str, Sequence[Any]],
    each: int,
    seed: int,
    figures: Figures,
) -> None:
    with figures.spending(DRAWING):
        requests = list(drawn(terms.promise, [operation], each, values, seed))
    for request in requests:
        exchange = put(terms.promise, request, targets)
        with figures.spending(JUDGING):
            figures.findings += len(list(judged(terms, targets, exchange, "", Report())))
    figures.cases += len(requests)


def processes_cpu(stack: Stack) -> dict[str, float]:
    """User and system time of everything behind the sides so far, by its name in the stack."""
    found = dict.fromkeys(stack.pids, 0.0) | {ROUTERS: 0.0}
    names = {
        process.pid: name
        for name, pid in stack.pids.items()
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    }
    for process in psutil.Process().children(recursive=True):
        if process.pid in names or "router" in process.cmdline():
            times = process.cpu_times()
            found[names.get(process.pid, ROUTERS)] += times.user + times.system
    return found


def table(figures: Figures) -> str:
    middle = statistics.median(figures.per_second)
    everything = sum(spent.passed for spent in figures.phases.values())
    spread = f"{min(figures.per_second):.0f}-{max(figures.per_second):.0f}"
    lines = [
        f"{figures.cases:,} cases, {middle:.0f} per second ({spread}), {figures.findings} findings",
        f"{'':52}{'ms a case':>11}{'share':>8}{'own CPU':>11}",
    ]
    for name, spent in figures.phases.items():
        per_case, cpu = (seconds / figures.cases * 1000 for seconds in (spent.passed, spent.cpu))
        lines.append(f"{name:52}{per_case:>11.2f}{spent.passed / everything:>8.0%}{cpu:>8.2f} ms")
    lines.append("CPU a case behind the sides:")
    dearest = sorted(figures.processes_cpu.items(), key=lambda each: -each[1])
    lines += [f"  {name:50}{seconds / figures.cases * 1000:>8.2f} ms" for name, seconds in dearest]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
