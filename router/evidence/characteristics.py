"""How often the verdict errs and how long it takes, by simulation: `python -m router.evidence.characteristics`.

It prints the table that the README shows and draws `characteristics.svg`. The tests use the same functions.
A run watches after every pair. Between two mismatches only the number of pairs grows, so for each number of mismatches
there is one number of pairs from which on the answer is `go`, and one up to which a mismatch makes it `no-go`: with
these worked out beforehand, a run only draws the gaps between mismatches.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

from . import paired
from .paired import Pairs
from .verdict import FEWEST_HITS, Limit, Rate, evidence_above, first_enough, more_needed

PAIRS = 6_000
RUNS = 4_000
TRUE_RATES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
TRUE_PAIRS = ((0.0, 0.0), (0.02, 0.0), (0.1, 0.0), (0.1, 0.05), (0.0, 0.1), (0.02, 0.1), (0.1, 0.1), (0.1, 0.2))
"""How often control's second answer alone differs, and by how much more often the candidate alone does."""
WALKS = {0.002: "#2a7", 0.01: "#888", 0.03: "#c33"}
"""The true rates of the runs that are drawn, and their colours."""
SVG = Path(__file__).with_name("characteristics.svg")

End = tuple[Literal["go", "no-go", "watching"], int]
"""How a run ended, and after how many pairs."""


@dataclass(frozen=True)
class Boundaries:
    """By number of mismatches k."""

    go_from: list[int]
    """With k mismatches the answer is `go` from so many pairs on."""
    no_go_until: list[int]
    """A k-th mismatch makes it `no-go` if it comes within so many pairs."""


def boundaries(limit: Limit, pairs: int = PAIRS) -> Boundaries:
    """Both lines, as far as `pairs` go."""
    go_from: list[int] = []
    no_go_until: list[int] = []
    hits, until = 0, 0
    while not go_from or go_from[-1] <= pairs or until < pairs:
        more = more_needed(Rate(hits, hits), limit).at_best
        go_from.append(hits + more if more is not None else pairs + 1)
        until = max(until, hits - 1)
        while hits >= FEWEST_HITS and until < pairs and _is_over(until + 1, hits, limit):
            until += 1
        no_go_until.append(until if hits >= FEWEST_HITS else 0)
        hits += 1
    return Boundaries(go_from, no_go_until)


def _is_over(seen: int, hits: int, limit: Limit) -> bool:
    return evidence_above(seen, hits, limit.rate, limit.prior) >= -math.log(limit.alpha_trip)


def run(rate: float, lines: Boundaries, draw: random.Random, pairs: int = PAIRS) -> End:
    """One route, watched after every pair until an answer or the end."""
    seen = hits = 0
    while True:
        gap = _pairs_until_a_hit(rate, draw)
        if lines.go_from[hits] <= min(seen + gap - 1, pairs):
            return "go", lines.go_from[hits]
        seen, hits = seen + gap, hits + 1
        if seen > pairs:
            return "watching", pairs
        if seen <= lines.no_go_until[hits]:
            return "no-go", seen


def _pairs_until_a_hit(rate: float, draw: random.Random) -> int:
    return PAIRS * 1_000 if rate == 0 else 1 + int(math.log(1 - draw.random()) / math.log1p(-rate))


@dataclass(frozen=True)
class Line:
    """What became of the runs with one true rate."""

    rate: float
    go: float
    no_go: float
    go_after: float | None
    """The median number of pairs."""
    no_go_after: float | None


def simulated(rate: float, limit: Limit, runs: int = RUNS, seed: int = 1, pairs: int = PAIRS) -> Line:
    """Many runs."""
    lines, draw = boundaries(limit, pairs), random.Random(f"{seed} {rate}")  # noqa: S311  (a simulation)
    return _line(rate, [run(rate, lines, draw, pairs) for _ in range(runs)])


def _line(rate: float, ends: list[End]) -> Line:
    runs = len(ends)
    gone, stopped = ([pair for word, pair in ends if word == wanted] for wanted in ("go", "no-go"))
    middle = [median(some) if some else None for some in (gone, stopped)]
    return Line(rate, len(gone) / runs, len(stopped) / runs, *middle)


def run_pairs(noise: float, worse: float, limit: Limit, draw: random.Random, pairs: int = PAIRS) -> End:
    """One route that is copied live, watched after every pair. Between two pairs in which one of both differs the
    evidence for `go` only grows, and that for `no-go` only falls."""
    now, either = Pairs(), 2 * noise + worse
    while True:
        gap = min(_pairs_until_a_hit(either, draw), pairs - now.seen + 1)
        before = replace(now, seen=now.seen + gap - 1)
        if paired.is_below(before, limit):
            return "go", now.seen + (first_enough(partial(_is_go, now, limit)) or 0)
        if before.seen >= pairs:
            return "watching", pairs
        now = paired.counted(before, 1 if draw.random() * either < noise + worse else -1, limit)
        if now.is_over:
            return "no-go", now.seen


def _is_go(pairs: Pairs, limit: Limit, more: int) -> bool:
    return paired.is_below(replace(pairs, seen=pairs.seen + more), limit)


def simulated_pairs(
    noise: float, worse: float, limit: Limit, runs: int = RUNS, seed: int = 1, pairs: int = PAIRS
) -> Line:
    """Many runs of it."""
    draw = random.Random(f"{seed} {noise} {worse}")  # noqa: S311  (a simulation)
    return _line(worse, [run_pairs(noise, worse, limit, draw, pairs) for _ in range(runs)])


def table(limit: Limit, runs: int = RUNS) -> str:
    """In Markdown."""
    rows = ["| true rate | `go` | after | `no-go` | after |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*rows, *(_row(simulated(rate, limit, runs)) for rate in TRUE_RATES)])


def table_of_pairs(
    limit: Limit, runs: int = 500, pairs: int = 3_000, truths: Sequence[tuple[float, float]] = TRUE_PAIRS
) -> str:
    """In Markdown."""
    rows = [
        "| control alone | candidate worse by | `go` | after | `no-go` | after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for noise, worse in truths:
        rows.append(f"| {noise:.0%} {_row(simulated_pairs(noise, worse, limit, runs, pairs=pairs))}")
    return "\n".join(rows)


def _row(line: Line) -> str:
    after = [f"{pairs:,.0f}" if pairs is not None else "" for pairs in (line.go_after, line.no_go_after)]
    return f"| {line.rate:.1%} | {line.go:.1%} | {after[0]} | {line.no_go:.1%} | {after[1]} |"


def drawing(limit: Limit, pairs: int = 2_000, hits: int = 44) -> str:
    """The two lines and what lies between them, with a few runs across."""
    lines = boundaries(limit, pairs)
    go = [(min(n, pairs), k) for k, n in enumerate(lines.go_from) if lines.go_from[max(k - 1, 0)] <= pairs]
    no_go = [(n, k) for k, n in enumerate(lines.no_go_until) if k >= FEWEST_HITS and k <= hits]
    return _svg(limit, pairs, hits, go, no_go)


def _svg(limit: Limit, pairs: int, hits: int, go: list[tuple[int, int]], no_go: list[tuple[int, int]]) -> str:
    def at(n: float, k: float) -> str:
        return f"{60 + 640 * n / pairs:.1f},{380 - 340 * k / hits:.1f}"

    def path(points: list[tuple[int, int]], corner: str) -> str:
        return " ".join([*(at(n, k) for n, k in points), corner])

    over = path([(0, FEWEST_HITS), *no_go], f"{at(no_go[-1][0], hits)} {at(0, hits)}")
    below = path(go, f"{at(pairs, 0)} {at(go[0][0], 0)}")
    marks = [
        f'<text x="{60 + 640 * n / pairs:.0f}" y="398" text-anchor="middle">{n:,}</text>' for n in range(0, 2001, 500)
    ]
    marks += [f'<text x="52" y="{384 - 340 * k / hits:.0f}" text-anchor="end">{k}</text>' for k in range(0, hits, 10)]
    marks += [_walk(rate, colour, pairs, hits, path) for rate, colour in WALKS.items()]
    legend = " ".join(f'<tspan fill="{colour}">{rate:.1%}</tspan>' for rate, colour in WALKS.items())
    title = f"Which answer the numbers give: limit {limit.rate:.0%}, α {limit.alpha:.0%}, α′ {limit.alpha_trip:.0%}"
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 430" font-family="sans-serif" font-size="12">',
            f"<title>{title}</title>",
            '<rect width="720" height="430" fill="#fff"/>',
            f'<polygon points="{over}" fill="#f6d5d5"/><polygon points="{below}" fill="#d5eedd"/>',
            '<path d="M60 40V380H700" fill="none" stroke="#333"/>',
            *marks,
            f'<text x="60" y="24" font-size="14">{title}</text>',
            '<text x="110" y="120" fill="#a22">no-go</text><text x="640" y="365" fill="#175">go</text>',
            '<text x="460" y="180" fill="#555">keep watching</text>',
            '<text x="380" y="420" text-anchor="middle">comparable pairs</text>',
            '<text transform="translate(18 210) rotate(-90)" text-anchor="middle">mismatches</text>',
            f'<text x="500" y="60">true rate: {legend}</text>',
            "</svg>\n",
        ]
    )


def _walk(rate: float, colour: str, pairs: int, hits: int, path: Callable[[list[tuple[int, int]], str], str]) -> str:
    """One run as it goes on, without an answer that stops it."""
    draw, steps, seen, count = random.Random(f"walk {rate}"), [(0, 0)], 0, 0  # noqa: S311
    while seen < pairs and count < hits:
        gap = min(_pairs_until_a_hit(rate, draw), pairs - seen)
        steps += [(seen + gap, count), (seen + gap, count + 1)]
        seen, count = seen + gap, count + 1
    return f'<polyline points="{path(steps[:-1], "")}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def main() -> None:
    """Print the table, and draw the picture next to this file."""
    limit = Limit(0.01)
    print(table(limit))
    print(table_of_pairs(Limit(0.05, alpha_trip=0.01 / 3)))
    SVG.write_text(drawing(limit), "utf-8")


if __name__ == "__main__":
    main()
