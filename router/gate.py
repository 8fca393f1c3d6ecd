"""What must be shown before a route may move on."""

from __future__ import annotations

from .config import Route
from .steps import Place


def gate(route: Route, place: Place) -> str | None:
    """Why `route` may not move on to `place` yet, in a sentence; None if it may.

    Nothing is gathered yet that could speak against a step: the operator decides.
    """
    return None
