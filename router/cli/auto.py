"""`advance --auto`: walks a route through its steps, each when the evidence allows it, and back when it turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..config import Config, Route
from ..edit import find, locked, moved, read, swap
from ..errors import EditError, EvidenceError
from ..evidence.database import open_for_reading
from ..evidence.gates import Word
from ..gate import FREE
from ..journal import note
from ..report import RouteReport, as_json, report_of
from ..steps import BACK, STAGES, Place, next_place, place_of

LOOK_SECONDS = 2.0
"""How often the evidence is looked at: that does not make it worth less (see `evidence/verdict.py`)."""


class Do(Enum):
    """What comes next."""

    WAIT = "wait"
    ADVANCE = "advance"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Step:
    """What is done now, and why, in words."""

    do: Do
    why: str


def next_step(found: RouteReport | None, now: Place, held_seconds: float, hold_seconds: float, moved_at: float) -> Step:
    """What to do with a route that has been at `now` for `held_seconds`; `found` is None where there is no evidence.

    It moves on when it was there long enough, the verdict is `go`, and, where copies are made, at least one was
    compared since it came there: a route whose evidence stopped coming is not moved by old evidence.
    """
    if now.stage == "legacy":
        return Step(Do.ADVANCE, "legacy goes on answering everybody")
    if found is None or not found.evidence.comparisons:
        return Step(Do.WAIT, "nothing was compared yet")
    if found.verdict.word is Word.NO_GO:
        return Step(Do.ROLL_BACK, f"{found.verdict}: {'; '.join(found.verdict.reasons)}")
    if found.verdict.word is not Word.GO:
        return Step(Do.WAIT, str(found.verdict))
    if held_seconds < hold_seconds:
        return Step(Do.WAIT, f"go; it stays {hold_seconds - held_seconds:.0f} s more")
    if found.is_copied and found.evidence.last_at < moved_at:
        return Step(Do.WAIT, f"go, but nothing was compared since it came to {now}")
    return Step(Do.ADVANCE, "go")


def walk(
    name: str,
    to: str,
    hold_seconds: float,
    file: Path,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Until the route is in stage `to`. Raises EditError when it was rolled back, or somebody else moved it."""
    if to not in STAGES:
        raise EditError(f'"{to}" is no stage: name one of {", ".join(STAGES)}.')
    moved_at, expected, said = clock(), None, ""
    while True:
        _, config = read(file)
        route = find(config, name)
        now = place_of(route)
        if expected is not None and now != expected:
            raise EditError(f'Somebody else moved "{name}" to {now}: --auto ends here.')
        expected = now
        if STAGES.index(now.stage) >= STAGES.index(to):
            print(f"{name} is in {now}.")
            return
        found = _found(config, route)
        step = next_step(found, now, clock() - moved_at, hold_seconds, moved_at)
        if step.why != said and step.do is Do.WAIT:
            print(f"{name} in {now}: {step.why}", flush=True)
        said = step.why
        if step.do is Do.WAIT:
            sleep(LOOK_SECONDS)
            continue
        then = BACK if step.do is Do.ROLL_BACK else next_place(now)
        assert then is not None
        _move(file, name, now, then, step.why, as_json(found) if found else None)
        if step.do is Do.ROLL_BACK:
            raise EditError(f'"{name}" went back to {BACK.stage}: {step.why}.')
        moved_at, expected, said = clock(), then, ""


def _found(config: Config, route: Route) -> RouteReport | None:
    try:
        return report_of(config, route, open_for_reading(config.evidence.url))
    except EvidenceError:
        if route.stage in FREE:
            return None
        raise


def _move(file: Path, name: str, now: Place, then: Place, why: str, evidence: dict[str, Any] | None) -> None:
    with locked(file):
        text, config = read(file)
        if place_of(find(config, name)) != now:
            raise EditError(f'Somebody else moved "{name}" just now: --auto ends here.')
        swap(file, text, moved(text, name, then))
    print(f"{name}: {now} → {then} ({why})", flush=True)
    if problem := note(config, name, now, then, reason=f"--auto: {why}", evidence=evidence):
        print(f"The move is made, but {problem}", flush=True)
