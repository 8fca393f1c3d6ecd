"""`explain`: says who would answer one request, and why."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from ..config import LEGACY, Config, Route
from ..identity import SAFE_METHODS, is_same_path
from ..reading import load
from ..routes import Table
from ..stages import caller_of, decide
from .check import who_answers, who_is_copied

SAY = "say a method and a path, such as: explain POST /api/tickets/7/summary"

Words = Annotated[list[str], typer.Argument(metavar="[routes.toml] METHOD PATH", show_default=False)]
HeaderLines = Annotated[
    list[str],
    typer.Option("--header", "-H", help="'name: value', as the caller would send it; may be repeated"),
]
Address = Annotated[str, typer.Option(help="the caller's address")]


def explain(words: Words, header: HeaderLines = [], address: Address = "127.0.0.1") -> None:  # noqa: B006
    """Name the route, the stage and the upstream of one request."""
    file, method, path = _request(words)
    config = load(file)
    _check_address(address)
    headers = [_header(line) for line in header]
    raw_path = path.partition("?")[0].encode("ascii")
    route = Table(config.routes).match(method, raw_path)
    decision = decide(route, method, caller_of(route, headers, address), random.getrandbits(128))
    grid = Grid.grid(padding=(0, 2))
    grid.add_row("request", f"{method} {path}")
    grid.add_row("route", route.name if route else "none")
    if route:
        grid.add_row("stage", f"{route.stage} ({who_answers(route)})")
    if config.identity and is_same_path(raw_path, config.identity.path.encode()):
        grid.add_row("upstream", "none: 404")
        grid.add_row("because", "only the router itself may use the identity exchange's path")
    else:
        grid.add_row("upstream", f"{decision.primary} at {config.upstreams[decision.primary].url}")
        grid.add_row("because", decision.reason)
        if route and who_is_copied(route):
            grid.add_row("copy", f"{decision.shadow or 'none'}: {decision.copied.value}")
        for row in if_it_fails(config, route, method, decision.primary):
            grid.add_row(*row)
    Console(highlight=False, soft_wrap=True).print(grid)


def if_it_fails(config: Config, route: Route | None, method: str, primary: str) -> Iterator[tuple[str, str]]:
    """What bounds the request, and what follows when a bound is broken."""
    own = config.upstreams[primary].deadlines
    connect, first_byte, idle, total = route.deadlines.over(own) if route and route.deadlines else own
    in_all = f", in all {total:g} s" if total < math.inf else ""
    yield "deadlines", f"connect {connect:g} s, first byte {first_byte:g} s, idle {idle:g} s{in_all}"
    if route is None or primary != route.to:
        return
    if route.fallback:
        when = "before its answer begins" if method in SAFE_METHODS else "and nothing was sent to it"
        yield "fallback", f"{LEGACY} answers if {primary} fails {when}"
    if trip := route.trip:
        slow = f", or over {trip.slow * 100:g} % take over {trip.slow_seconds:g} s" if trip.slow_seconds else ""
        of = f"of at least {trip.at_least} answers in {trip.window_seconds:g} s"
        yield "trip", f"{LEGACY} answers for {trip.probe_seconds:g} s if over {trip.errors * 100:g} % fail{slow}, {of}"


def _request(words: list[str]) -> tuple[Path, str, str]:
    if len(words) == 2:
        words = ["routes.toml", *words]
    if len(words) != 3:
        raise typer.BadParameter(SAY)
    file, method, path = words
    if not path.startswith("/"):
        raise typer.BadParameter(f'"{path}" is no path, which must begin with a slash: {SAY}')
    if not method.isalpha():
        raise typer.BadParameter(f'"{method}" is no method: {SAY}')
    if not path.isascii():
        raise typer.BadParameter("write the path as it is sent: percent-encode what is not ASCII")
    return Path(file), method.upper(), path


def _check_address(said: str) -> None:
    try:
        ip_address(said)
    except ValueError:
        raise typer.BadParameter(f'"{said}" is no address: write --address 192.0.2.7, say') from None


def _header(line: str) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"\"{line}\" is no header: write --header 'name: value'")
    return name.strip().lower().encode(), value.strip().encode()
