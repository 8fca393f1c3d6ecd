"""A page with a bar for each value, to be photographed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = """
main { font: 15px system-ui, sans-serif; width: 760px; padding: 16px; color: #1e293b; background: white }
h1 { font-size: 15px; margin: 0 0 10px }
div { display: grid; grid-template-columns: 220px 1fr; align-items: center; gap: 10px; margin: 6px 0 }
i { display: inline-block; height: 18px; background: #1f6f5f; margin-right: 8px; vertical-align: middle }
"""
LONGEST = 75
"""Percent of the room beside the labels; the rest is for the number."""


def page_of_bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """The longest bar has all the room; every other one its share of it."""
    most = max(value for _, value in rows)
    bars = "".join(_bar(label, value, max(0.5, value / most * LONGEST)) for label, value in rows)
    return f"<style>{STYLE}</style><main><h1>{escape(title)}</h1>{bars}</main>"


def _bar(label: str, value: float, percent: float) -> str:
    return f'<div>{escape(label)}<span><i style="width:{percent:.1f}%"></i>{value:,.0f}</span></div>'
