"""One provider call and the audit row that it leaves in the monolith's table, however it ends."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from . import tables
from .completions import Embeddings, Finish, Usage
from .database import Database
from .errors import Failed, ProviderError
from .identity import Caller

_INSERT = insert(tables.call)  # built once: to put a statement together takes longer than to have it done

logger = logging.getLogger(__name__)


@dataclass
class Call:
    """A provider call while it lasts. `ended` takes what the provider said about it."""

    kind: str
    caller: Caller
    ticket_id: int | None
    model: str
    usage: Usage = field(default_factory=Usage)
    started: float = field(default_factory=time.monotonic)

    def ended(self, answer: Finish | Embeddings) -> None:
        self.model, self.usage = answer.model, answer.usage

    def row(self, outcome: str) -> dict[str, Any]:
        return {
            "organisation_id": self.caller.organisation,
            "user_id": self.caller.user_id,
            "ticket_id": self.ticket_id,
            "kind": self.kind,
            "model": self.model,
            "outcome": outcome,
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "duration_ms": round((time.monotonic() - self.started) * 1000),
            "created_at": datetime.now(UTC),
        }


@asynccontextmanager
async def audited(database: Database, call: Call) -> AsyncIterator[None]:
    """Whatever happens inside, one row says how it went."""
    with database.promised(tables.call):
        outcome = "aborted"  # cancelled, or closed before its end: the caller left
        try:
            yield
            outcome = "ok"
        except ProviderError as error:
            outcome = error.outcome
            if isinstance(error, Failed):
                logger.warning("The provider failed: %s.", error.reason)
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            await _finished(_written(database, call.row(outcome)))


async def _finished(writing: Coroutine[Any, Any, None]) -> None:
    """To the end, even if the caller leaves only now, or is told to go a second time."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _written(database: Database, row: dict[str, Any]) -> None:
    """An answer that is paid for is not thrown away because its audit row finds no place; the log keeps that."""
    try:
        await database.write(lambda connection: connection.execute(_INSERT, row))
    except (SQLAlchemyError, OSError):
        logger.exception("An audit row could not be stored: %s.", row)
