"""What must be shown before a route may move on: the extracted upstream answers nobody without evidence."""

from __future__ import annotations

from sqlalchemy import Engine

from .config import Config, Route
from .evidence.gates import Word
from .report import RouteReport, report_of
from .steps import Place

FREE = frozenset(("legacy", "shadow"))
"""The stages in which legacy answers everybody: nobody can be hurt."""


def gate(config: Config, route: Route, place: Place, engine: Engine) -> tuple[str | None, RouteReport]:
    """Why `route` may not move on to `place` yet, in a sentence (None if it may), and what that rests on."""
    found = report_of(config, route, engine)
    return _objection(found, place), found


def _objection(found: RouteReport, place: Place) -> str | None:
    if place.stage in FREE:
        return None
    if not found.evidence.comparisons:
        return f"nothing was compared yet under these builds and rules; {_way(found)}."
    if found.verdict.word is Word.GO:
        return None
    return f"the evidence says {found.verdict}: {'; '.join(found.verdict.reasons)}."


def _way(found: RouteReport) -> str:
    if found.is_copied:
        return "copies are being made: wait for them, and look at report"
    if not found.route.shadow.percent:
        return 'give it copies, such as shadow = { percent = 100, effects = "none" }, and stage shadow'
    return "move it to stage shadow first"
