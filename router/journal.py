"""Writes a move into the journal, which lies in the evidence database. What cannot be written stops no move."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Mapping
from typing import Any

from .config import Config
from .errors import EvidenceError
from .steps import Place


def note(
    config: Config,
    route: str,
    now: Place,
    then: Place,
    *,
    reason: str = "",
    forced: bool = False,
    evidence: Mapping[str, Any] | None = None,
) -> str | None:
    """Why the move is not in the journal, in a sentence; None if it is."""
    try:
        from sqlalchemy.exc import SQLAlchemyError

        from .evidence.database import cause_of, open_engine, prepare
        from .evidence.writing import Move, write_move
    except ModuleNotFoundError as missing:
        return f"it is not in the journal, which needs {missing.name}: pip install sqlalchemy."
    move = Move(time.time(), route, who(), str(now), str(then), reason, forced, evidence)
    try:
        engine = open_engine(config.evidence.url, writes=True, connections=0)
        prepare(engine)
        with engine.begin() as connection:
            write_move(connection, move)
    except EvidenceError as error:
        return f"it is not in the journal: {error}"
    except SQLAlchemyError as error:
        return f"it is not in the journal: {cause_of(error)}."
    except OSError as error:
        return f"it is not in the journal: {error}."
    return None


def who() -> str:
    """Whoever gave the command: behind sudo the one who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
