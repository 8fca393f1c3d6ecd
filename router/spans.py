"""Reads spans that others wrote: the local file's lines, or OTLP as JSON, one document or one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SpansError

Json = Mapping[str, Any]

_OTLP_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span. Times in seconds since 1970; ids as the file spells them, empty where there is none."""

    service: str
    name: str
    kind: str
    """As OpenTelemetry's SDKs call it: `SERVER`, `CLIENT`, `INTERNAL`, …"""
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read_spans(text: str, source: str) -> list[Span]:
    """All spans of a file's text. Raises SpansError, with the line, where it is neither of the two forms."""
    try:
        return _found(json.loads(text), source)
    except json.JSONDecodeError:
        pass  # not one document, then one a line
    found: list[Span] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{source}, line {number}"
        try:
            found += _found(json.loads(line), place)
        except json.JSONDecodeError as error:
            raise SpansError(f"{place}: {_WANTED} ({error})") from None
    return found


def _found(document: Any, place: str) -> list[Span]:
    try:
        return list(_spans(document))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise SpansError(f"{place}: {_WANTED}") from None


_WANTED = "this is no span: give a file that TRACES_FILE wrote, or OTLP's JSON (resourceSpans)"


def _spans(document: Any) -> Iterator[Span]:
    if isinstance(document, list):
        for each in document:
            yield from _spans(each)
    elif "resourceSpans" in document:
        yield from _otlp(document)
    else:
        yield Span(
            document.get("service") or "",
            document["name"],
            document["kind"],
            document["trace_id"],
            document["span_id"],
            document.get("parent_id") or "",
            document["start"] / 1e9,
            document["end"] / 1e9,
            document.get("attributes") or {},
        )


def _otlp(document: Json) -> Iterator[Span]:
    """https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: 64-bit numbers are strings there."""
    for resource in document["resourceSpans"]:
        service = str(_attributes(resource.get("resource", {})).get("service.name", ""))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                kind = span.get("kind", 0)
                yield Span(
                    service,
                    span.get("name", ""),
                    _OTLP_KINDS[kind] if isinstance(kind, int) else str(kind).removeprefix("SPAN_KIND_"),
                    span["traceId"],
                    span["spanId"],
                    span.get("parentSpanId", ""),
                    int(span["startTimeUnixNano"]) / 1e9,
                    int(span["endTimeUnixNano"]) / 1e9,
                    _attributes(span),
                )


def _attributes(of: Json) -> dict[str, Any]:
    return {each["key"]: next(iter(each.get("value", {}).values()), None) for each in of.get("attributes", ())}
