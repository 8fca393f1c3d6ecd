"""Commands to the monolith, for what only it may write: each table has one writer.

A command goes out with the very identity that came in, which the monolith signed and verifies again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from . import shadow
from .errors import CommandFailed
from .identity import HEADER
from .settings import Settings
from .telemetry import Telemetry

MOST_COMMANDS = 100  # at once; others wait for their turn, within the timeout

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Monolith:
    """Raises CommandFailed and nothing else."""

    client: httpx.AsyncClient
    timeout_seconds: float  # of a whole command
    shadow_writes: shadow.Writes | None = None  # of a shadow: the monolith rolls its commands back, and says what

    async def set_triage(self, identity: str, ticket_id: int, category: str, priority: str) -> None:
        """Write a verdict to a ticket of the organisation that the identity names."""
        await self._commanded(identity, f"internal/tickets/{ticket_id}/triage", category=category, priority=priority)

    async def _commanded(self, identity: str, path: str, **said: str) -> None:
        headers = {HEADER: identity} | ({} if self.shadow_writes is None else {"Baggage": shadow.BAGGAGE})
        try:
            async with asyncio.timeout(self.timeout_seconds):
                answer = await self.client.post(path, json=said, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _failed(f"no answer ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.NO_CONTENT:
            raise _failed(f"it answered {answer.status_code}")
        if self.shadow_writes is not None:
            if shadow.HEADER not in answer.headers:
                raise _failed("it does not know shadow copies, and kept what one had it write")
            self.shadow_writes.update(shadow.reported(answer.headers[shadow.HEADER]))


@asynccontextmanager
async def open_monolith(settings: Settings, telemetry: Telemetry) -> AsyncIterator[Monolith]:
    """One client for the life of the process. It keeps no connection: the monolith's workers close theirs anyway."""
    async with httpx.AsyncClient(
        base_url=settings.legacy_url,
        timeout=settings.legacy_timeout_seconds,
        limits=httpx.Limits(max_connections=MOST_COMMANDS, max_keepalive_connections=0),
        trust_env=False,  # no proxy of the environment may see an identity
    ) as client:
        telemetry.instrument_client(client)
        yield Monolith(client, settings.legacy_timeout_seconds)


def _failed(reason: str) -> CommandFailed:
    logger.error("The monolith did not carry a command out: %s.", reason)
    return CommandFailed()
