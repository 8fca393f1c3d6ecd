"""From a copy to a comparison: both answers with their effects, and of reads a second opinion."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import NamedTuple

from ..config import LEGACY, Config, Route
from ..errors import EvidenceError
from ..evidence.bodies import header
from ..evidence.compare import LONGER, compare
from ..evidence.digests import REDACTED, Values
from ..evidence.judge import SHADOW_WRITES, Exchange, has_failed, judged, paired, untold
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


_log = logging.getLogger(__name__)


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
        away_at: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`away_at` says when the database last took nothing, in seconds since 1970."""
        self._shadow = route.shadow
        self._same = self._holding = route.shadow.same
        self._day = date.min
        self._stage = route.stage
        self._at = (route.name, epoch_of(config, route))
        self._tape = tape
        self._noises = noises
        self._values = Values(key, config.evidence.values, (*REDACTED, *config.evidence.redact))
        self._is_live = route.shadow.effects == "live"
        self._has_effects = self._is_live or route.shadow.effects == "tape"
        self._may_ask_control = True
        """Until it answers a copy without saying that it took back what it wrote."""
        self._draw = draw
        self._away_at = away_at

    @property
    def _rules(self) -> Rules:
        """Those that hold today: after its last day a rule excuses nothing."""
        today = datetime.now(UTC).date()
        if today != self._day:
            self._day, self._holding = today, self._same.holding(today)
        return self._holding

    async def judged(self, copy: Copy, sides: Sides) -> tuple[Comparison, Observation]:
        """Send the copy and judge what comes back. Of a read, control is asked twice now and then, to learn where it
        differs from itself; and a mismatch is asked for again on both sides before it counts. With real calls control's
        second answer is what the candidate's is held against.
        """
        if self._has_effects:
            return await self._judged_with_effects(copy, sides)
        candidate = await self._asked(copy, copy.candidate, sides)
        comparison = await self._compared(copy, copy.control, candidate.observation)
        is_twice = self._is_twice()
        if is_twice or comparison.verdict is Verdict.MISMATCH:
            again = (await self._asked(copy, copy.control.upstream, sides)).observation
            of_control = compare(copy.control, again, self._rules)
            if is_twice and not again.error:
                self._noises[self._at] = learned(self._noise, of_control)
            if comparison.verdict is Verdict.MISMATCH:
                second = (await self._asked(copy, copy.candidate, sides)).observation
                comparison = decided(comparison, of_control, await self._compared(copy, again, second))
        return comparison, candidate.observation

    def _is_twice(self) -> bool:
        return self._draw() * 100 < self._shadow.twice

    @property
    def _noise(self) -> Noise:
        return self._noises.get(self._at, _QUIET)

    async def _asked(self, copy: Copy, upstream: str, sides: Sides) -> Answered:
        side = sides.candidate if upstream == copy.candidate else sides.control
        body_bytes = min(sides.body_bytes, _enough(copy.control, sides.body_bytes))
        return await ask(copy, upstream, side, body_bytes, sides.deadline, is_live=self._is_live)

    async def _judged_with_effects(self, copy: Copy, sides: Sides) -> tuple[Comparison, Observation]:
        """One after the other, so that it is known whose the calls are; chance says who goes first."""
        names = [copy.candidate]
        is_twice = self._is_live and self._may_ask_control and not has_failed(copy.control) and self._is_twice()
        if is_twice:
            names.insert(self._draw() < 0.5, copy.control.upstream)
        answers: dict[str, Observation] = {}
        is_told, calls = True, 0
        for name in names:
            observation, sent_at = await self._asked(copy, name, sides)
            try:
                observation = await self._with_effects(copy, SHADOW, sent_at, observation, calls)
            except EvidenceError:
                is_told = False
            answers[name] = observation
            calls += len(observation.effects)
        control, candidate = copy.control, answers[copy.candidate]
        try:
            control = await self._with_effects(copy, PRIMARY, copy.sent_at, control)
        except EvidenceError:
            is_told = False
        comparison = await self._compared(copy, control, candidate)
        was_away = max(self._away_at(), self._tape.away_at) >= copy.sent_at
        if not is_told or (was_away and comparison.verdict is Verdict.MISMATCH):
            # A side that the tape did not answer fails, and its calls may still have to be written.
            comparison = untold(comparison, "the tape cannot be read")
        elif is_twice:
            again = answers[copy.control.upstream]
            if again.status < 400 and not again.error and not header(again, SHADOW_WRITES):
                self._may_ask_control = False
                _log.warning("%s does not say X-Shadow-Writes: it is not asked twice any more", again.upstream)
            comparison = paired(comparison, await self._compared(copy, control, again))
        return comparison, candidate

    async def _with_effects(
        self, copy: Copy, role: str, sent_at: float, seen: Observation, after: int = 0
    ) -> Observation:
        """With its calls: those after the first `after` of its role."""
        effects = await self._tape.effects_of(
            f"{copy.exchange_id:032x}", role, sent_at=sent_at, ended_at=sent_at + seen.seconds
        )
        return replace(seen, effects=effects[after:])

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
        if candidate.error == "IdentityUnavailable":
            return untold(comparison, "the identity exchange failed")
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
    has_new_cookies = any(name == b"set-cookie" for name, _ in control.headers)
    if candidate.status in (401, 403) and has_new_cookies:
        return "the answer to the caller changed the caller's cookies"
    return ""
