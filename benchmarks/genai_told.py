"""What the genai benchmark says of its bursts: a table, and whether its claims held."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable

from .burst import Seen, rank

PROVIDER = "the provider itself"
SERVICE = "extracted service"
RANKS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Found = dict[str, list[Seen]]

HEAD = (
    f"{'':28}{'':8}{'':10}{'finished':>12}{'errors':>7}{'per s':>8}{'p50':>8}{'p95':>8}{'p99':>8}{'first p50':>10}"
    f"{'CPU ms':>8}{'MiB idle':>9}{'peak':>7}{'reads p95 idle':>15}{'meanwhile':>11}"
)


def table(found: Found) -> str:
    lines = [line(name, several) for name, several in sorted(found.items(), key=_order)]
    return "\n".join([HEAD, *lines])


def _order(item: tuple[str, list[Seen]]) -> tuple[str, float]:
    return item[0].rpartition("|")[2], middle(item[1], lambda seen: seen.per_second)


def line(row: str, several: list[Seen]) -> str:
    name, door, way = row.split("|")

    def of(value: Callable[[Seen], float]) -> float:
        return middle(several, value)

    took = "".join(f"{_seconds(_rank_of_took(several, share), several):>8}" for share in RANKS.values())
    finished = f"{min(seen.finished for seen in several)}/{several[0].asked}"
    memory = [of(lambda seen: seen.memory_idle_kib) / 1024, of(lambda seen: seen.memory_peak_kib) / 1024]
    reads = [of(lambda seen: rank(seen.reads_idle, 0.95)), of(lambda seen: rank(seen.reads, 0.95))]
    return (
        f"{name:28}{door:8}{way:10}{finished:>12}{sum(sum(seen.errors.values()) for seen in several):>7}"
        f"{of(lambda seen: seen.per_second):>8.1f}{took}{_seconds(of(lambda seen: rank(seen.first, 0.5)), several):>10}"
        f"{of(lambda seen: seen.cpu_ms):>8.1f}{memory[0]:>9.0f}{memory[1]:>7.0f}"
        f"{_milliseconds(reads[0]):>15}{_milliseconds(reads[1]):>11}"
    )


def judged(found: Found, requests: int) -> list[tuple[str, bool | None]]:
    """The claims, and whether they held; None where a row was not measured."""
    said: list[tuple[str, bool | None]] = []
    for way in ("plain", "streamed"):
        service, own, two = (
            found.get(f"{name}|direct|{way}") for name in (SERVICE, PROVIDER, "Django, 2 sync workers")
        )
        if not service or not own:
            continue
        errors = sum(seen.asked - seen.finished for seen in service)
        said.append(_said(f"{way}: {errors} requests without an answer, one worker", errors == 0))
        p99, provider = (middle(rows, lambda seen: rank(seen.took, 0.99)) for rows in (service, own))
        most = 1.05 * provider + 0.1
        said.append(_said(f"{way}: p99 {p99:.2f} s, at most {most:.2f} (provider {provider:.2f})", p99 <= most))
        idle, reads = (
            rank([one for seen in service for one in getattr(seen, name)], 0.95) for name in ("reads_idle", "reads")
        )
        beside = rank([one for seen in own for one in seen.reads], 0.95)
        words = f"{way}: p95 of unrelated reads {_milliseconds(reads)}, idle {_milliseconds(idle)}, while the same "
        words += f"burst went to the provider itself {_milliseconds(beside)}: at most 1.5 times idle, or as beside that"
        said.append(_said(words, reads <= max(1.5 * idle, beside)))
        if two:
            times = middle(service, lambda seen: seen.per_second) / middle(two, lambda seen: seen.per_second)
            said.append(_said(f"{way}: {times:.0f} times what two sync workers finish, at least 20", times >= 20))
        said += _memory(found, way, requests)
    return said


def _memory(found: Found, way: str, requests: int) -> list[tuple[str, bool | None]]:
    per_worker = memory_per_worker_kib(found, way)
    if per_worker is None:
        return []
    service = middle(found[f"{SERVICE}|direct|{way}"], lambda seen: seen.memory_peak_kib) / 1024
    workers = per_worker * requests / 1024
    said: list[tuple[str, bool | None]] = [
        _said(
            f"{way}: {service:.0f} MiB; {requests} sync workers at {per_worker / 1024:.1f} MiB for each further one "
            f"would take {workers:,.0f} MiB (computed): 1/{workers / service:.0f}, at most 1/10",
            service * 10 <= workers,
        )
    ]
    if threads := found.get(f"Django, {requests} threads|direct|{way}"):
        mib = middle(threads, lambda seen: seen.memory_peak_kib) / 1024
        said.append((f"{way}: {requests} threads take {mib:.0f} MiB, {mib / service:.2f} times the service's", None))
    return said


def memory_per_worker_kib(found: Found, way: str) -> float | None:
    """What one more sync worker takes, from the rows with few and with more of them; None without both."""
    rows = {
        int(match[1]): middle(several, lambda seen: seen.memory_peak_kib)
        for name, several in found.items()
        if (match := re.match(rf"Django, (\d+) sync workers\|direct\|{way}$", name))
    }
    if len(rows) < 2:
        return None
    few, many = min(rows), max(rows)
    return (rows[many] - rows[few]) / (many - few)


def figures(found: Found, requests: int) -> dict[str, object]:
    """What was computed rather than measured."""
    per_worker = {way: memory_per_worker_kib(found, way) for way in ("plain", "streamed")}
    return {"requests": requests, "memory_kib_per_further_sync_worker": per_worker}


def _rank_of_took(several: list[Seen], share: float) -> float:
    return middle(several, lambda seen: rank(seen.took, share))


def ranks(values: list[float]) -> dict[str, float | None]:
    """JSON has no infinity: null is what did not finish."""
    found = {name: rank(values, share) for name, share in RANKS.items()}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def middle(several: list[Seen], value: Callable[[Seen], float]) -> float:
    return statistics.median(map(value, several))


def _said(words: str, held: bool) -> tuple[str, bool]:
    return f"{words}: {'held' if held else 'MISSED'}", held


def _seconds(value: float, several: list[Seen]) -> str:
    return f"{value:.2f} s" if math.isfinite(value) else f"> {several[0].within_seconds:.0f} s"


def _milliseconds(value: float) -> str:
    return "" if math.isnan(value) else f"{value * 1000:,.0f} ms" if math.isfinite(value) else "no answer"
