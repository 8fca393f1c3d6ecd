"""The report as a page: one file, no script, nothing fetched; the plots are drawn here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape

from .evidence.clusters import Cluster
from .evidence.digests import in_clear
from .evidence.gates import RATES, Word, bounds, in_between, in_short
from .evidence.paired import Pairs
from .evidence.verdict import Limit, Rate
from .report import RouteReport

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1e293b }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-top: 1px solid #cbd5e1; padding-top: 1rem }
table { border-collapse: collapse; margin: .5rem 0 } td, th { text-align: left; padding: .2rem .8rem .2rem 0 }
td.number { text-align: right } code.values { overflow-wrap: anywhere; color: #64748b }
code { font-size: .9em } .quiet { color: #64748b }
.go { color: #15803d } .no-go { color: #b91c1c } .keep { color: #b45309 } strong { font-weight: 600 }
"""
CLASSES = {Word.GO: "go", Word.NO_GO: "no-go", Word.KEEP_WATCHING: "keep"}
WIDTH, HEIGHT = 580, 34
LEFT, WORDS = 20, 280  # the room before a scale, and behind it


def page(found: Sequence[RouteReport], now: float) -> str:
    """The text of an HTML file. `now` in seconds since 1970."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>What the evidence says</title>',
            f"<style>{STYLE}</style></head><body><h1>What the evidence says</h1>",
            f'<p class="quiet">Written at {_time(now)}. The verdicts hold however often one looks.</p>',
            *_overview(found),
            *(line for each in found for line in _route(each)),
            "</body></html>",
            "",
        ]
    )


def _overview(found: Sequence[RouteReport]) -> Iterator[str]:
    yield "<table><tr><th>route</th><th>at</th><th>compared</th><th>verdict</th></tr>"
    for each in found:
        yield (
            f'<tr><td><a href="#{escape(each.route.name)}">{escape(each.route.name)}</a></td>'
            f'<td>{escape(str(each.place))}</td><td class="number">{each.evidence.comparisons}</td>'
            f"<td>{_verdict(each)}</td></tr>"
        )
    yield "</table>"


def _verdict(found: RouteReport) -> str:
    if not (found.is_copied or found.evidence.comparisons):
        return '<span class="quiet">not copied</span>'
    return f'<strong class="{CLASSES[found.verdict.word]}">{escape(str(found.verdict))}</strong>'


def _route(found: RouteReport) -> Iterator[str]:
    name, evidence = escape(found.route.name), found.evidence
    yield f'<h2 id="{name}">{name}</h2>'
    yield f"<p>{escape(found.route.path)}, at {escape(str(found.place))}: {_verdict(found)}</p>"
    if found.is_silent:
        yield '<p class="no-go">Copies should be made, and not one was compared yet under these builds and rules.</p>'
    if evidence.comparisons:
        between = f"{_time(evidence.first_at)} and {_time(evidence.last_at)}"
        yield f"<p>{evidence.comparisons} comparisons between {between}; {evidence.inconclusive} say nothing.</p>"
        limits = found.route.gate.limits()
        yield "<table>"
        for rate_name in RATES:
            rate, limit = evidence.rates[rate_name], limits[rate_name]
            yield (
                f"<tr><td>{rate_name}</td><td class='number'>{in_short(rate)}</td>"
                f"<td>{_interval(rate, limit)}</td></tr>"
            )
        yield "</table>"
    if found.times:
        yield "<table><tr><th>of the latest, in ms</th><th>control: median</th><th>95th percentile</th>"
        yield "<th>candidate: median</th><th>95th percentile</th></tr>"
        for each in found.times:
            both = (each.control, each.control_p95, each.candidate, each.candidate_p95)
            cells = "".join(f"<td class='number'>{seconds * 1000:,.1f}</td>" for seconds in both)
            yield f"<tr><td>{escape(each.what)}</td>{cells}</tr>"
        yield "</table>"
    if found.copies:
        told = "; ".join(f"{count} {what}" for what, count in found.copies.items())
        yield f'<p class="quiet">Copies: {escape(told)}</p>'
    if found.clusters:
        yield "<table><tr><th>differs in</th><th>how</th><th>times</th><th>first</th><th>last</th>"
        yield "<th>for example</th></tr>"
        for cluster in found.clusters:
            yield (
                f"<tr><td><code>{escape(cluster.place)}</code>{_values(cluster)}</td>"
                f"<td>{escape(str(cluster.kind))}</td><td class='number'>{cluster.count}</td>"
                f"<td>{_time(cluster.first_at)}</td><td>{_time(cluster.last_at)}</td>"
                f"<td><code>{escape(cluster.exemplars[0])}</code></td></tr>"
            )
        yield "</table>"
    for reason, count in sorted(found.inconclusive.items()):
        yield f'<p class="quiet">{count} of the latest said nothing: {escape(reason)}</p>'
    if found.moves:
        yield "<table><tr><th>moved</th><th>by</th><th>from</th><th>to</th><th>why</th></tr>"
        for move in found.moves:
            why = f"{'by force: ' if move.forced else ''}{move.reason}"
            words = (_time(move.at), move.who, move.before, move.after, why)
            yield f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in words)}</tr>"
        yield "</table>"


def _values(cluster: Cluster) -> str:
    """What is kept of them in clear."""
    control, candidate = in_clear(cluster.control), in_clear(cluster.candidate)
    if not (control or candidate):
        return ""
    return f"<br><code class='values'>{escape(control or 'nothing')} → {escape(candidate or 'nothing')}</code>"


def _interval(rate: Rate | Pairs, limit: Limit) -> str:
    """Where the rate lies, against what is allowed (the line). The scale ends at four times that."""
    lower, upper = bounds(rate, limit)
    most = min(1.0, 4 * limit.rate)

    def at(share: float) -> float:
        return LEFT + (WIDTH - LEFT - WORDS) * max(0.0, min(share, most)) / most

    colour = "#b91c1c" if lower > limit.rate else "#15803d" if upper < limit.rate else "#b45309"
    left, right = sorted((at(lower), at(upper)))  # turned round where the rate has changed
    beyond = " →" if upper > most else ""
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" font-size="11">'
        f'<line x1="{at(0):.1f}" x2="{at(most):.1f}" y1="17" y2="17" stroke="#cbd5e1"/>'
        f'<rect x="{left:.1f}" y="12" width="{max(2.0, right - left):.1f}" height="10" fill="{colour}"/>'
        f'<line x1="{at(limit.rate):.1f}" x2="{at(limit.rate):.1f}" y1="4" y2="30" stroke="#0f172a"/>'
        f'<text x="{at(most) + 6:.1f}" y="21">{in_between(rate, limit)}{beyond}</text></svg>'
    )


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
