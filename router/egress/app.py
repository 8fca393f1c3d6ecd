"""The egress as a Starlette application: calls go to `calls.py`, everything else an ASGI server says is Starlette's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from ..config import Config, Egress
from ..errors import ConfigError, EvidenceError, Problem
from ..evidence.store import Store
from ..evidence.tape import Tape
from ..reading import load
from ..upstream import Pool
from .calls import Calls


class EgressApp(Starlette):
    """Serves the [egress] of a routes.toml as it was at the start."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigError if the file cannot be used or has no [egress]."""
        self._config: Config = load(file)
        self._egress = _egress(file, self._config)
        self._calls: Calls | None = None
        super().__init__(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._calls is None:
            await super().__call__(scope, receive, send)
            return
        await self._calls(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        evidence = self._config.evidence
        store, tape = Store(evidence, self._egress.keep_minutes * 60), Tape(evidence.url)
        pool = Pool(self._egress.provider)
        self._calls = Calls(self._egress, pool, store, tape)
        opening = asyncio.create_task(_opened(tape))
        yield
        opening.cancel()
        pool.close()
        tape.close()
        store.close()


async def _opened(tape: Tape) -> None:
    """Before it is needed: the first shadow would wait for connection and tables."""
    with contextlib.suppress(EvidenceError):
        await tape.change(lambda _: None)


def _egress(file: Path, config: Config) -> Egress:
    if config.egress is None:
        cure = 'there is no such table: name the provider, [egress] provider = "https://api.example.com"'
        raise ConfigError(str(file), (Problem("egress", cure),))
    return config.egress
