"""The act in which the extracted service gets copies: what they cost, what they show, what the report says of it."""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

from .acts import AT_ONCE, RELOAD_SECONDS, ROUTES, Scene, totals, watching
from .planted import FAULTS, Fault
from .provider import Settings
from .recording import ASSISTANT
from .stack import ROOT
from .wire import Json

QUICK = Settings(latency_seconds=0.02, tokens_per_second=2000, embedding_latency_seconds=0.01)
COMPARED_SECONDS = 20.0  # a copy goes out after its caller's answer, and is written down within a second
REPORT_SECONDS = 30.0
CANNOT_BE_USED = 2  # the report's exit status if there is none
PLANTED = ("dropped-field", "other-temperature", "cut-text", "other-prompt", "lost-token", "lost-header")
"""The faults of the demo, three for each of its routes."""


async def shadow(scene: Scene, seconds: float) -> Json:
    """Legacy answers everybody; the extracted service gets a copy of everything, and only the comparison sees it."""
    await _begin(scene)
    began = time.monotonic()
    async with scene.crowd.at_work(0, AT_ONCE):
        await watching(scene, seconds, lambda: f"{len(scene.crowd.recording.of(ASSISTANT, began))} calls answered")
    return await _measured(scene, began)


async def shadow_faults(scene: Scene, seconds_each: float) -> Json:
    """The same with a candidate that has one fault after another."""
    await _begin(scene)
    faults = [fault for fault in FAULTS if fault.name in PLANTED]
    began = time.monotonic()
    async with scene.crowd.at_work(0, AT_ONCE):
        for fault in faults:
            await _plant(scene, fault.name)
            says = f"{fault.name}: {fault.says}"
            await watching(scene, seconds_each, lambda says=says: says)  # type: ignore[misc]
    measured = await _measured(scene, began)
    await _plant(scene, "none")
    return measured | {"faults": [_found(fault, measured["found"]) for fault in faults]}


async def advance(routes: Path, route: str) -> str:
    """What the gate says when somebody wants to move the route on now."""
    status, said = await _router("advance", route, "--to", "split", "--percent", "10", "--file", str(routes))
    return said if status else f"{route} was moved on."


async def _begin(scene: Scene) -> None:
    await scene.set_provider(QUICK)
    scene.move("shadow")
    await asyncio.sleep(RELOAD_SECONDS)
    await scene.clear_ledger()


async def _plant(scene: Scene, fault: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.put(f"{scene.candidate_url}/sandbox/fault", json={"fault": fault})
        answer.raise_for_status()


async def _measured(scene: Scene, began: float) -> Json:
    """When every copy is compared, or they take too long."""
    calls = scene.crowd.recording.of(ASSISTANT, began)
    deadline = time.monotonic() + COMPARED_SECONDS
    while True:
        told = await _report(scene.routes)
        compared = sum(route["comparisons"] for route in told)
        if compared >= len(calls) or time.monotonic() > deadline:
            break
        scene.watch(f"{compared} of {len(calls)} copies compared")
    provider = await scene.provider_calls()
    return {
        "calls": len(calls),
        "compared": compared,
        "mismatches": sum(route["rates"]["mismatches"]["hits"] for route in told),
        "inconclusive": sum(route["inconclusive"] for route in told),
        # Each summary and each reply is one call; whatever is above that was asked by a copy.
        "provider_calls_of_copies": None if provider is None else provider - len(calls),
        "verdicts": {route["route"]: {"verdict": route["verdict"], "says": route["says"]} for route in told},
        "found": [
            {"route": route["route"], "count": group["count"], "places": group["places"]}
            for route in told
            for group in route["groups"]
        ],
        **totals(calls),
    }


async def _report(routes: Path) -> list[Json]:
    status, said = await _router("report", str(routes), "--json")
    if status == CANNOT_BE_USED:
        raise RuntimeError(said)
    told: list[Json] = json.loads(said)
    return [route for route in told if route["route"] in ROUTES]


async def _router(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(REPORT_SECONDS):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode().strip()


def _found(fault: Fault, groups: list[Json]) -> Json:
    """In how many exchanges the report names the fault's place; indexes are `*` there."""
    named: Counter[str] = Counter()
    for group in groups:
        for difference in group["places"]:
            if difference["kind"] == fault.kind and fault.is_at(difference["place"]):
                named[difference["place"]] += group["count"]
    place, count = named.most_common(1)[0] if named else ("", 0)
    return {"name": fault.name, "says": fault.says, "place": place, "kind": fault.kind, "count": count}
