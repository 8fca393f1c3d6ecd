"""Draws a survey: a bar per route, as long as the worker time it took, by what the time went into. SVG, no library."""

from __future__ import annotations

from html import escape

from .survey import Survey

PARTS = (("waiting", "#c2410c"), ("database", "#0369a1"), ("own", "#64748b"))
ROUTES = 12
WIDTH, LABELS, WORDS, ROW = 860, 300, 190, 26


def plot(found: Survey) -> str:
    """The text of an SVG file."""
    routes = found.routes[:ROUTES]
    longest = max((each.busy for each in routes), default=0.0) or 1.0
    scale = (WIDTH - LABELS - WORDS) / longest
    height = ROW * (len(routes) + 3)
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        (
            f'<text x="10" y="20" font-weight="bold">{escape(found.service)}: worker-seconds in {found.seconds:.0f} s'
            f" (the first {len(routes)} of {len(found.routes)} routes)</text>"
        ),
    ]
    for index, (part, colour) in enumerate(PARTS):
        x = LABELS + 110 * index
        out.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + 17}" y="43">{part}</text>')
    for row, each in enumerate(routes, 2):
        y = ROW * row + 6
        name = f"{each.method} {each.route}".strip()
        out.append(f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(name[-44:])}</text>')
        left = float(LABELS)
        for part, colour in PARTS:
            width = getattr(each, part) * scale
            out.append(f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>')
            left += width
        share = each.waiting / each.busy if each.busy else 0.0
        out.append(f'<text x="{left + 6:.1f}" y="{y + 14}">{each.busy:,.1f} s, {share:.0%} waiting</text>')
    return "\n".join([*out, "</svg>", ""])
