"""What control does not even answer alike to itself, and what a second round says.

Only of reads: nothing else may be asked twice. Of some reads control is asked twice anyway, and places where it differs
from itself are learned. A mismatch of a read is asked again on both sides before it counts: what was read may have
changed between the answer and the copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .clusters import template
from .observations import Comparison, Difference, Kind, Verdict

FEWEST_SEEN = 2
"""Once may have been a change of what was read."""
SMALLEST_SHARE = 0.01
"""Of the exchanges in which control was asked twice; a place that differs less often is no noise."""
MOST_PLACES = 1_000

At = tuple[str, Kind]
"""A place with `*` for what varies, and how it differs there: a value that changes all the time may still not be
missing."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Where control differs from itself, with counts. It belongs to an epoch, as all evidence does."""

    asked: int = 0
    """Exchanges in which control was asked twice."""
    seen: Mapping[At, int] = field(default_factory=dict)

    def covers(self, difference: Difference) -> bool:
        """Whether such a difference does not count."""
        count = self.seen.get(_at(difference), 0)
        return count >= FEWEST_SEEN and count >= SMALLEST_SHARE * self.asked


def learned(noise: Noise, of_control: Iterable[Difference]) -> Noise:
    """The noise, after control was asked twice once more and differed from itself so."""
    seen = dict(noise.seen)
    for at in _places(of_control):
        if at in seen or len(seen) < MOST_PLACES:
            seen[at] = seen.get(at, 0) + 1
    return Noise(noise.asked + 1, seen)


def decided(first: Comparison, of_control: Iterable[Difference], second: Comparison) -> Comparison:
    """What is kept of a mismatch after both sides were asked again: `of_control` is how control's two answers differ.

    A mismatch is one that comes twice, at places where control agrees with itself. It need not be at the same places:
    a candidate that is wrong somewhere else each time is wrong.
    """
    unsteady = _places(of_control)
    again = tuple(one for one in second.differences if _at(one) not in unsteady)
    steady = tuple(one for one in first.differences if _at(one) not in unsteady)
    if second.verdict is Verdict.INCONCLUSIVE:
        return replace(first, verdict=Verdict.INCONCLUSIVE, reason=second.reason)
    if again and steady:
        return replace(first, differences=again)
    reason = "control differs from itself" if unsteady else "asked again, the two sides agree"
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=f"the state moved: {reason}")


def _places(differences: Iterable[Difference]) -> set[At]:
    return {_at(difference) for difference in differences}


def _at(difference: Difference) -> At:
    return template(difference.place), difference.kind
