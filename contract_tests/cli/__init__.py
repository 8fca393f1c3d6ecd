"""The command line: hold whoever answers at an address to a promise, or two of them to each other."""

from __future__ import annotations

import typer

from .accept import accept, report
from .check import check, diff
from .learn import learn, record

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.command()(check)
app.command()(diff)
app.command()(learn)
app.command()(record)
app.command()(accept)
app.command()(report)


def main() -> None:
    app()
