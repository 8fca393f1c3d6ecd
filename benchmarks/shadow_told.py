"""What the shadow benchmark says of its runs: how much longer callers waited with copies, and how sure that is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

ALLOWED_RATIO = 1.05
ALLOWED_GROWTH_MIB = 96
"""Of the router and its shadow process together: recordings and answers at their limits, and the evidence's library."""
DRAWS = 1000
SURE = (0.025, 0.975)

Pair = tuple[list[float], list[float]]
"""A run without copies and one with them: what each request took, in milliseconds."""


@dataclass(frozen=True)
class Pairs:
    """All runs with one behaviour of the candidate."""

    behaviour: str
    runs: Sequence[Pair]
    failed: int = 0
    """Requests without a right answer."""

    def took(self, share: float) -> tuple[float, float]:
        """Without and with copies: so large a share of all requests took no longer. A run alone has too few of them
        for a 99th percentile that means something."""
        return _took(self.runs, share)

    @property
    def ratio(self) -> float:
        return _ratio(self.runs)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """In it the ratio is, to 95 %: pairs are drawn anew from those that there are (bootstrap). Requests of one run
        are no strangers to each other, so whole runs are drawn."""
        draw = random.Random(1)  # noqa: S311  (chance, no secret)
        found = sorted(_ratio(draw.choices(self.runs, k=len(self.runs))) for _ in range(DRAWS))
        return found[int(SURE[0] * DRAWS)], found[int(SURE[1] * DRAWS)]

    def figures(self) -> dict[str, Any]:
        """What is written down."""
        return {
            "behaviour": self.behaviour,
            **{name: dict(zip(("without", "with"), self.took(share), strict=True)) for name, share in _SHARES.items()},
            "ratio": self.ratio,
            "interval": self.interval,
            "requests": sum(map(len, chain(*self.runs))),
            "failed": self.failed,
        }


_SHARES = {"p50_ms": 0.5, "p99_ms": 0.99}


def _took(runs: Sequence[Pair], share: float) -> tuple[float, float]:
    of_all = [sorted(chain(*several)) for several in zip(*runs, strict=True)]
    without, with_copies = (took[int(len(took) * share)] for took in of_all)
    return without, with_copies


def _ratio(runs: Sequence[Pair]) -> float:
    without, with_copies = _took(runs, 0.99)
    return with_copies / without


def table(found: dict[str, Any]) -> str:
    lines = [f"{'candidate':12}{'p50 without':>13}{'with':>8}{'p99 without':>13}{'with':>8}{'ratio':>8}  to 95 %"]
    lines += [_line(pairs) for pairs in found["pairs"]]
    return "\n".join([*lines, f"copies: {found['copies']}"])


def _line(pairs: Pairs) -> str:
    (one, two), (three, four) = (pairs.took(share) for share in _SHARES.values())
    least, most = pairs.interval
    times = f"{one:>10.2f} ms{two:>8.2f}{three:>10.2f} ms{four:>8.2f}{pairs.ratio:>8.3f}"
    return f"{pairs.behaviour:12}{times}  {least:.3f}–{most:.3f}"


def judge(found: dict[str, Any], allowed_ratio: float) -> Iterator[tuple[str, bool]]:
    """What was to be shown, and whether it is. A ratio that is within the limit only perhaps is missed too."""
    for pairs in found["pairs"]:
        least, most = pairs.interval
        held = most <= allowed_ratio
        words = f"{pairs.ratio:.3f} times as long ({least:.3f}–{most:.3f}), at most {allowed_ratio:g}"
        yield _said(f"candidate {pairs.behaviour}: with copies callers' p99 is {words}", held)
        if pairs.failed:
            yield _said(f"candidate {pairs.behaviour}: {pairs.failed} callers had no right answer", False)
    growth = found["mib_peak"] - found["mib_before"]
    words = f"router and shadow process take {found['mib_before']:.0f} MiB and {growth:.0f} more"
    yield _said(f"{words}, at most {ALLOWED_GROWTH_MIB}", growth <= ALLOWED_GROWTH_MIB)
    before, after = found["descriptors_before"], found["descriptors_after"]
    yield _said(f"of {before} descriptors {after} are left", after <= before)


def _said(what: str, held: bool) -> tuple[str, bool]:
    return f"{what}: {'held' if held else 'MISSED'}", held
