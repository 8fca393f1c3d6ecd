"""Horizontal bars as SVG, by hand: a title, a line for each value, and what the value is in words."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT, TOP, LINE = 760, 250, 190, 44, 26
STYLE = "text{font:13px sans-serif;fill:#24292f}.title{font-weight:600}.bar{fill:#8c959f}.own{fill:#0969da}"
DARK = "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6e7681}.own{fill:#4493f8}}"


class Bar(NamedTuple):
    label: str
    value: float
    words: str
    is_own: bool = False
    """Ours: it has another colour."""


def bars(title: str, rows: Iterable[Bar]) -> str:
    """The longest bar has all the room; the others their share of it."""
    rows = list(rows)
    most = max((row.value for row in rows), default=0.0) or 1.0
    height = TOP + LINE * len(rows) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}{DARK}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = TOP + LINE * number
        width = max(1.0, row.value / most * (WIDTH - LEFT - RIGHT))
        kind = "bar own" if row.is_own else "bar"
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(row.label)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="18"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{y + 14}">{escape(row.words)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
