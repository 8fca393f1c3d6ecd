"""Many open streams through router and service, one worker each: is every token delivered, and how soon the first?

The provider is asked directly first, with as many streams at once: its own first token is what the rest is held
against. Then the same number of `reply` streams go through router and extracted service. Memory is the proportional
set size (PSS) of each process, from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from .stack import Stack, log_in, running_stack

PATIENCE_SECONDS = 120.0
PROVIDER_CALL = {
    "model": "helpdesk-small",
    "stream": True,
    "messages": [
        {"role": "user", "content": "Describe a lamp, its shade, its cable and its switch, in many words. " * 8}
    ],
}


@dataclass
class Stream:
    """What one caller saw; times in seconds since they asked."""

    first: float | None = None
    total: float = 0.0
    tokens: int = 0
    text: str = ""
    error: str = ""


@dataclass(frozen=True)
class Measured:
    """One crowd of streams."""

    streams: int
    errors: dict[str, int]
    tokens: int
    first_p50: float
    first_p99: float
    total_p50: float
    seconds: float
    memory_before_kib: dict[str, int] = field(default_factory=dict)
    memory_peak_kib: dict[str, int] = field(default_factory=dict)


async def one(url: str, head: dict[str, str], body: bytes) -> Stream:
    """Ask over a connection of its own and read to the end; no HTTP library, because it would be what is measured."""
    host, _, rest = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    lines = [f"POST /{rest} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in head.items()]
    seen = Stream()
    asked = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(name, int(port))
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            answered = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answered.partition(b"\r\n")[0]:
                seen.error = answered.partition(b"\r\n")[0].decode()
            else:
                await _read(reader, seen, asked)
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        seen.error = type(error).__name__
    seen.total = time.monotonic() - asked
    return seen


async def _read(reader: asyncio.StreamReader, seen: Stream, asked: float) -> None:
    """Events of either wire format; each chunk of these streams is one event."""
    while True:
        size = int(await reader.readline(), 16)
        chunk = await reader.readexactly(size + 2)
        if not size:
            seen.error = "no end in sight"
            return
        for line in chunk.split(b"\n"):
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]" or (b'"finish_reason": "' in line and b'"usage"' in line):
                return
            text = _text(json.loads(line[6:]))
            if text:
                seen.first = seen.first or time.monotonic() - asked
                seen.tokens += 1
                seen.text += text


def _text(data: dict[str, Any]) -> str:
    if "choices" in data:
        return "".join(choice["delta"].get("content") or "" for choice in data["choices"])
    return str(data.get("text", ""))


async def crowd(count: int, over_seconds: float, ask: Any) -> tuple[list[Stream], float]:
    """So many streams, begun evenly over a time; all of them are open together when it is shorter than a stream."""

    async def later(number: int) -> Stream:
        await asyncio.sleep(over_seconds * number / count)
        seen: Stream = await ask(number)
        return seen

    began = time.monotonic()
    streams = await asyncio.gather(*(later(number) for number in range(count)))
    return list(streams), time.monotonic() - began


def measured(streams: list[Stream], seconds: float, **memory: dict[str, int]) -> Measured:
    firsts = sorted(stream.first for stream in streams if stream.first is not None)
    errors = [stream.error for stream in streams if stream.error]
    return Measured(
        streams=len(streams),
        errors={error: errors.count(error) for error in sorted(set(errors))},
        tokens=sum(stream.tokens for stream in streams),
        first_p50=_rank(firsts, 0.5),
        first_p99=_rank(firsts, 0.99),
        total_p50=statistics.median(stream.total for stream in streams),
        seconds=seconds,
        **memory,
    )


def _rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


async def run(stack: Stack, count: int, over_seconds: float) -> dict[str, Any]:
    provider_body = json.dumps(PROVIDER_CALL).encode()
    provider_head = {"Authorization": "Bearer sandbox-key", "Content-Type": "application/json"}

    async def ask_provider(_: int) -> Stream:
        return await one(f"{stack.provider}/v1/chat/completions", provider_head, provider_body)

    alone, alone_seconds = await crowd(count, over_seconds, ask_provider)

    async with httpx.AsyncClient(base_url=stack.router) as client:
        head = await log_in(client, "jonas")
        tickets = (await client.get("/api/tickets?page_size=20")).json()["results"]
    paths = [f"{stack.router}/api/tickets/{ticket['id']}/reply" for ticket in tickets]

    async def ask_service(number: int) -> Stream:
        return await one(paths[number % len(paths)], head, b"{}")

    wholes = await asyncio.gather(*(one(path, head, b"{}") for path in paths))
    once = {path: whole.text for path, whole in zip(paths, wholes, strict=True)}
    before = stack.memory_kib()
    peak: dict[str, int] = {}
    watching = asyncio.create_task(_watch(stack, peak))
    through, through_seconds = await crowd(count, over_seconds, ask_service)
    watching.cancel()
    torn = sum(stream.text != once[paths[number % len(paths)]] for number, stream in enumerate(through))
    return {
        "provider": asdict(measured(alone, alone_seconds)),
        "through": asdict(measured(through, through_seconds, memory_before_kib=before, memory_peak_kib=peak)),
        "answers_that_are_not_whole": torn,
    }


async def _watch(stack: Stack, peak: dict[str, int]) -> None:
    while True:
        for name, kib in stack.memory_kib().items():
            peak[name] = max(peak.get(name, 0), kib)
        await asyncio.sleep(0.5)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--streams", type=int, default=500)
    arguments.add_argument("--over-seconds", type=float, default=2.0)
    arguments.add_argument("--tokens-per-second", type=float, default=20.0)
    arguments.add_argument("--latency-seconds", type=float, default=1.0)
    arguments.add_argument("--json", type=Path, default=Path("var/benchmarks/streams.json"))
    chosen = arguments.parse_args()
    with running_stack(chosen.latency_seconds, chosen.tokens_per_second) as stack:
        found = asyncio.run(run(stack, chosen.streams, chosen.over_seconds))
    alone, through = found["provider"], found["through"]
    ratio = through["first_p99"] / alone["first_p99"]
    print(f"{'':24}{'provider':>12}{'through':>12}")
    for name in ("streams", "tokens", "first_p50", "first_p99", "total_p50", "seconds"):
        print(f"{name:24}{alone[name]:>12.4g}{through[name]:>12.4g}")
    print(f"errors                  {alone['errors']!s:>12}{through['errors']!s:>12}")
    print(f"answers not whole: {found['answers_that_are_not_whole']}; first-token p99 ratio: {ratio:.2f}")
    for name, kib in through["memory_peak_kib"].items():
        print(f"memory of {name}: {through['memory_before_kib'][name]} → {kib} KiB")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(found, indent=2), "utf-8")
    held = not through["errors"] and not found["answers_that_are_not_whole"] and ratio <= 1.5
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
