"""Counts and durations of exchanges in one process, and what all processes say as Prometheus reads it.

Each worker's numbers stand under its own label: a worker that was replaced begins at zero, and a sum over workers
that silently fell would be read as if everything had happened again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .shadow.counts import SIMPLE
from .telemetry import BUCKETS_SECONDS, COUNTERS


class Key(NamedTuple):
    """What exchanges are counted by; each takes few values, whatever callers send."""

    route: str
    stage: str
    upstream: str
    status: str
    """2xx, 3xx, 4xx, 5xx; "none" if there was no answer to begin."""


class Measurements:
    """Records like an OpenTelemetry histogram, and can be read."""

    def __init__(self) -> None:
        self._durations: dict[Key, list[float]] = {}
        self._errors: dict[tuple[str, str, str], int] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def record(self, seconds: float, attributes: Mapping[str, str | int]) -> None:
        """One exchange, with the attributes of its span."""
        route, upstream = str(attributes.get("strangler.route", "")), str(attributes.get("strangler.upstream", ""))
        status = int(attributes.get("http.response.status_code", 0))
        stage = str(attributes.get("strangler.stage", ""))
        key = Key(route, stage, upstream, f"{status // 100}xx" if status else "none")
        counts = self._durations.get(key)
        if counts is None:
            counts = self._durations[key] = [0.0] * (len(BUCKETS_SECONDS) + 2)
        counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        counts[-1] += seconds
        if error := attributes.get("error.type"):
            name = (route, upstream, str(error))
            self._errors[name] = self._errors.get(name, 0) + 1

    def count(self, name: str, route: str, what: str) -> None:
        """One more of telemetry's COUNTERS."""
        self._counts[name, route, what] = self._counts.get((name, route, what), 0) + 1

    def state(self) -> dict[str, Any]:
        """As JSON can say it. `counts` are those of the buckets, not summed up, and then the sum of all seconds."""
        return {
            "durations": [{**key._asdict(), "counts": counts} for key, counts in self._durations.items()],
            "errors": [
                {"route": route, "upstream": upstream, "error": error, "count": count}
                for (route, upstream, error), count in self._errors.items()
            ],
            "counts": [
                {"name": name, "route": route, "what": what, "count": count}
                for (name, route, what), count in self._counts.items()
            ],
        }


COPIES = (*SIMPLE, "tape_misses")


def _counter(name: str) -> str:
    return name.replace(".", "_") + "_total"


METRICS = {
    "strangler_request_duration_seconds": ("histogram", "From a request's head to its answer's last byte."),
    "strangler_errors_total": ("counter", "Requests that the router had to answer or cut, by error."),
    "strangler_upstream_connections": ("gauge", "Connections to an upstream, and requests that wait for one."),
    "strangler_upstream_retries_total": ("counter", "Requests that were sent a second time."),
    "strangler_upstream_up": ("gauge", "1 if an upstream that is asked is well, 0 if not."),
    "strangler_route_stage": ("gauge", "1 for the stage that a route is in."),
    "strangler_route_percent": ("gauge", "The share of the callers that stage split moves."),
    "strangler_route_tripped": ("gauge", "1 while a route is back on legacy by itself, or probes its way from there."),
    "strangler_table": ("gauge", "1 for the table that a worker serves."),
    "strangler_table_problem": ("gauge", "1 if the file's latest content is wrong and an older one is served."),
    "strangler_workers_expected": ("gauge", "Workers that there should be."),
    "strangler_worker_uptime_seconds": ("gauge", "Since a worker began."),
    "strangler_worker_draining": ("gauge", "1 while a worker ends."),
    "strangler_worker_tasks": ("gauge", "Tasks of a worker's event loop."),
    "strangler_worker_descriptors": ("gauge", "Open files and connections of a worker."),
    "strangler_worker_memory_bytes": ("gauge", "Resident memory of a worker."),
    "strangler_shadow_silent": ("gauge", "1 while requests of a route are to be copied and none is."),
    "strangler_shadow_dropped_total": ("counter", "Requests that were to be copied and were not, by reason."),
    **{f"strangler_shadow_{name}_total": ("counter", f"strangler.shadow.{name}, see there.") for name in COPIES},
    **{_counter(name): ("counter", f"{name}, see there.") for name in COUNTERS},
}
"""Every metric, with its type and what it counts."""


def exposition(workers: Iterable[Mapping[str, Any]], expected: int) -> str:
    """The text format, version 0.0.4, of what all workers said."""
    found: dict[str, list[str]] = {name: [] for name in METRICS}
    found["strangler_workers_expected"].append(f"strangler_workers_expected {expected}")
    for worker in workers:
        for name, labels, value in _samples(worker):
            labels = {"worker": str(worker["worker"]), **labels}
            said = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            base = name if name in METRICS else name.rpartition("_")[0]
            found[base].append(f"{name}{{{said}}} {_number(value)}")
    lines = []
    for name, samples in found.items():
        if samples:
            kind, words = METRICS[name]
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}", *samples]
    return "\n".join(lines) + "\n"


Sample = tuple[str, dict[str, str], float]


def _samples(worker: Mapping[str, Any]) -> Iterator[Sample]:
    yield "strangler_table", {"digest": worker["table"]}, 1
    yield "strangler_table_problem", {}, bool(worker["problem"])
    yield "strangler_worker_uptime_seconds", {}, worker["uptime_seconds"]
    yield "strangler_worker_draining", {}, worker["is_draining"]
    for name, value in worker["process"].items():
        if value is not None:
            yield f"strangler_worker_{name}", {}, value
    for measured in worker["measurements"]["durations"]:
        yield from _histogram(measured)
    for failed in worker["measurements"]["errors"]:
        yield "strangler_errors_total", {name: failed[name] for name in ("route", "upstream", "error")}, failed["count"]
    for counted in worker["measurements"]["counts"]:
        what = COUNTERS[counted["name"]].removeprefix("strangler.").replace(".", "_")
        yield _counter(counted["name"]), {"route": counted["route"], what: counted["what"]}, counted["count"]
    for route in worker["routes"]:
        yield from _route(route)
    for name, upstream in worker["upstreams"].items():
        for state in ("busy", "idle", "waiting"):
            yield "strangler_upstream_connections", {"upstream": name, "state": state}, upstream[state]
        yield "strangler_upstream_retries_total", {"upstream": name}, upstream["retried"]
        if upstream["health"] is not None:
            yield "strangler_upstream_up", {"upstream": name}, not upstream["health"]["is_down"]


def _histogram(measured: Mapping[str, Any]) -> Iterator[Sample]:
    labels = {name: measured[name] for name in Key._fields}
    *counts, total_seconds = measured["counts"]
    seen = 0.0
    for limit, count in zip([*map("{:g}".format, BUCKETS_SECONDS), "+Inf"], counts, strict=True):
        seen += count
        yield "strangler_request_duration_seconds_bucket", {**labels, "le": limit}, seen
    yield "strangler_request_duration_seconds_sum", labels, total_seconds
    yield "strangler_request_duration_seconds_count", labels, seen


def _route(route: Mapping[str, Any]) -> Iterator[Sample]:
    name = {"route": route["name"]}
    yield "strangler_route_stage", {**name, "stage": route["stage"]}, 1
    if route["percent"] is not None:
        yield "strangler_route_percent", name, route["percent"]
    if route["trip"] is not None:
        yield "strangler_route_tripped", name, route["trip"]["state"] != "closed"
    if route["copies"] is not None:
        yield "strangler_shadow_silent", name, route["copies"]["is_silent"]
        for what in COPIES:
            yield f"strangler_shadow_{what}_total", name, route["copies"][what]
        for reason, count in route["copies"]["dropped"].items():
            yield "strangler_shadow_dropped_total", {**name, "reason": reason}, count


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
