"""Many open streams through router and service, one worker each: is every token delivered, and how soon the first?

The provider is asked directly first, by the same reader with the same requests at the same pace: what it takes is what
the rest is held against, and what it says is what every caller must get. Then as many `reply` streams go through router
and extracted service. Memory is the proportional set size (PSS), CPU is user and system time, both from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from .reading import Ask, Crowd, Stream
from .results import at_least_one
from .stack import Stack, busy_seconds, log_in, machine, running_stack

LOOK_AGAIN_SECONDS = 1.0
ALLOWED_RATIO = 1.5  # first token, 99th percentile: through everything, to the provider's own
# A draft takes an agent's instructions up word for word, so these make a reply of several hundred tokens.
INSTRUCTIONS = "Say what we know so far, what we try next, by when we write again and how to reach us. " * 22


@dataclass(frozen=True)
class Look:
    """One look at the processes while the crowd reads."""

    at: float
    open: int
    busy_seconds: float  # of all cores of this machine, whoever kept them busy
    cpu_seconds: dict[str, float]
    memory_kib: dict[str, int]


async def run(stack: Stack, count: int, over_seconds: float, pace: dict[str, float]) -> dict[str, Any]:
    where = machine()
    async with httpx.AsyncClient(base_url=stack.router, timeout=60) as client:
        head = await log_in(client, "jonas")
        tickets = (await client.get("/api/tickets?page_size=20")).json()["results"]
    wanted = json.dumps({"instructions": INSTRUCTIONS}).encode()
    through = [Ask(f"{stack.router}/api/tickets/{ticket['id']}/reply", head, wanted) for ticket in tickets]
    direct = await provider_requests(stack, through, pace)
    said = [stream.text for stream in await Crowd(direct, 0).read()]

    provider = await _measured(stack, _repeated(direct, count), said, over_seconds)
    callers = await _measured(stack, _repeated(through, count), said, over_seconds)
    return {"machine": where, "pace": pace, "over_seconds": over_seconds, "provider": provider, "through": callers}


async def provider_requests(stack: Stack, asks: list[Ask], pace: dict[str, float]) -> list[Ask]:
    """What the service asks of the provider for each of these, so that it can be asked directly."""
    async with httpx.AsyncClient(base_url=stack.provider) as client:
        await client.put("/sandbox/settings", json=dict.fromkeys(pace, 0))
        requests = []
        for ask in asks:
            await client.delete("/sandbox/calls")
            (stream,) = await Crowd([ask], 0).read()
            if stream.error:
                raise SystemExit(f"{ask.url} does not answer: {stream.error}.")
            (call,) = (await client.get("/sandbox/calls")).json()["calls"]
            requests.append(json.dumps(call["body"]).encode())
        await client.put("/sandbox/settings", json=pace)
    head = {"Authorization": "Bearer sandbox-key", "Content-Type": "application/json"}
    return [Ask(f"{stack.provider}/v1/chat/completions", head, request) for request in requests]


def _repeated(asks: list[Ask], count: int) -> list[Ask]:
    return [asks[number % len(asks)] for number in range(count)]


async def _measured(stack: Stack, asks: list[Ask], said: list[str], over_seconds: float) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=stack.provider) as client:
        await client.delete("/sandbox/calls")
        crowd, looks = Crowd(asks, over_seconds), [_look(stack, 0)]
        watching = asyncio.create_task(_watch(stack, crowd, looks))
        streams = await crowd.read()
        watching.cancel()
        looks.append(_look(stack, 0))
        calls = (await client.get("/sandbox/calls?last=0")).json()
    torn = sum(stream.text != said[number % len(said)] for number, stream in enumerate(streams))
    return {
        "not_the_providers_text": torn,
        "open_at_once_at_the_provider": calls["most_open"],
        **_seen(streams),
        **_used(streams, looks),
    }


async def _watch(stack: Stack, crowd: Crowd, looks: list[Look]) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        looks.append(await asyncio.to_thread(_look, stack, crowd.open))


def _look(stack: Stack, open_streams: int) -> Look:
    cpu = {**stack.cpu_seconds(), "reader": time.process_time()}
    return Look(time.monotonic(), open_streams, busy_seconds(), cpu, stack.memory_kib())


def _seen(streams: list[Stream]) -> dict[str, Any]:
    """What the callers saw, all of them together."""
    errors = [stream.error for stream in streams if stream.error]
    whole = [stream for stream in streams if not stream.error]
    firsts = sorted(stream.first_seconds for stream in whole)
    gaps = sorted(gap for stream in whole for gap in stream.gaps_seconds)
    totals = sorted(stream.ended - stream.asked for stream in whole)
    return {
        "streams": len(streams),
        "errors": {error: errors.count(error) for error in sorted(set(errors))},
        "tokens": sum(len(stream.token_times) for stream in whole),
        "first_token_p50_seconds": _rank(firsts, 0.5),
        "first_token_p99_seconds": _rank(firsts, 0.99),
        "between_tokens_p50_seconds": _rank(gaps, 0.5),
        "between_tokens_p99_seconds": _rank(gaps, 0.99),
        "whole_answer_p50_seconds": _rank(totals, 0.5),
    }


def _used(streams: list[Stream], looks: list[Look]) -> dict[str, Any]:
    """What it cost: in all, and between the first and the last look at which every stream was open."""
    most = max(look.open for look in looks)
    full = [look for look in looks if look.open == most]
    before = looks[0].memory_kib
    peak = {name: max(look.memory_kib[name] for look in looks) for name in before}
    return {
        "open_at_once": most,
        "open_at_once_for_seconds": full[-1].at - full[0].at,
        "cores_that_others_used": _others_cores(looks[0], looks[-1]),
        "cpu_µs_per_token": _per_token(streams, looks[0], looks[-1]),
        "cpu_µs_per_token_while_all_are_open": _per_token(streams, full[0], full[-1]),
        "memory_before_kib": before,
        "memory_peak_kib": peak,
        "memory_kib_per_stream": {name: (peak[name] - before[name]) / most for name in before if most},
    }


def _others_cores(start: Look, end: Look) -> float:
    """How quiet the machine was."""
    ours = sum(end.cpu_seconds.values()) - sum(start.cpu_seconds.values())
    return max(0.0, (end.busy_seconds - start.busy_seconds - ours) / (end.at - start.at))


def _per_token(streams: list[Stream], start: Look, end: Look) -> dict[str, float]:
    tokens = sum(start.at < time <= end.at for stream in streams for time in stream.token_times)
    used = {name: end.cpu_seconds[name] - start.cpu_seconds[name] for name in end.cpu_seconds}
    return {name: seconds / tokens * 1e6 for name, seconds in used.items() if tokens}


def _rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--streams", type=at_least_one, default=500)
    arguments.add_argument("--over-seconds", type=float, default=25.0, help="in which the streams begin, one by one")
    arguments.add_argument("--tokens-per-second", type=float, default=20.0)
    arguments.add_argument("--latency-seconds", type=float, default=1.0)
    arguments.add_argument("--json", type=Path, default=Path("var/benchmarks/streams.json"))
    chosen = arguments.parse_args()
    pace = {"latency_seconds": chosen.latency_seconds, "tokens_per_second": chosen.tokens_per_second}
    with running_stack(**pace) as stack:
        found = uvloop.run(run(stack, chosen.streams, chosen.over_seconds, pace))
    problems = _problems(found)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps({**found, "problems": problems}, indent=2, ensure_ascii=False), "utf-8")
    _show(found)
    print("\n".join(problems) or "Every token was delivered, and the first in time.")
    return 1 if problems else 0


def _problems(found: dict[str, Any]) -> list[str]:
    provider, through = found["provider"], found["through"]
    ratio = through["first_token_p99_seconds"] / provider["first_token_p99_seconds"]
    checks = {
        f"Errors: provider {provider['errors']}, through {through['errors']}.": provider["errors"] | through["errors"],
        f"{through['not_the_providers_text']} answers are not what the provider said.": (
            through["not_the_providers_text"] or provider["not_the_providers_text"]
        ),
        f"Only {through['open_at_once']} streams were open at once.": through["open_at_once"] < through["streams"],
        f"The first token took {ratio:.2f} × the provider's own (p99).": not ratio <= ALLOWED_RATIO,
    }
    return [problem for problem, is_so in checks.items() if is_so]


def _show(found: dict[str, Any]) -> None:
    provider, through = found["provider"], found["through"]
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    print(f"{'':36}{'provider':>12}{'through':>12}")
    for name, value in through.items():
        if isinstance(value, dict):
            for part in value:
                print(f"{f'{name} {part}':44}{_shown(provider[name].get(part)):>12}{_shown(value[part]):>12}")
        else:
            print(f"{name:44}{_shown(provider[name]):>12}{_shown(value):>12}")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())
