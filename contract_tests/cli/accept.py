"""`accept` and `report`: what is made of the findings of the last run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from contract_tests.contractkit import deviations
from contract_tests.contractkit.files import text_of
from contract_tests.contractkit.messages import Finding, from_json

from .ending import DEFAULT_REPORT, Format, ReportFile, end, problems_said, show, stop


def accept(
    case: Annotated[str, typer.Argument(help="The number in brackets behind a finding.")],
    reason: Annotated[str, typer.Option(help="Why this is no fault.")],
    owner: Annotated[str, typer.Option(help="Who decided, and will decide again.")],
    consumers_asked: Annotated[str, typer.Option("--consumers", help="Who was asked whether they mind, with commas.")],
    expires: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its last day, at most 180 days from now.")],
    file: Annotated[Path, typer.Option("--deviations", help="The file that it is added to.")],
    report: ReportFile = DEFAULT_REPORT,
) -> None:
    """Accept a difference that the last run found, until a day."""
    with problems_said():
        before = text_of(file) if file.exists() else ""
        found = next((each for each in _last_run(report) if each.case == case), None)
        if found is None or found.kind != "parity":
            stop(f"{report} has no difference {case}; only differences between sides can be accepted")
        entry = _entry(found, reason, owner, [each.strip() for each in consumers_asked.split(",")], expires.date())
        try:
            file.write_text(before + yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=120), "utf-8")
            deviations.load(file)
        except deviations.DeviationsError:
            file.write_text(before, "utf-8")
            raise
    print(f"Accepted until {expires.date()}: {found.title}")


def report(
    file: Annotated[Path, typer.Argument(help="What check or diff wrote.")] = DEFAULT_REPORT,
    output: Format = "text",
) -> None:
    """Show the findings of the last run again, in another form; status 1 if there are any."""
    with problems_said():
        found = _last_run(file)
        show(found, output)
    end(found)


def _last_run(file: Path) -> list[Finding]:
    if not file.exists():
        stop(f"{file} is not there: check and diff write it, where they are run")
    return from_json(text_of(file))


def _entry(found: Finding, reason: str, owner: str, asked: Sequence[str], expires: date) -> dict[str, Any]:
    is_status = found.place == "status"
    return {
        "id": found.case,
        "title": found.says,
        "operations": [found.operation],
        "at": "answer" if is_status else found.place,
        "answers": {name: value.split(" ")[0] if is_status else value for name, value in found.values.items()},
        "reason": reason,
        "owner": owner,
        "consumers": list(asked),
        "decided": datetime.now(UTC).date(),
        "expires": expires,
    }
