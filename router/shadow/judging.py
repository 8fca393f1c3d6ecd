"""From a copy to a comparison: both answers with their effects, and of reads a second opinion."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import NamedTuple

from ..config import LEGACY, Config, Route
from ..errors import EvidenceError
from ..evidence.compare import LONGER, compare
from ..evidence.digests import REDACTED, Values
from ..evidence.judge import Exchange, judged
from ..evidence.noise import Noise, decided, learned
from ..evidence.observations import Comparison, Observation, Verdict
from ..evidence.rules import Rules, epoch
from ..evidence.tape import PRIMARY, SHADOW, Tape
from .asking import Answered, Side, ask
from .words import Copy

THREAD_BYTES = 65_536
"""Longer answers are compared in a thread: meanwhile other copies' times are measured."""

SPARE_BYTES = 65_536
"""A short answer may become so much longer and still be read whole."""
ROLES = ("control", "candidate")
Noises = dict[tuple[str, str], Noise]
"""What was learned of each route in each epoch, since this process began."""


class Sides(NamedTuple):
    """Whom a copy may be put to, within which limits."""

    control: Side
    candidate: Side
    body_bytes: int
    deadline: float
    """On the loop's clock, for all that is asked."""


class Judge:
    """Of the copies of one route. `draw` gives chances, from 0 to below 1."""

    def __init__(
        self,
        config: Config,
        route: Route,
        tape: Tape,
        noises: Noises,
        key: bytes,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._shadow = route.shadow
        self._same = self._holding = route.shadow.same
        self._day = date.min
        self._stage = route.stage
        self._at = (route.name, epoch_of(config, route))
        self._tape = tape
        self._noises = noises
        self._values = Values(key, config.evidence.values, (*REDACTED, *config.evidence.redact))
        self._has_effects = route.shadow.effects in ("tape", "live")
        self._draw = draw

    @property
    def _rules(self) -> Rules:
        """Those that hold today: after its last day a rule excuses nothing."""
        today = datetime.now(UTC).date()
        if today != self._day:
            self._day, self._holding = today, self._same.holding(today)
        return self._holding

    async def judged(self, copy: Copy, sides: Sides) -> tuple[Comparison, Observation]:
        """Send the copy and judge what comes back. Of a read, control is asked twice now and then, to learn where it
        differs from itself; and a mismatch is asked for again on both sides before it counts.
        """
        candidate = await self._asked(copy, copy.candidate, sides.candidate, sides)
        if self._has_effects:
            return await self._judged_with_effects(copy, candidate)
        comparison = await self._compared(copy, copy.control, candidate.observation)
        is_twice = self._draw() * 100 < self._shadow.twice_percent
        if is_twice or comparison.verdict is Verdict.MISMATCH:
            again = (await self._asked(copy, copy.control.upstream, sides.control, sides)).observation
            of_control = compare(copy.control, again, self._rules)
            if is_twice and not again.error:
                self._noises[self._at] = learned(self._noise, of_control)
            if comparison.verdict is Verdict.MISMATCH:
                second = (await self._asked(copy, copy.candidate, sides.candidate, sides)).observation
                comparison = decided(comparison, of_control, await self._compared(copy, again, second))
        return comparison, candidate.observation

    @property
    def _noise(self) -> Noise:
        return self._noises.get(self._at, _QUIET)

    async def _asked(self, copy: Copy, upstream: str, side: Side, sides: Sides) -> Answered:
        is_live = self._shadow.effects == "live"
        body_bytes = min(sides.body_bytes, _enough(copy.control, sides.body_bytes))
        return await ask(copy, upstream, side, body_bytes, sides.deadline, is_live=is_live)

    async def _judged_with_effects(self, copy: Copy, candidate: Answered) -> tuple[Comparison, Observation]:
        try:
            control = await self._with_effects(copy, PRIMARY, copy.sent_at, copy.control)
            observation = await self._with_effects(copy, SHADOW, candidate.sent_at, candidate.observation)
        except EvidenceError:
            comparison = await self._compared(copy, copy.control, candidate.observation)
            return replace(comparison, verdict=Verdict.INCONCLUSIVE, reason="the tape cannot be read"), candidate[0]
        return await self._compared(copy, control, observation), observation

    async def _with_effects(self, copy: Copy, role: str, sent_at: float, seen: Observation) -> Observation:
        effects = await self._tape.effects_of(
            f"{copy.exchange_id:032x}", role, sent_at=sent_at, ended_at=sent_at + seen.seconds
        )
        return replace(seen, effects=effects)

    async def _compared(self, copy: Copy, control: Observation, candidate: Observation) -> Comparison:
        exchange = Exchange(
            id=f"{copy.exchange_id:032x}",
            route=copy.route,
            stage=self._stage,
            epoch=self._at[1],
            at=time.time(),
            writes_are_rolled_back=self._has_effects,
        )
        arguments = exchange, control, candidate, self._rules, self._values, self._noise.covers
        if len(control.body) + len(candidate.body) > THREAD_BYTES:
            comparison = await asyncio.to_thread(judged, *arguments)
        else:
            comparison = judged(*arguments)
        reason = _why_inconclusive(control, candidate)
        return replace(comparison, verdict=Verdict.INCONCLUSIVE, reason=reason) if reason else comparison


_QUIET = Noise()


def epoch_of(config: Config, route: Route) -> str:
    """Under which builds and rules a route's evidence is gathered now: any change begins it anew, and so does turning
    the sides round. The share that is copied may change."""
    sides = (route.to, LEGACY) if route.stage == "reverse" else (LEGACY, route.to)
    builds = {f"{role} {name}": config.upstreams[name].build for role, name in zip(ROLES, sides, strict=True)}
    return epoch({**builds, "effects": route.shadow.effects or "none"}, route.shadow.same, route.gate)


def _enough(control: Observation, most: int) -> int:
    """So many bytes of the other answer show that it is another one: what floods is cut before it costs anything."""
    is_encoded = any(name == b"content-encoding" for name, _ in control.headers)
    return most if is_encoded or control.error else SPARE_BYTES + (LONGER + 1) * len(control.body)


def _why_inconclusive(control: Observation, candidate: Observation) -> str:
    """What only the router can know; empty if there is nothing."""
    if candidate.error == "IdentityUnavailable":
        return "the identity exchange failed"
    has_new_cookies = any(name == b"set-cookie" for name, _ in control.headers)
    if candidate.status in (401, 403) and has_new_cookies:
        return "the answer to the caller changed the caller's cookies"
    return ""
