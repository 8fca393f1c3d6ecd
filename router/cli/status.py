"""`status`: how a running router stands, as it says itself on the operators' address."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .serve import split_address

WAIT_SECONDS = 5.0

Address = Annotated[str, typer.Option("--admin", metavar="HOST:PORT", help="the operators' address of the router")]
AsJson = Annotated[bool, typer.Option("--json", help="everything, for a program")]


def status(admin: Address = "127.0.0.1:8099", as_json: AsJson = False) -> None:
    """Show routes, upstreams and workers. Exit status 1 if nobody answers or something is wrong."""
    state = _asked(admin)
    warnings = warnings_of(state)
    if as_json:
        print(json.dumps(state, indent=2))
    else:
        console = Console(highlight=False, markup=False, soft_wrap=True)
        console.print(f"{state['file']}, table {state['table'] or 'differs'}")
        for table in (_routes(state), _upstreams(state), _workers(state)):
            console.print()
            console.print(table)
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if warnings:
        raise typer.Exit(1)


def _asked(admin: str) -> dict[str, Any]:
    host, port = split_address(admin)
    connection = http.client.HTTPConnection(host, port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"it says {answer.status}")
        state: dict[str, Any] = json.loads(answer.read())
    except OSError as error:
        why = f"Nobody answers on {admin} ({error.strerror or error})"
        print(f"{why}: start the router with serve --admin {admin}, or name its address with --admin.", file=sys.stderr)
        raise typer.Exit(1) from None
    except (ValueError, http.client.HTTPException) as error:
        print(f"Whoever answers on {admin} is no router's operators' address ({error}).", file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        connection.close()
    return state


def warnings_of(state: dict[str, Any]) -> list[str]:
    """What an operator has to know, a sentence each."""
    found = [f"an older table is served, because of this. {problem}" for problem in state["problems"]]
    if silent := state["workers_silent"]:
        numbers = ", ".join(map(str, silent))
        found.append(f"of {state['workers_expected']} workers these do not answer: {numbers}")
    tables = {worker["table"] for worker in state["workers"]}
    if len(tables) > 1:
        found.append("workers serve different tables; ask again in a second, and then see each worker's problem")
    for worker in state["workers"]:
        found += _troubles(worker)
    return found


def _troubles(worker: dict[str, Any]) -> Iterator[str]:
    """The routes that went back to legacy by themselves, and the upstreams that fail their health checks."""
    for route in worker["routes"]:
        trip = route["trip"]
        if trip is not None and trip["state"] != "closed":
            what = "probes its way back" if trip["state"] == "probing" else "is back on legacy"
            since = time.strftime("%H:%M:%S", time.localtime(trip["since"]))
            yield f"route {route['name']} {what} in worker {worker['worker']} since {since}: {trip['why']}"
    for name, upstream in worker["upstreams"].items():
        health = upstream["health"]
        if health is not None and health["is_down"]:
            since = time.strftime("%H:%M:%S", time.localtime(health["since"]))
            yield f"upstream {name} is down for worker {worker['worker']} since {since}: {health['why']}"


def _routes(state: dict[str, Any]) -> Table:
    """A trip is each worker's own: it is shown where the workers say different things, too."""
    table = _table("route", "stage", "percent", "trip")
    for number, route in enumerate(state["routes"]):
        percent = route["percent"]
        trips = [worker["routes"][number]["trip"] for worker in state["workers"] if len(worker["routes"]) > number]
        said = sorted({trip["state"] for trip in trips if trip is not None})
        table.add_row(route["name"], route["stage"], "" if percent is None else f"{percent:g} %", " / ".join(said))
    return table


def _upstreams(state: dict[str, Any]) -> Table:
    """Of all workers together."""
    columns = ("busy", "idle", "waiting", "retried")
    table = _table("upstream", *columns, "health")
    workers = [worker["upstreams"] for worker in state["workers"]]
    for name in dict.fromkeys(name for upstreams in workers for name in upstreams):
        said = [upstreams[name] for upstreams in workers if name in upstreams]
        asked = [each["health"]["is_down"] for each in said if each["health"]]
        health = f"down for {sum(asked)} of {len(asked)}" if any(asked) else "up" if asked else "not asked"
        table.add_row(name, *(str(sum(each[column] for each in said)) for column in columns), health)
    return table


def _workers(state: dict[str, Any]) -> Table:
    table = _table("worker", "process", "table", "up", "state", "tasks", "descriptors", "memory")
    for worker in state["workers"]:
        figures = worker["process"]
        table.add_row(
            str(worker["worker"]),
            str(worker["pid"]),
            worker["table"],
            f"{worker['uptime_seconds']:,.0f} s",
            "draining" if worker["is_draining"] else "ready",
            str(figures["tasks"]),
            str(figures["descriptors"] or "?"),
            f"{figures['memory_bytes'] / 1_000_000:,.0f} MB",
        )
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False)
