"""A router with a legacy and an extracted upstream, and the shadow's worker in the test's own event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from ..evidence.database import open_engine
from ..evidence.observations import Comparison
from ..evidence.reading import latest
from ..shadow import RouteCounts
from ..shadow.words import Copy, Outcome, Setup, Tally
from ..shadow.worker import Worker
from .serving import Serving, routes_file, serving
from .wire import Script, Upstream, until, upstream

QUIET = 'shadow = { effects = "none", twice_percent = 0 }'
ROUTE = f'stage = "shadow"\n{QUIET}'


class Nearby:
    """Stands for the shadow process: the same worker, without the process."""

    def __init__(self, hear: Callable[[Outcome], None], gone: Callable[[], None]) -> None:
        self.worker = Worker(hear, b"key")
        self.gone = gone
        self.copies: list[Copy] = []

    def send(self, word: Setup | Copy | Tally) -> None:
        if isinstance(word, Copy):
            self.copies.append(word)
        self.worker.hear(word)

    def kill(self) -> None:
        self.gone()

    async def close(self) -> None:
        await self.worker.drain(0.5)


class Deaf(Nearby):
    """A shadow process that takes copies and makes none."""

    def send(self, word: Setup | Copy | Tally) -> None:
        if isinstance(word, Copy):
            self.copies.append(word)

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Both:
    """The router and what stands behind it."""

    router: Serving
    legacy: Upstream
    service: Upstream
    links: list[Nearby]

    @property
    def counts(self) -> RouteCounts:
        return self.router.counts["r"]


@contextlib.asynccontextmanager
async def both(
    folder: Path,
    legacy: Script,
    service: Script,
    *,
    route: str = ROUTE,
    settings: str = "",
    link: type[Nearby] = Nearby,
    environ: dict[str, str] | None = None,
) -> AsyncIterator[Both]:
    """Everything below / is the route `r`."""
    links: list[Nearby] = []

    def start(hear: Callable[[Outcome], None], gone: Callable[[], None]) -> Nearby:
        links.append(link(hear, gone))
        return links[-1]

    async with upstream(legacy) as left, upstream(service) as right:
        text = (
            f'upstreams = {{ legacy = "{left.url}", service = "{right.url}" }}\n{settings}\n'
            f'[evidence]\nurl = "sqlite:///{folder}/evidence.db"\n'
            f'[[routes]]\nname = "r"\npath = "/{{rest:path}}"\nto = "service"\n{route}\n'
        )
        async with serving(routes_file(folder, text), environ, start=start) as router:
            yield Both(router, left, right, links)


def kept(both: Both) -> list[Comparison]:
    """The comparisons in the database, the latest first."""
    kept = both.links[-1].worker._kept
    assert kept is not None
    assert kept.store.flush()
    engine = open_engine(kept.evidence.url, writes=False)
    return latest(engine, "r")


async def settled(both: Both) -> None:
    """Wait until no copy is on its way any more."""
    counts = both.counts
    await until(lambda: counts.offered <= counts.sent + sum(counts.dropped.values()))
