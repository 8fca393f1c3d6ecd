"""`survey`: ranks a monolith's routes by the worker time that they spend waiting on others."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..errors import SpansError
from ..problems import unusable
from ..spans import read_spans
from ..survey import Survey, Surveyed, survey
from ..survey_plot import plot

File = Annotated[Path, typer.Argument(metavar="SPANS", help="a TRACES_FILE, or OTLP's JSON; - is standard input")]
Service = Annotated[str, typer.Option(help="whose requests, where the spans are of several services")]
Workers = Annotated[int, typer.Option(help="how many the monolith has: adds shares of its pool; 0: unknown", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Plot = Annotated[Path | None, typer.Option("--plot", help="draw the table into this SVG file as well")]

LISTED = 20
PAPER_COLUMNS = 150
"""How wide the table may be where no terminal says so."""
WORDS = ("route", "waits for")
WORTH_A_MOVE = 0.5
"""A route that spends less than this share of its time waiting gains little by moving."""


def survey_spans(
    spans: File, service: Service = "", workers: Workers = 0, as_json: AsJson = False, plot_file: Plot = None
) -> None:
    """Rank the routes of a monolith by the worker time they spend waiting on others. Exit status 2 without spans."""
    try:
        text = sys.stdin.read() if str(spans) == "-" else spans.read_text("utf-8")
        found = survey(read_spans(text, str(spans)), service)
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{spans} cannot be read: {unusable(error)}") from None
    except SpansError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    if plot_file:
        write(plot_file, plot(found))
    if as_json:
        print(json.dumps(as_document(found, workers), indent=2))
    else:
        _print(found, workers)


def write(file: Path, text: str) -> None:
    """A page or a picture that was asked for beside the table."""
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {unusable(error)}") from None


def as_document(found: Survey, workers: int) -> dict[str, Any]:
    """What `--json` prints: times in seconds, shares and chances from 0 to 1."""
    rows = [{**dataclasses.asdict(each), "own": each.own} for each in found.routes]
    document: dict[str, Any] = {
        "service": found.service,
        "seconds": found.seconds,
        "busy": found.busy,
        "lost_calls": found.lost_calls,
        "lost_seconds": found.lost_seconds,
        "routes": rows,
    }
    if workers:
        pool = {"workers": workers, "occupancy": found.occupancy(workers), "has_to_wait": found.has_to_wait(workers)}
        document["pool"] = pool
        for row, each in zip(rows, found.routes, strict=True):
            row["pool_without"] = found.occupancy(workers, each)
            row["has_to_wait_without"] = found.has_to_wait(workers, each)
    return document


def _print(found: Survey, workers: int) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PAPER_COLUMNS)
    requests = sum(each.requests for each in found.routes)
    console.print(f"{found.service}: {requests} requests in {found.seconds:.1f} s kept {_busy(found, workers)}.\n")
    table = Table(box=None, pad_edge=False)
    for title in ("route", "requests", "median", "busy", "waiting", "database", "own", "waits for"):
        table.add_column(
            title, justify="left" if title in WORDS else "right", overflow="fold", no_wrap=title not in WORDS
        )
    if workers:
        table.add_column("pool", justify="right")
    for each in found.routes[:LISTED]:
        pool = [f"{each.busy / found.seconds / workers:.0%}"] if workers else []
        table.add_row(*_row(each), *pool)
    console.print(table)
    if len(found.routes) > LISTED:
        console.print(f"… and {len(found.routes) - LISTED} more; --json has them all.")
    for sentence in _conclusions(found, workers):
        console.print(f"\n{sentence}", soft_wrap=True)


def _busy(found: Survey, workers: int) -> str:
    average = found.busy / found.seconds
    if not workers:
        return f"{average:.2f} workers busy on average"
    return f"{average:.2f} of {workers} workers busy on average, {found.occupancy(workers):.0%} of the pool"


def _row(each: Surveyed) -> tuple[str, ...]:
    whom = ", ".join(list(each.on_whom)[:2]) + (" …" if len(each.on_whom) > 2 else "")
    return (
        f"{each.method} {each.route}".strip(),
        f"{each.requests}",
        f"{each.median_seconds * 1000:,.0f} ms",
        f"{each.busy:,.1f} s",
        _share(each.waiting, each.busy),
        _share(each.database, each.busy),
        _share(each.own, each.busy),
        whom,
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "–"


def _conclusions(found: Survey, workers: int) -> list[str]:
    first = found.routes[0]
    name = f"{first.method} {first.route}".strip()
    said = []
    if first.busy and first.waiting / first.busy >= WORTH_A_MOVE:
        said.append(
            f"Move first: {name}. It holds {first.busy / found.busy:.0%} of all worker time and spends "
            f"{first.waiting / first.busy:.0%} of that waiting on others."
        )
        if workers:
            said.append(
                f"Without it the pool is {found.occupancy(workers, first):.0%} busy instead of "
                f"{found.occupancy(workers):.0%}, and a request finds all workers busy "
                f"{found.has_to_wait(workers, first):.1%} of the time instead of {found.has_to_wait(workers):.1%} "
                "(Erlang C: an order of magnitude)."
            )
    else:
        said.append("No route spends most of its time waiting on others: moving one would gain little.")
    extended = sum(each.extended for each in found.routes)
    if extended:
        said.append(
            f"{extended} requests ended before their own last call: streams whose span does not last as long as "
            "they do. They are counted until that call's end."
        )
    if found.lost_calls:
        said.append(
            f"{found.lost_calls} outgoing calls ({found.lost_seconds:.1f} s) belong to no request, so what waited for "
            "them is missing above. Streams of Django lose their request under its own instrumentation alone: "
            "wrap the WSGI application in OpenTelemetry's middleware too."
        )
    return said
