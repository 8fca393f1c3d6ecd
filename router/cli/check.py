"""`check`: says everything that is wrong with a routes.toml, or how far each route has moved."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..config import COPYING, LEGACY, Config, Route
from ..errors import ConfigError, Problem
from ..reading import load

File = Annotated[Path, typer.Argument(help="the routes.toml to read")]

PIPE_COLUMNS = 1_000
"""Where nobody looks at a screen, no path is cut or wrapped."""


def check(file: File = Path("routes.toml")) -> None:
    """Check routes.toml: every problem at once, or the routes it describes. Exit status 2 if it cannot be used."""
    config = load(file)
    if problems := (*expired(config.routes, datetime.now(UTC).date()), *no_evidence(config)):
        raise ConfigError(str(file), problems)
    table = Table(box=None, pad_edge=False)
    for title in ("route", "methods", "path", "stage", "who answers", "copies"):
        table.add_column(title, overflow="fold")
    for route in config.routes:
        methods = " ".join(route.methods) or "all"
        table.add_row(route.name, methods, route.path, route.stage, who_answers(route), who_is_copied(route))
    table.add_row("(everything else)", "all", "", "", LEGACY, "")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    console.print(table)
    console.print(f"{file} is right.")


def expired(routes: Iterable[Route], today: date) -> tuple[Problem, ...]:
    """The rules that no longer hold. No reason not to serve, and none not to roll back: only `check` refuses them."""
    return tuple(
        Problem(f'route "{route.name}", shadow.rules', cure)
        for route in routes
        for cure in route.shadow.same.expired(today)
    )


def no_evidence(config: Config) -> tuple[Problem, ...]:
    """Why the evidence database can never be used. To route, nobody needs it."""
    is_needed = config.egress is not None or any(who_is_copied(route) for route in config.routes)
    if not is_needed and "evidence" not in tomllib.loads(config.text):
        return ()
    try:
        from ..evidence.database import unusable  # routing alone comes without what evidence needs
    except ModuleNotFoundError as missing:
        return (Problem("evidence", f"it needs {missing.name}: pip install sqlalchemy"),)
    why = unusable(config.evidence.url).removeprefix("[evidence] url: ").removeprefix("[evidence] url ")
    return (Problem("evidence, url", why),) if why else ()


def who_answers(route: Route) -> str:
    """In words, for any caller."""
    match route.stage:
        case "legacy" | "shadow":
            return LEGACY
        case "extracted" | "reverse":
            return route.to
        case "split":
            return f"{route.to} for {route.split.percent:g} % by {route.split.by}, {LEGACY} for the rest"


def who_is_copied(route: Route) -> str:
    """In words: to whom, and which share of the route's requests; empty if nothing is copied."""
    if route.stage not in COPYING or not route.shadow.percent:
        return ""
    of = f" of what {LEGACY} answers" if route.stage == "split" else ""
    return f"{LEGACY if route.stage == 'reverse' else route.to}: {route.shadow.percent:g} %{of}"
