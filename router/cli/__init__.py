"""The command line: `python -m router check | explain | init | serve | advance | …`, installed as `strangler` too."""

from __future__ import annotations

import sys

import typer

from ..errors import ConfigError, EditError, EvidenceError
from .advance import advance, rollback
from .check import check
from .egress import egress
from .explain import explain
from .init import init
from .report import report
from .serve import serve
from .status import status
from .survey import survey_spans

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A routing proxy for strangler-fig migrations.")
app.command()(check)
app.command()(explain)
app.command()(init)
app.command()(serve)
app.command()(status)
app.command()(egress)
app.command()(advance)
app.command()(rollback)
app.command()(report)
app.command("survey")(survey_spans)


def main() -> None:
    """Run one command; status 2 if a file or a database cannot be used, 1 if anything else is refused."""
    try:
        app()
    except (ConfigError, EvidenceError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except EditError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
