"""What the router found when it compared copies: one by one from its database, and added up as `report` says it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contract_tests import database
from contract_tests.stack import Stack

COMPARED_SECONDS = 90
LOOK_AGAIN_SECONDS = 0.05
REPORT_SECONDS = 120
TAPE_IS_LATE = ("the tape has lost an answer", "the recording of an outgoing call is incomplete")
"""Why nothing may be said where the machine is so busy that a call is written later than a copy waits for it."""
COLUMNS = (
    "id, exchange_id, route, stage, verdict, reason, control_seconds, candidate_seconds, "
    "control_first_seconds, candidate_first_seconds, differences"
)


@dataclass(frozen=True)
class Compared:
    """One comparison as it is stored."""

    id: int
    exchange: str
    route: str
    stage: str
    verdict: str
    reason: str
    control_seconds: float
    candidate_seconds: float
    control_first_seconds: float | None
    candidate_first_seconds: float | None
    differences: list[tuple[str, str]]
    """Place and kind."""


def comparisons(url: str, after: int = 0) -> list[Compared]:
    """Those written since the one with the number `after`, in their order."""
    rows = database.rows(url, f"SELECT {COLUMNS} FROM evidence_comparisons WHERE id > ? ORDER BY id", after)  # noqa: S608
    return [_compared(*row) for row in rows]


def latest(url: str) -> int:
    """The number of the last comparison, 0 before there is one."""
    return int(database.rows(url, "SELECT coalesce(max(id), 0) FROM evidence_comparisons")[0][0])


def comparison_of(url: str, exchange: str) -> Compared:
    """The one of this exchange, as soon as it is there."""
    deadline = time.monotonic() + COMPARED_SECONDS
    query = f"SELECT {COLUMNS} FROM evidence_comparisons WHERE exchange_id = ?"  # noqa: S608
    while not (rows := database.rows(url, query, exchange)):
        if time.monotonic() > deadline:
            raise LookupError(f"exchange {exchange} was not compared within {COMPARED_SECONDS} s")
        time.sleep(LOOK_AGAIN_SECONDS)
    return _compared(*rows[0])


def wait_for(
    url: str,
    number: int,
    after: int = 0,
    seconds: float = COMPARED_SECONDS,
    *,
    route: str | None = None,
    stage: str | None = None,
) -> list[Compared]:
    """So many comparisons, of one route or of all, in one stage or in any, after the one with the number `after`; fewer
    if they have not come in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = [
            each for each in comparisons(url, after) if route in (None, each.route) and stage in (None, each.stage)
        ]
        if len(found) >= number or time.monotonic() > deadline:
            return found
        time.sleep(LOOK_AGAIN_SECONDS)


def is_too_late(compared: Compared) -> bool:
    """Whether the comparison says nothing, for the one reason that a busy machine may give."""
    return compared.verdict == "inconclusive" and compared.reason in TAPE_IS_LATE


def differing(found: Iterable[Compared]) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Of those that are no match and not too late: what is to be told of them."""
    return [
        (each.route, each.verdict, each.reason, each.differences)
        for each in found
        if each.verdict != "match" and not is_too_late(each)
    ]


def report(stack: Stack) -> dict[str, Any]:
    """What `python -m router report --json` says of each route, by its name."""
    command = [sys.executable, "-m", "router", "report", str(stack.routes), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=REPORT_SECONDS)
    if told.returncode == 2 or not told.stdout:
        raise ValueError(f"report ended with {told.returncode}: {told.stderr}")
    return {each["route"]: each for each in json.loads(told.stdout)}


def calls_of_copies(stack: Stack) -> int:
    """How many calls the provider got beyond those that the tape holds for the side that answered."""
    recorded = database.rows(stack.evidence_url, "SELECT count(*) FROM tape_calls WHERE role = 'primary'")[0][0]
    return stack.number_of_calls() - int(recorded)


def _compared(*row: Any) -> Compared:
    told = json.loads(row[-1]) if isinstance(row[-1], str) else row[-1] or []
    values: list[Any] = [*row[:-1], [(one["place"], one["kind"]) for one in told]]
    return Compared(*values)
