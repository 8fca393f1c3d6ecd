"""How far a route moves next: pure functions of where it stands, for `advance` and `rollback`.

A route walks through the stages in their order. In stage split it stays for a while: each step gives the extracted
upstream more of the callers, from 1 % on, about twice as many each time.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from .config import Route, Stage
from .problems import did_you_mean, in_words

STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order in which a route walks through them."""
PERCENTS = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)
"""The steps within stage split."""


class Place(NamedTuple):
    """Where a route stands, or is to stand."""

    stage: Stage
    percent: float | None = None
    """In stage split: the share of the callers that the extracted upstream answers."""

    def __str__(self) -> str:
        return self.stage if self.percent is None else f"{self.stage} {self.percent:g} %"


BACK = Place("legacy")
"""Where a route goes that is rolled back, from wherever it stands."""


def place_of(route: Route) -> Place:
    return _place(route.stage, route.split.percent)


def next_place(now: Place) -> Place | None:
    """One step on; None at the end of the walk."""
    more = [percent for percent in PERCENTS if now.percent is not None and percent > now.percent]
    if more:
        return Place(now.stage, more[0])
    later = STAGES[STAGES.index(now.stage) + 1 :]
    return _place(later[0], PERCENTS[0]) if later else None


def named_place(now: Place, to: str | None, percent: float | None) -> Place | None:
    """Where the operator's words lead to; one step on if they say nothing. Raises ValueError with a sentence."""
    if to is None and percent is None:
        return next_place(now)
    stage = next((stage for stage in STAGES if stage == (to or "split")), None)
    if stage is None:
        raise ValueError(f'"{to}" is no stage.{did_you_mean(str(to), STAGES)} Stages are: {in_words(STAGES)}')
    if stage != "split" and percent is not None:
        raise ValueError(f"only stage split has a percentage: leave out --percent, or --to {stage}")
    if percent is not None and not (0 <= percent <= 100 and round(percent, 2) == percent):
        raise ValueError(f"{percent:g} is no percentage: say 0 to 100, with two decimals at most")
    return _place(stage, PERCENTS[0] if percent is None else percent)


def is_forward(now: Place, then: Place) -> bool:
    """Whether the extracted upstream gets more to do."""
    return (STAGES.index(then.stage), then.percent or 0) > (STAGES.index(now.stage), now.percent or 0)


def _place(stage: Stage, percent: float) -> Place:
    return Place(stage, percent if stage == "split" else None)
