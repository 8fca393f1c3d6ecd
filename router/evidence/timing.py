"""When an answer came: a side's own time, its first token, its longest gap, and whether it was held back."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from .event_streams import events
from .observations import Effect, Observation

FEWEST_ARRIVALS = 3
"""Fewer show no pace."""
STREAMED_SECONDS = 0.2
"""An answer that took so long from its tenth to its ninetieth part was streamed: far above what scheduling does."""
BURST_SHARE = 0.1
"""An answer that took less than this share of control's time for the same came in one burst."""
PACED_SHARE = 0.5
"""If the candidate's calls took less than this share of control's, they were not answered at the recorded pace."""

MOST_BYTES = 262_144
"""A longer answer may have been slowed down by its caller, which says nothing of who sent it."""


def own_seconds(observation: Observation) -> float:
    """The answer's time without that of the outgoing calls: their union where it is known when they began, else their
    sum, as one after another."""
    known = sorted(
        (effect.began_seconds, effect.began_seconds + effect.seconds)
        for effect in observation.effects
        if effect.began_seconds is not None
    )
    waited = sum(effect.seconds for effect in observation.effects if effect.began_seconds is None)
    reached = 0.0
    for begin, end in known:
        waited += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return max(0.0, observation.seconds - waited)


def first_seconds(observation: Observation) -> float | None:
    """Until the first event of a stream, or the first byte of another body. None: nothing came."""
    came = arrivals(observation)
    return came[0] if came else None


def longest_gap_seconds(observation: Observation) -> float | None:
    """Between two events of a stream, or two pieces of another body. None: nothing came, or all in one."""
    return max((later - earlier for earlier, later in pairwise(arrivals(observation))), default=None)


def arrivals(observation: Observation) -> list[float]:
    """When each event of a stream was complete. Of a body that is none, or is encoded: when each piece came."""
    pieces = [piece for piece in observation.pieces if piece.end > 0]
    if not pieces:
        return []
    headers = dict(observation.headers)
    if not headers.get(b"content-type", b"").lower().startswith(b"text/event-stream") or b"content-encoding" in headers:
        return [piece.seconds for piece in pieces]
    ends = [piece.end for piece in pieces]
    places = (bisect_left(ends, event.end) for event in events(observation.body))
    return [pieces[place].seconds for place in places if place < len(pieces)]


def is_buffered(control: Observation, candidate: Observation) -> bool:
    """Whether the candidate delivers in one burst what the control streamed.

    Measured from the tenth to the ninetieth part of what arrived, so that an early first line, a ping or a late end
    changes nothing. Control must clearly have streamed, on its own or because its calls did; and the candidate must
    have been given the chance: a tape that is replayed at once makes a burst of every stream.
    """
    ours, theirs = arrivals(control), arrivals(candidate)
    if len(ours) < FEWEST_ARRIVALS or not theirs or _spread(ours) < STREAMED_SECONDS:
        return False
    if len(control.body) > MOST_BYTES:
        return False
    given, had = _seconds(candidate.effects), _seconds(control.effects)
    return given >= PACED_SHARE * had and _spread(theirs) < BURST_SHARE * _spread(ours)


def _spread(times: list[float]) -> float:
    last = len(times) - 1
    return times[round(0.9 * last)] - times[round(0.1 * last)]


def _seconds(effects: tuple[Effect, ...]) -> float:
    return sum(effect.seconds for effect in effects)
