"""Comparisons for tests, and databases of both kinds to keep them in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ..config import Evidence
from ..evidence.gates import SEEN, Gate, History, Seen
from ..evidence.observations import Comparison, Difference, Kind, Verdict

SECONDS = 60.0
"""So long a test waits for the database before it fails."""

OTHER_MODEL = Difference("effect 1 body /model", Kind.VALUE, "a1", "b2")


def comparison(number: int = 0, **given: Any) -> Comparison:
    """A match unless a test says otherwise."""
    said: dict[str, Any] = {
        "exchange_id": f"{number + 1:032x}",
        "route": "ticket-summary",
        "stage": "shadow",
        "epoch": "one",
        "at": 1_700_000_000.0 + number,
        "control": "legacy",
        "candidate": "assistant",
        "verdict": Verdict.MATCH,
        "control_seconds": 0.1,
        "candidate_seconds": 0.1,
        "effects": 1,
    }
    return Comparison(**said | given)


def history_of(comparisons: Iterable[Comparison], gate: Gate) -> History:
    """As it is read from the database."""
    given = list(comparisons)
    times = [each.at for each in given] or [0.0]
    return History(bytes(_index(each, gate) for each in given), min(times), max(times))


def _index(one: Comparison, gate: Gate) -> int:
    is_slow = one.candidate_seconds > gate.slower * one.control_seconds + gate.slower_floor_seconds
    return SEEN.index(Seen(one.verdict, one.control_failed, one.candidate_failed, is_slow, one.second))


def mismatch(number: int, *differences: Difference) -> Comparison:
    return comparison(number, verdict=Verdict.MISMATCH, differences=differences or (OTHER_MODEL,))


def kept(url: str, **given: Any) -> Evidence:
    """Settings that keep everything, however old the tests' clock says it is."""
    return Evidence(url=url, **{"keep_days": 1_000_000} | given)


def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def skip_without_sqlalchemy() -> None:
    pytest.importorskip("sqlalchemy", reason="the evidence is tested where SQLAlchemy is installed")
