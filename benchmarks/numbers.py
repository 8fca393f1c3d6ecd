"""Puts the kept results into the README and into plots: `python -m benchmarks.numbers`.

Nothing in them is written by hand, and a test fails when they are not what the kept results say.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from .genai_told import PROVIDER, SERVICE
from .plot import Bar, bars
from .processes import ROOT
from .results import RESULTS
from .scale import judge
from .settings import SHIPPED

BEGIN, END = "<!-- numbers: made by python -m benchmarks.numbers -->", "<!-- numbers: end -->"
README = ROOT / "README.md"
Json = dict[str, Any]
Of = Callable[[Json], float | None]
Shown = Callable[[float | None], str]


def main() -> None:
    README.write_text(with_numbers(README.read_text("utf-8")), "utf-8")
    for name, drawing in plots().items():
        (RESULTS / name).write_text(drawing, "utf-8")


def with_numbers(text: str) -> str:
    """The same text with today's numbers between the markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The README needs a line {BEGIN} and after it a line {END}")
    return f"{before}{BEGIN}\n{numbers()}\n{END}{after}"


def numbers() -> str:
    genai, scale = kept("genai"), kept("scale")
    framework = kept("framework") if (RESULTS / "framework.json").exists() else None
    lines = ["| what was measured | moved out | beside it |", "| --- | --- | --- |"]
    lines += [f"| {what} | {ours} | {others} |" for what, ours, others in _bought(genai)]
    lines += [f"| {what} | {ours} | {others} |" for what, ours, others in _costs(scale)]
    lines += [f"| {what} | {ours} | {others} |" for what, ours, others in _everyday()]
    lines += [f"| {what} | {ours} | {others} |" for what, ours, others in _starts(framework)]
    judged = [*genai["judged"], *(said for said, _ in judge(scale)), *kept("shadow")["judged"]]
    missed = [said for said in judged if said.endswith("MISSED")]
    held = sum(said.endswith("held") for said in judged)
    lines += ["", f"Of the claims that these runs were to hold, {held} were held and {len(missed)} missed."]
    lines += [f"- {said}" for said in missed]
    others = {name: kept(name) for name in ("settings", "shadow", "contract")}
    lines += ["", *_where(genai=genai, scale=scale, framework=framework, **others)]
    return "\n".join(lines)


def kept(name: str) -> Json:
    found: Json = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def _bought(genai: Json) -> Iterator[tuple[str, str, str]]:
    count, rows = genai["requests"], genai["rows"]
    others = {
        "2 sync workers": "Django, 2 sync workers",
        f"{count} threads": f"Django, {count} threads",
        "Django ASGI": "Django, ASGI",
    }

    def line(what: str, of: Of, shown: Shown, way: str = "plain") -> tuple[str, str, str]:
        beside = [f"{word} {shown(_middle(rows[f'{name}|direct|{way}'], of))}" for word, name in others.items()]
        return what, shown(_middle(rows[f"{SERVICE}|direct|{way}"], of)), "; ".join(beside)

    provider = _middle(rows[f"{PROVIDER}|direct|plain"], _p99)
    token = _middle(rows[f"{PROVIDER}|direct|streamed"], lambda row: row["first"]["p50"])
    each = genai["memory_kib_per_further_sync_worker"]["plain"]
    yield line(f"{count} requests at once that wait 1–4 s for a model: answered per second", _rate, _one_digit)
    yield line(f"the slowest hundredth of them (the provider itself: {_seconds(provider)})", _p99, _seconds)
    what = f"{count} replies at once, streamed: the first token, median (the provider itself: {_seconds(token)})"
    yield line(what, lambda row: row["first"]["p50"], _seconds, "streamed")
    memory = line("memory of all processes at its highest", _peak, _mib)
    yield memory
    words = f"{count} sync workers: {_mib(each * count)}, computed from {_mib(each)} for each further one"
    yield "memory for as many at once", memory[1], words
    yield line("CPU for each of them", lambda row: row["cpu_ms"], _cpu_ms)
    yield line("reading tickets on the monolith meanwhile, 95th percentile", lambda row: row["reads"]["p95"], _ms)


def _costs(scale: Json) -> Iterator[tuple[str, str, str]]:
    most = scale["streams"][-1]
    hundred = next(row for row in scale["streams"] if row["streams"] >= 100)
    kib = most["memory_per_stream_kib"]["median"]
    yield (
        f"the router, one worker: {most['streams']:,} open streams",
        f"{kib:.1f} KiB each",
        f"{hundred['streams']} streams: {hundred['memory_per_stream_kib']['median']:.1f} KiB each",
    )
    one = scale["workers"][0]
    yield (
        "the router: CPU for a proxied request",
        f"{one['cpu_us']['median']:.0f} µs",
        "; ".join(f"{row['workers']} workers {row['cpu_us']['median']:.0f} µs" for row in scale["workers"][1:]),
    )
    sqlite, postgresql = (
        f"{row['count']:,} comparisons at {row['cpu_us']:.0f} µs of CPU each, {row['bytes'] / 2**20:,.0f} MiB, "
        f"a report for {row['report_cpu_seconds']:.1f} s of CPU"
        for row in scale["comparisons"]
    )
    yield "the evidence store, on SQLite", sqlite, f"PostgreSQL: {postgresql}"


def _everyday() -> Iterator[tuple[str, str, str]]:
    costs = _settings_cpu()
    shipped = costs.pop(SHIPPED)
    beside = "; ".join(f"{name} {value:.0f} µs" for name, value in costs.items())
    yield f"the router, asked at a moderate rate: CPU for a request, {SHIPPED}", f"{shipped:.0f} µs", beside
    ratios = {pairs["behaviour"]: pairs["ratio"] for pairs in kept("shadow")["pairs"]}
    yield (
        f"callers' 99th percentile while every request is copied, the worst of {len(ratios)} kinds of candidates",
        f"{max(ratios.values()):.3f} times that without copies",
        "; ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items()),
    )
    contract = kept("contract")
    rate, cases = statistics.median(contract["per_second"]), contract["cases"]
    dearest, spent = max(contract["phases"].items(), key=lambda each: each[1]["passed"])
    yield (
        f"the contract: generated cases held on {contract['sides']} sides",
        f"{rate:.0f} per second",
        f"dearest is {dearest}: {spent['passed'] / cases * 1000:.1f} ms a case",
    )


def _settings_cpu() -> dict[str, float]:
    return {name: statistics.median(row["worker"]) for name, row in kept("settings")["settings"].items()}


def _starts(framework: Json | None) -> Iterator[tuple[str, str, str]]:
    if framework is None:
        return
    requests = {name: statistics.median(row["cpu_us"]) for name, row in framework["requests"].items()}
    fastapi = requests.pop("FastAPI, uvicorn")
    beside = "; ".join(f"{name} {value:.0f} µs" for name, value in requests.items() if not name.startswith("nothing"))
    yield "CPU for one JSON answer, the server's included: FastAPI, uvicorn", f"{fastapi:.0f} µs", beside
    cold = {name: statistics.median(row["cpu_seconds"]) * 1000 for name, row in framework["cold"].items()}
    yield (
        "CPU from a cold start to the first answer: the extracted service",
        f"{cold['the extracted service']:.0f} ms",
        f"the monolith {cold['the monolith, gunicorn']:.0f} ms; the router {cold['the router']:.0f} ms",
    )


def _where(**told: Json | None) -> Iterator[str]:
    for name, each in told.items():
        if each is None:
            continue
        machine, after = each["machine"], each["load_average_after"]
        yield (
            f"[`{name}.json`](benchmarks/results/{name}.json): {each['date'][:10]}, {machine['processor']}, "
            f"{machine['system']}, Python {machine['python']}; load average {after[0]:.1f} at the end."
        )


# --- plots


def plots() -> dict[str, str]:
    """Drawings by their file names."""
    genai, scale = kept("genai"), kept("scale")
    found = {}
    for way in ("plain", "streamed"):
        rows = {
            f"{name}{', by the router' if door == 'router' else ''}": several
            for name, door, kind, several in ((*row.split("|"), several) for row, several in genai["rows"].items())
            if kind == way
        }
        title = f"{genai['requests']} requests at once, {way}: answered per second"
        rates = {name: _middle(several, _rate) or 0.0 for name, several in rows.items()}
        found[f"genai-{way}-rate.svg"] = bars(title, _bars(rates, _one_digit, SERVICE))
        memory = {name: (_middle(several, _peak) or 0.0) / 1024 for name, several in rows.items() if name != PROVIDER}
        title = f"{genai['requests']} requests at once, {way}: MiB of memory at the highest"
        found[f"genai-{way}-memory.svg"] = bars(title, _bars(memory, _whole, SERVICE))
    streams = {
        f"{row['streams']:,} streams": row["memory_per_stream_kib"]["median"]
        for row in scale["streams"]
        if row["streams"] >= 100
    }
    title = "Open streams through one router worker: KiB of memory each"
    found["scale-streams.svg"] = bars(title, _bars(streams, _one_digit, "streams"))
    title = "One request through the router: CPU in µs"
    found["settings.svg"] = bars(title, _bars(_settings_cpu(), _whole, SHIPPED))
    title = "Callers' 99th percentile without and with copies: milliseconds"
    p99 = {
        f"candidate {pairs['behaviour']}, {way} copies": taken
        for pairs in kept("shadow")["pairs"]
        for way, taken in pairs["p99_ms"].items()
    }
    found["shadow.svg"] = bars(title, _bars(p99, _two_digits, "with copies"))
    contract = kept("contract")
    phases = {name: spent["passed"] / contract["cases"] * 1000 for name, spent in contract["phases"].items()}
    title = "One generated case: milliseconds of each part"
    found["contract.svg"] = bars(title, _bars(phases, _one_digit, "drawing"))
    if (RESULTS / "framework.json").exists():
        cpu = {name: statistics.median(row["cpu_us"]) for name, row in kept("framework")["requests"].items()}
        found["framework.svg"] = bars(
            "One JSON answer: CPU in µs, the server's included", _bars(cpu, _whole, "FastAPI")
        )
    return found


def _bars(values: dict[str, float], shown: Shown, own: str) -> Iterator[Bar]:
    for name, value in values.items():
        yield Bar(name, value, shown(value), own in name)


# --- words


def _middle(rows: list[Json], of: Of) -> float | None:
    """None: not finished in the time that there was, in one repetition or more."""
    values = [of(row) for row in rows]
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) else None


def _rate(row: Json) -> float:
    return float(row["per_second"])


def _p99(row: Json) -> float | None:
    found: float | None = row["took"]["p99"]
    return found


def _peak(row: Json) -> float:
    return float(row["memory_peak_kib"])


def _one_digit(value: float | None) -> str:
    return "none" if value is None else f"{value:,.1f}"


def _two_digits(value: float | None) -> str:
    return "none" if value is None else f"{value:,.2f}"


def _whole(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "not finished" if value is None else f"{value:.2f} s"


def _ms(value: float | None) -> str:
    return "no answer" if value is None else f"{value * 1000:,.0f} ms"


def _cpu_ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f} ms"


def _mib(value: float | None) -> str:
    return "none" if value is None else f"{value / 1024:,.0f} MiB"


if __name__ == "__main__":
    main()
