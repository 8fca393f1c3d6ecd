"""`report`: what the evidence says of every route, for people, for programs, and as a page."""

from __future__ import annotations

import json
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..config import Config, Route
from ..edit import find
from ..errors import EditError, EvidenceError
from ..evidence.digests import in_clear
from ..evidence.gates import RATES, Word, in_short, in_words
from ..reading import load
from .check import File
from .survey import PAPER_COLUMNS, write

if TYPE_CHECKING:
    from ..report import RouteReport

ONE = Annotated[str, typer.Option("--route", help="only this one")]
AsJson = Annotated[bool, typer.Option("--json", help="everything, for a program")]
Page = Annotated[Path | None, typer.Option("--html", help="write a page into this file as well")]

DIFFERENCES = 8
"""So many clusters of a route are printed; --json and --html have more."""


WITHOUT_VALUES = (
    "What the values are is not kept; with values = true under [evidence] it is from then on, but for what is redacted."
)
NO_GO_STAYS = (
    "A no-go stays until something changes: mend it and give the build of {} another name, or change the rules."
)


class Exit(IntEnum):
    """For pipelines; 2 says that a file or a database cannot be used."""

    GO = 0
    NO_GO = 1
    KEEP_WATCHING = 3


def report(file: File = Path("routes.toml"), route: ONE = "", as_json: AsJson = False, html: Page = None) -> None:
    """Say of every copied route whether it may move on. Exit status 0: all may; 1: one must not; 3: keep watching."""
    try:
        from ..evidence.database import open_for_reading  # routing alone comes without what evidence needs
        from ..report import as_json as in_json
        from ..report import report as reported
        from ..report_page import page
    except ModuleNotFoundError as missing:
        raise EvidenceError(f"Reports need {missing.name}: pip install sqlalchemy") from None
    config = load(file)
    if route:
        config = config._replace(routes=(_find(config, route),))
    found = reported(config, open_for_reading(config.evidence.url))
    if html:
        write(html, page(found, time.time()))
    if as_json:
        print(json.dumps([in_json(each, with_values=True) for each in found], indent=2))
    else:
        _print(found, keeps_values=config.evidence.values)
    raise typer.Exit(exit_status(found))


def _find(config: Config, name: str) -> Route:
    try:
        return find(config, name)
    except EditError as error:  # its status 1 would say no-go
        raise typer.BadParameter(str(error)) from None


def exit_status(found: list[RouteReport]) -> Exit:
    """Of the routes that are copied or were compared; a route that nothing is known of is watched, not passed."""
    words = {each.verdict.word for each in found if each.is_copied or each.evidence.comparisons}
    if Word.NO_GO in words:
        return Exit.NO_GO
    return Exit.GO if words == {Word.GO} else Exit.KEEP_WATCHING


def _print(found: list[RouteReport], *, keeps_values: bool) -> None:
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PAPER_COLUMNS)
    table = Table(box=None, pad_edge=False)
    for title in ("route", "at", "compared", "mismatches", "errors", "slower", "nothing to say", "verdict"):
        table.add_column(title, justify="left" if title in ("route", "at", "verdict") else "right")
    for each in found:
        rates = [in_short(each.evidence.rates[name]) for name in RATES]
        says = str(each.verdict) if each.is_copied or each.evidence.comparisons else "not copied"
        count, without = str(each.evidence.comparisons), str(each.evidence.inconclusive)
        table.add_row(each.route.name, str(each.place), count, *rates, without, says)
    console.print(table)
    for each in found:
        for line in _lines(each):
            console.print(line, soft_wrap=True)
    if any(each.clusters for each in found) and not keeps_values:
        console.print(f"\n{WITHOUT_VALUES}", soft_wrap=True)


def _lines(found: RouteReport) -> list[str]:
    lines: list[str] = []
    name = found.route.name
    if found.is_silent:
        lines.append(
            f"\n{name}: copies should be made, and not one was compared yet under these builds and rules. See status."
        )
    if found.verdict.reasons and found.evidence.comparisons:
        lines += [f"\n{name}:", *(f"  {reason}" for reason in found.verdict.reasons)]
    if found.verdict.word is Word.NO_GO:
        lines += [f"  {NO_GO_STAYS.format(found.route.to)}"]
    if found.copies:
        lines.append(f"\n{name}, copies: {'; '.join(f'{count} {what}' for what, count in found.copies.items())}")
    if found.clusters:
        lines.append(f"\n{name} differs in:")
        for cluster in found.clusters[:DIFFERENCES]:
            where = f"{cluster.place or '(whole)'} {cluster.kind}, {_times(cluster.count)}"
            lines.append(f"  {where}, last {_ago(cluster.last_at)}, for example in exchange {cluster.exemplars[0]}")
            control, candidate = in_clear(cluster.control), in_clear(cluster.candidate)
            if control or candidate:
                lines.append(f"      {control or 'nothing'} → {candidate or 'nothing'}")
        if len(found.clusters) > DIFFERENCES:
            lines.append(f"  … and {len(found.clusters) - DIFFERENCES} more places; --json has them")
    if found.inconclusive:
        lines.append(f"\n{name} said nothing lately because:")
        lines += [f"  {count} × {reason}" for reason, count in sorted(found.inconclusive.items())]
    return lines


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _ago(at: float) -> str:
    return f"{in_words(max(0.0, time.time() - at))} ago"
