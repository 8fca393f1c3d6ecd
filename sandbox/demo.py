"""`demo`: the whole story on real processes and real requests, in about two minutes."""

import asyncio
import json
import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from . import acts, shadowing
from .callers import crowd
from .claims import Claim, claims, faulty_claims, milliseconds, table
from .processes import ProcessFailed
from .provider import Settings
from .stack import Options, Stack, running_stack
from .up import FAILED, lines_to, show_addresses
from .wire import Json

SLOW = Settings(latency_seconds=0.6, tokens_per_second=60)  # like a middling hosted model
FAST = Settings(latency_seconds=0.1, tokens_per_second=400)  # so that a move can be watched in seconds
SESSIONS = 24  # logged-in agents who use the assistant in turn: the split needs many callers
ALONE_SECONDS = 6.0
LOAD_SECONDS = 12.0
STEP_SECONDS = 6.0
SHADOW_SECONDS = 20.0
FAULT_SECONDS = 3.0


async def demo(options: Options, console: Console, *, once: bool) -> int:
    """The exit status: 0 if every claim held, 1 if one did not or a process died."""
    console.rule("[bold]A monolith, an extracted service, and a router in front of both")
    with console.status("Starting the processes …") as status:
        async with running_stack(options, lines_to(console, quiet=True)) as stack:
            return await _play(stack, console, status, once=once)


async def _play(stack: Stack, console: Console, status: Status, *, once: bool) -> int:
    story = asyncio.create_task(_story(stack, console, status))
    died = asyncio.create_task(stack.failed())
    try:
        await asyncio.wait((story, died), return_when=asyncio.FIRST_COMPLETED)
        if not story.done():
            return _died(died.result(), console)
        rows = story.result()
        status.stop()
        unheld = [row for row in rows if not row.held]
        for row in unheld:
            console.print(f"Did not hold: {row.what} ({row.says}).", style="red")
        if not unheld:
            console.print("Every claim held.", style="bold green")
        if once:
            return FAILED if unheld else 0
        by = (
            "the extracted service"
            if stack.layout.fault is None
            else "the monolith, with copies to the faulty candidate"
        )
        console.print(f"\nThe stack stays up; both routes are answered by {by} now. Try it:\n")
        show_addresses(stack, console)
        console.print("Ctrl-C stops everything.", style="bold")
        return _died(await died, console)
    finally:
        story.cancel()
        died.cancel()


async def _story(stack: Stack, console: Console, status: Status) -> list[Claim]:
    layout = stack.layout
    provider = layout.url("provider") if "provider" in stack.running else None
    status.update(f"{acts.READERS + SESSIONS} agents log in …")
    async with crowd(layout.url("router"), stack.ready()["logins"], acts.READERS, SESSIONS) as people:
        scene = acts.Scene(
            people,
            layout.routes_file,
            provider,
            SLOW,
            FAST,
            lambda line: status.update(f"    {escape(line)}"),
            layout.url("candidate"),
        )
        console.print(
            f"{acts.READERS + SESSIONS} agents are logged in. Provider: {_provider(stack)}. "
            f"Monolith: 2 synchronous workers. Routes: {layout.routes_file}"
        )
        measured = await (_acts(scene, console) if layout.fault is None else _faulty_act(scene, console))
    file = layout.data / "demo" / "measured.json"
    _write(file, measured)
    rows = claims(measured) if layout.fault is None else faulty_claims(measured)
    status.stop()
    console.print(table(rows))
    for problem in sorted({problem for act in measured.values() for problem in act["problems"]}):
        console.print(f"Failed: {problem}", style="red", markup=False)
    console.print(f"All figures: {file}; the processes' own words: {layout.data / 'logs'}", style="dim")
    return rows


async def _acts(scene: acts.Scene, console: Console) -> Json:
    title(console, 1, "The monolith does everything", "an assistant call holds a worker while it waits for the model")
    alone = await acts.read_alone(scene, ALONE_SECONDS)
    say(console, f"{acts.READERS} agents read tickets: {_reads(alone)}")
    on_legacy = await acts.read_beside_the_assistant(scene, LOAD_SECONDS)
    say(console, f"{acts.AT_ONCE} others use the assistant: {_reads(on_legacy)}; {_calls(on_legacy)}")

    title(
        console, 2, "The extracted service gets copies", "only the comparison sees its answers; the model is quick here"
    )
    shadow = await shadowing.shadow(scene, SHADOW_SECONDS)
    _say_copied(console, shadow)

    title(
        console,
        3,
        "The two routes move, under traffic",
        "one edit of routes.toml per step; the model answers faster here",
    )
    move = await acts.move_forward(scene, STEP_SECONDS)
    for step in move["steps"]:
        share = "–" if step["by_extracted"] is None else f"{step['by_extracted']:.0%}"
        say(console, f"{step['stage']:<12} {step['answers']:>4} assistant calls, {share:>4} answered by extracted")
    say(console, f"{move['failed']} of {move['requests']:,} requests failed while it moved")

    title(console, 4, "The same load as in act 1", "the waiting is now done by an event loop, not by a worker")
    on_extracted = await acts.read_beside_the_assistant(scene, LOAD_SECONDS)
    say(console, f"{acts.AT_ONCE} others use the assistant: {_reads(on_extracted)}; {_calls(on_extracted)}")

    title(console, 5, "And back, and forward", "rolling back is the same edit in the other direction")
    switch = await acts.roll_back_and_forward(scene)
    for name, way in (("back to legacy", switch["back"]), ("forward to extracted", switch["forward"])):
        last = f", the last {way['last_to_old_side_seconds']:.2f} s after it" if way["old_side"] else ""
        counts = f"{way['old_side']} of {way['started']} calls begun after the edit"
        say(console, f"{name}: {counts} went to the old side{last}")
    return {
        "alone": alone,
        "on_legacy": on_legacy,
        "shadow": shadow,
        "move": move,
        "on_extracted": on_extracted,
        "switch": switch,
    }


async def _faulty_act(scene: acts.Scene, console: Console) -> Json:
    title(console, 1, "A faulty candidate gets copies", "one planted fault after another; no caller sees any of them")
    shadow = await shadowing.shadow_faults(scene, FAULT_SECONDS)
    _say_copied(console, shadow)
    for group in shadow["found"]:
        places = [f"{each['place']} {each['kind']}" for each in group["places"]]
        say(console, f"{group['count']:>4} × {group['route']}: {', '.join(places)}")
    for route in acts.ROUTES:
        say(console, f"advance {route}: {await shadowing.advance(scene.routes, route)}")
    return {"shadow": shadow}


def _say_copied(console: Console, shadow: Json) -> None:
    asked = shadow["provider_calls_of_copies"]
    cost = "" if asked is None else f"; the provider was asked by copies {asked} times"
    say(console, f"{shadow['compared']:,} of {shadow['calls']:,} copies compared, {shadow['mismatches']} differ{cost}")
    for route, verdict in shadow["verdicts"].items():
        say(console, f"{route}: {verdict['says']}")


def title(console: Console, number: int, name: str, why: str) -> None:
    console.print(f"\n[bold cyan]Act {number}[/]  [bold]{name}[/] [dim]– {why}[/]")


def say(console: Console, line: str) -> None:
    console.print(f"    {escape(line)}")


def _reads(measured: Json) -> str:
    reads = measured["reads"]
    median, slow = milliseconds(reads["p50"]), milliseconds(reads["p95"])
    return f"a page takes {median} (95th percentile {slow}, {reads['count']} read)"


def _calls(measured: Json) -> str:
    own = measured["provider"]["p50"]
    beside = "" if own is None else f", of which the model itself {milliseconds(own)}"
    return f"an assistant call {milliseconds(measured['assistant']['p50'])}{beside}"


def _provider(stack: Stack) -> str:
    if "provider" not in stack.running:
        return os.environ.get("LLM_BASE_URL", "real")
    return f"simulated, {SLOW.latency_seconds:g} s to the first token, then {SLOW.tokens_per_second:g} tokens/s"


def _died(failure: ProcessFailed, console: Console) -> int:
    console.print(str(failure), style="red", markup=False)
    return FAILED


def _write(file: Path, measured: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(measured, indent=2), "utf-8")
