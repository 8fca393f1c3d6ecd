"""Many requests in one instant that wait for a model: the monolith served in every usual way, and the service.

Each of them waits 1 to 4 s on the provider; the provider asked directly, by the same reader, is what the rest is held
against. Every server is started anew for each burst and has one core; everything else shares the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx
import uvloop

from . import genai_told as told
from .burst import Seen, burst
from .processes import Cores, Running
from .reading import Ask
from .results import add_options, at_least_one, write_down
from .servers import ASGI, EXTRACTED, MONOLITH, Kind, Servers, sync, threads
from .stack import Stack, log_in, running_stack
from .streams import provider_requests

IDLE_SECONDS = 5.0  # in which nobody but the reader asks
VARIATIONS = 5  # of what is asked about each ticket: so many prompts have so many latencies
PACES: dict[str, dict[str, float]] = {
    "plain": {"latency_seconds": 1.0, "latency_spread_seconds": 3.0, "tokens_per_second": 0},
    # The first token after 0.5 to 2 s, then some 70 of them.
    "streamed": {"latency_seconds": 0.5, "latency_spread_seconds": 1.5, "tokens_per_second": 50},
}


@dataclass(frozen=True)
class Case:
    """A server, and whether its callers come through the router. A slow one is measured once, for a limited time."""

    kind: Kind
    door: str
    is_slow: bool = False


def cases(requests: int) -> list[Case]:
    return [
        Case(sync(2), "direct", is_slow=True),
        Case(sync(2), "router", is_slow=True),
        Case(sync(2 * (os.cpu_count() or 1) + 1), "direct", is_slow=True),
        Case(threads(requests), "direct"),
        Case(ASGI, "direct"),
        Case(EXTRACTED, "direct"),
        Case(EXTRACTED, "router"),
    ]


@dataclass(frozen=True)
class Asker:
    """What one agent asks: about each ticket in a few ways, and to read the list of tickets."""

    head: dict[str, str]
    tickets: list[int]

    def asks(self, url: str, way: str, head: dict[str, str] | None = None) -> list[Ask]:
        return [
            Ask(f"{url}/api/tickets/{ticket}/{path}", head or self.head, json.dumps(body).encode())
            for variation in range(VARIATIONS)
            for ticket in self.tickets
            for path, body in [
                ("summary", {"max_words": 60 + variation})
                if way == "plain"
                else ("reply", {"instructions": f"Mention option {variation}."})
            ]
        ]

    def read(self, url: str) -> Ask:
        return Ask(f"{url}/api/tickets?page_size=10", self.head, b"", "GET")


async def asker(stack: Stack) -> Asker:
    async with httpx.AsyncClient(base_url=stack.router, timeout=60) as client:
        head = await log_in(client, "jonas")
        tickets = (await client.get("/api/tickets?page_size=20")).json()["results"]
    return Asker(head, [ticket["id"] for ticket in tickets])


@dataclass(frozen=True)
class Load:
    """What is asked of every row."""

    requests: int
    seconds: float
    idle_seconds: float
    share: float = 1.0
    """Of the provider's time: in a smoke test it takes a fraction of it."""

    def pace(self, way: str) -> dict[str, float]:
        return {name: value * self.share if "seconds" in name else value for name, value in PACES[way].items()}

    def of(self, asks: list[Ask]) -> list[Ask]:
        return [asks[number % len(asks)] for number in range(self.requests)]


async def at_the_provider(servers: Servers, who: Asker, direct: list[Ask], way: str, load: Load) -> Seen:
    """The provider's own figures; the reads beside it say what the machine alone does to them."""
    await _set_pace(servers.stack, load.pace(way))
    with ExitStack() as leaving:
        monolith = servers.start(leaving, sync(2), measured=False)
        servers.cores.measure_from_the_last()
        return await burst(load.of(direct), load.seconds, [], who.read(monolith.url), load.idle_seconds)


async def at(servers: Servers, who: Asker, case: Case, way: str, load: Load) -> Seen:
    """One burst at a server that was started for it."""
    await _set_pace(servers.stack, load.pace(way))
    with ExitStack() as leaving:
        measured = servers.start(leaving, case.kind, measured=True)
        is_monolith = case.kind.side == MONOLITH
        monolith = measured if is_monolith else servers.start(leaving, sync(2), measured=False)
        trees, head, url, reads_at = [measured], who.head, measured.url, monolith.url
        if case.door == "router":
            router = servers.router(leaving, monolith, None if is_monolith else measured)
            trees, url, reads_at = [measured, router], router.url, router.url
        elif not is_monolith:
            head = await _identity(servers, monolith, who)
        servers.cores.measure_from_the_last()
        asks = load.of(who.asks(url, way, head))
        return await burst(asks, load.seconds, trees, who.read(reads_at), load.idle_seconds)


async def _identity(servers: Servers, monolith: Running, who: Asker) -> dict[str, str]:
    """What the router would ask the monolith for, once for the whole burst."""
    secret = servers.stack.families["router"][0].environ()["IDENTITY_SECRET"]
    said = {"X-Identity-Secret": secret, "X-Original-Method": "POST", "X-Identity-Audience": "assistant"}
    async with httpx.AsyncClient(base_url=monolith.url, timeout=60) as client:
        answer = await client.post("/internal/identity", headers={**who.head, **said})
    return {"X-Internal-Identity": answer.raise_for_status().json()["token"], "Content-Type": "application/json"}


async def _set_pace(stack: Stack, pace: dict[str, float]) -> None:
    async with httpx.AsyncClient(base_url=stack.provider) as client:
        (await client.put("/sandbox/settings", json=pace)).raise_for_status()
        await client.delete("/sandbox/calls")


async def run(stack: Stack, folder: Path, chosen: argparse.Namespace) -> dict[str, list[Seen]]:
    cores = Cores()
    cores.move_to_the_last([process for family in stack.families.values() for process in family])
    servers, who = Servers(stack, cores, folder), await asker(stack)
    load = Load(chosen.requests, chosen.seconds, *((0.5, 0.1) if chosen.smoke else (IDLE_SECONDS, 1.0)))
    asks = {way: who.asks(stack.router, way)[: chosen.requests] for way in chosen.ways}
    direct = {way: await provider_requests(stack, asks[way], load.pace(way)) for way in chosen.ways}
    found: dict[str, list[Seen]] = {}
    for repetition in range(chosen.repetitions):
        for way in chosen.ways:
            found.setdefault(f"{told.PROVIDER}|direct|{way}", []).append(
                await at_the_provider(servers, who, direct[way], way, load)
            )
            for case in cases(chosen.requests):
                if (case.is_slow and repetition) or not any(only in case.kind.name for only in chosen.only):
                    continue
                seen = await at(servers, who, case, way, load)
                row = f"{case.kind.name}|{case.door}|{way}"
                found.setdefault(row, []).append(seen)
                print(told.line(row, [seen]), flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=at_least_one, default=500, help="in one instant")
    parser.add_argument("--seconds", type=float, default=60.0, help="that a request may take")
    parser.add_argument("--repetitions", type=at_least_one, default=3, help="of the rows that are not slow")
    parser.add_argument("--ways", nargs="+", choices=PACES, default=list(PACES))
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="rows whose name holds one of these")
    add_options(parser, "genai")
    chosen = parser.parse_args(arguments)
    rows = sorted({case.kind.name for case in cases(chosen.requests)})
    if not any(only in row for only in chosen.only for row in rows):
        parser.error(f"no row is called {' or '.join(chosen.only)}; there are: {'; '.join(rows)}")
    if chosen.smoke:
        chosen.requests, chosen.seconds, chosen.repetitions = 8, 60.0, 1
    with running_stack(1.0, 0) as stack, tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(run(stack, Path(folder), chosen))
    judged = told.judged(found, chosen.requests)
    print(told.table(found))
    print("\n".join(said for said, _ in judged))
    seen = {name: [_short(each) for each in several] for name, several in found.items()}
    figures = told.figures(found, chosen.requests)
    write_down(chosen, "genai", {"rows": seen, **figures, "judged": [said for said, _ in judged]})
    return int(any(held is False for _, held in judged) and not chosen.smoke)


def _short(seen: Seen) -> dict[str, object]:
    """With the ranks of its times instead of hundreds of them."""
    times = {name: told.ranks(getattr(seen, name)) for name in ("took", "first", "reads_idle", "reads")}
    plain = asdict(replace(seen, took=[], first=[], reads_idle=[], reads=[]))
    return {**plain, "per_second": seen.per_second, "cpu_ms": seen.cpu_ms, **times}


if __name__ == "__main__":
    sys.exit(main())
