"""The acts of the demo: each does something to the running stack and measures what its callers see."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx

from .callers import Crowd
from .provider import Settings
from .recording import ASSISTANT, READS, Seen, figures, percentile, share_of
from .routes_file import set_stage
from .wire import Json

ROUTES = ("ticket-summary", "ticket-reply")
EXTRACTED = "assistant"  # the extracted service's name as an upstream
READERS = 6
AT_ONCE = 6  # assistant calls under way at once
STEPS: tuple[tuple[str, float | None], ...] = (
    ("legacy", None),
    ("split", 10),
    ("split", 50),
    ("extracted", None),
)
RELOAD_SECONDS = 1.2  # the router promises to follow a change within a second
SWITCH_SECONDS = 3.0  # how long a switch is watched
WATCH_EVERY_SECONDS = 0.5

Watch = Callable[[str], None]


@dataclass(frozen=True)
class Scene:
    """What the acts need: the crowd, the live routes, the provider's controls, and where to report progress."""

    crowd: Crowd
    routes: Path
    provider_url: str | None  # None: a real provider, which cannot be set
    slow: Settings
    fast: Settings
    watch: Watch
    candidate_url: str | None = None  # of the faulty candidate, if there is one

    async def set_provider(self, settings: Settings) -> None:
        if self.provider_url is not None:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.put(f"{self.provider_url}/sandbox/settings", json=asdict(settings))
                answer.raise_for_status()

    async def provider_seconds(self) -> Json:
        """How long the provider itself took for each call since the ledger was cleared."""
        if self.provider_url is None:
            return {"count": 0, "p50": None}
        async with httpx.AsyncClient(trust_env=False) as client:
            ledger = (await client.get(f"{self.provider_url}/sandbox/calls?last=1000")).json()
        took = [call["seconds"] for call in ledger["calls"] if call["seconds"] is not None]
        return {"count": len(took), "p50": percentile(took, 0.5)}

    async def provider_calls(self) -> int | None:
        """How many calls the provider got since the ledger was cleared."""
        if self.provider_url is None:
            return None
        async with httpx.AsyncClient(trust_env=False) as client:
            return int((await client.get(f"{self.provider_url}/sandbox/calls?last=1")).json()["received"])

    async def clear_ledger(self) -> None:
        if self.provider_url is not None:
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.delete(f"{self.provider_url}/sandbox/calls")

    def move(self, stage: str, percent: float | None = None) -> float:
        """One edit of the live routes; the moment of the write."""
        set_stage(self.routes, ROUTES, stage, percent)
        return time.monotonic()


async def read_alone(scene: Scene, seconds: float) -> Json:
    """Agents read tickets; nobody uses the assistant."""
    return await _load(scene, seconds, at_once=0)


async def read_beside_the_assistant(scene: Scene, seconds: float) -> Json:
    """The same agents read, while others ask for summaries and replies."""
    await scene.set_provider(scene.slow)
    await scene.clear_ledger()
    measured = await _load(scene, seconds, at_once=AT_ONCE)
    return measured | {"provider": await scene.provider_seconds()}


async def move_forward(scene: Scene, seconds_per_step: float) -> Json:
    """legacy → split 10 % → split 50 % → extracted, one edit each, while traffic flows without a pause."""
    await scene.set_provider(scene.fast)
    began = time.monotonic()
    steps: list[tuple[str, list[Seen]]] = []
    async with scene.crowd.at_work(READERS // 2, AT_ONCE):
        for stage, percent in STEPS:
            scene.move(stage, percent)
            name = stage if percent is None else f"{stage} {percent:g} %"
            await asyncio.sleep(RELOAD_SECONDS)
            settled = time.monotonic()
            await watching(scene, seconds_per_step - RELOAD_SECONDS, partial(_shares, scene, name, settled))
            steps.append((name, scene.crowd.recording.of(ASSISTANT, settled, time.monotonic())))
    everything = scene.crowd.recording.of(ASSISTANT | READS, began)
    return {
        "steps": [
            {"stage": name, "answers": len(seen), "by_extracted": share_of(seen, EXTRACTED)} for name, seen in steps
        ],
        "callers_that_changed_sides_within_a_step": sum(wavering(seen) for _, seen in steps),
        "callers_that_went_back": went_back([seen for _, seen in steps]),
        **totals(everything),
    }


async def roll_back_and_forward(scene: Scene) -> Json:
    """To legacy by one edit and to extracted by another, with calls starting all the time."""
    await scene.set_provider(scene.fast)
    began = time.monotonic()
    async with scene.crowd.at_work(READERS // 2, AT_ONCE):
        await asyncio.sleep(WATCH_EVERY_SECONDS)
        back = await _switch(scene, "legacy", away_from=EXTRACTED)
        forward = await _switch(scene, "extracted", away_from="legacy")
    return {"back": back, "forward": forward, **totals(scene.crowd.recording.of(ASSISTANT | READS, began))}


async def _switch(scene: Scene, stage: str, away_from: str) -> Json:
    """Moves both routes, and watches who answers the calls that begin afterwards."""
    written = scene.move(stage)
    await watching(scene, SWITCH_SECONDS, lambda: f"moved to {stage} {time.monotonic() - written:.1f} s ago")
    return switched(scene.crowd.recording.of(ASSISTANT, written), written, away_from)


def switched(started: list[Seen], written: float, away_from: str) -> Json:
    """How long after the edit a call could begin that the old side still answered; 0 if there was none."""
    old = [seen.began - written for seen in started if seen.answered_by == away_from]
    return {"started": len(started), "old_side": len(old), "last_to_old_side_seconds": max(old, default=0.0)}


async def _load(scene: Scene, seconds: float, at_once: int) -> Json:
    began = time.monotonic()
    async with scene.crowd.at_work(READERS, at_once):
        await watching(scene, seconds, lambda: _reads(scene, began))
    ended = time.monotonic()
    recording = scene.crowd.recording
    calls = recording.of(ASSISTANT, began)
    return {
        "seconds": ended - began,
        "reads": figures(recording.of(READS, began)),
        "assistant": figures(calls),
        "first_event": figures([seen for seen in calls if seen.kind == "reply"], lambda seen: seen.first_event_seconds),
        "assistant_per_minute": 60 * sum(seen.ok for seen in calls) / (ended - began),
        **totals(recording.of(ASSISTANT | READS, began)),
    }


async def watching(scene: Scene, seconds: float, line: Callable[[], str]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        scene.watch(line())
        await asyncio.sleep(min(left, WATCH_EVERY_SECONDS))


def _reads(scene: Scene, began: float) -> str:
    reads = figures(scene.crowd.recording.of(READS, began))
    calls = scene.crowd.recording.of(ASSISTANT, began)
    median = "–" if reads["p50"] is None else f"{reads['p50'] * 1000:,.0f} ms"
    return f"{reads['count']} pages read, median {median} · {len(calls)} assistant calls finished"


def _shares(scene: Scene, name: str, since: float) -> str:
    calls = scene.crowd.recording.of(ASSISTANT, since)
    share = share_of(calls, EXTRACTED)
    failed = sum(not seen.ok for seen in calls)
    shown = "–" if share is None else f"{share:.0%}"
    return f"{name}: {len(calls)} assistant calls, {shown} answered by extracted, {failed} failed"


def totals(seen: list[Seen]) -> Json:
    problems = sorted({f"{one.kind}: {one.problem}" for one in seen if not one.ok})
    return {"requests": len(seen), "failed": sum(not one.ok for one in seen), "problems": problems[:10]}


def _sides(seen: list[Seen]) -> dict[tuple[int, str], set[str]]:
    """Who answered each caller on each route: a split is sticky per route, and the two routes draw separately."""
    sides: dict[tuple[int, str], set[str]] = {}
    for one in seen:
        if one.answered_by:
            sides.setdefault((one.caller, one.kind), set()).add(one.answered_by)
    return sides


def wavering(seen: list[Seen]) -> int:
    """Callers whom both sides answered on one route although nothing was changed meanwhile."""
    return sum(len(sides) > 1 for sides in _sides(seen).values())


def went_back(steps: list[list[Seen]]) -> int:
    """Callers who were on the extracted side and on legacy in a later step of a move that only goes forward."""
    moved: set[tuple[int, str]] = set()
    back: set[tuple[int, str]] = set()
    for seen in steps:
        for caller, sides in _sides(seen).items():
            if caller in moved and "legacy" in sides:
                back.add(caller)
            if EXTRACTED in sides:
                moved.add(caller)
    return len(back)
