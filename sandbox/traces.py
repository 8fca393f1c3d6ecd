"""Shows a trace of the stack's traces.jsonl as a tree: who called whom, and how long each took."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from .plans import TRACES
from .wire import Json

FACTS = (
    "http.response.status_code",
    "strangler.stage",
    "strangler.upstream",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.time_to_first_chunk",
    "error.type",
    "strangler.caller_left",
)
"""The attributes that are shown."""


def shown(data: Path, trace_id: str, console: Console) -> int:
    """The exit status: 1 if there is no such trace."""
    try:
        spans = trace(data / TRACES, trace_id)
    except (ValueError, KeyError):
        console.print(f"{data / TRACES} was not written by a stack: name its folder with --data.")
        return 1
    if not spans:
        console.print(f"{data / TRACES} holds no such trace. Start the stack, send a request, look again.")
        return 1
    console.print(f"trace {spans[0]['trace_id']}")
    for tree in trees(spans):
        console.print(tree)
    return 0


def trace(file: Path, trace_id: str = "") -> list[Json]:
    """The spans of the trace whose id begins so, or of the one that ended last, in the order of their start."""
    spans = [span for span in _spans(file) if span["trace_id"].startswith(trace_id)]
    if not spans:
        return []
    latest = max(spans, key=lambda span: span["end"])["trace_id"]
    return sorted((span for span in spans if span["trace_id"] == latest), key=lambda span: span["start"])


def trees(spans: list[Json]) -> list[Tree]:
    """Usually one; a span whose parent was not written stands at the top too."""
    branches = {span["span_id"]: Tree(_line(span)) for span in spans}
    for span in spans:
        if span["parent_id"] in branches:
            branches[span["parent_id"]].add(branches[span["span_id"]])
    return [branches[span["span_id"]] for span in spans if span["parent_id"] not in branches]


def _spans(file: Path) -> Iterator[Json]:
    if file.exists():
        with file.open() as lines:
            for line in lines:
                yield json.loads(line)


def _line(span: Json) -> str:
    milliseconds = (span["end"] - span["start"]) / 1e6
    facts = [
        f"{name.rpartition('.')[2]}={_short(span['attributes'][name])}" for name in FACTS if name in span["attributes"]
    ]
    colour = "red" if span["status"] == "ERROR" else "bold" if span["kind"] == "SERVER" else "default"
    words = f"[{colour}]{escape(span['service'])} {span['kind']} {escape(span['name'])}[/] {milliseconds:.1f} ms"
    return f"{words} [dim]{escape(' '.join(facts))}[/]"


def _short(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value
