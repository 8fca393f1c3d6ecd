"""Spans as lines of JSON in one local file that all processes share: traces without a collector."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext

LARGEST_FILE_BYTES = 268_435_456
"""A file of this size takes no more spans: whoever forgets it shall not fill the disk."""

_log = logging.getLogger(__name__)


class TracesFile(SpanExporter):
    """Appends a line per finished span. Nothing is kept open, so the file may be moved or deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_complained = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        lines = "".join(json.dumps(as_json(span), default=str) + "\n" for span in spans).encode()
        try:
            _append(self._path, lines)
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                _log.warning("Spans are lost: TRACES_FILE %s: %s.", self._path, error.strerror or error)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def as_json(span: ReadableSpan) -> dict[str, Any]:
    """Ids in hexadecimal, times in nanoseconds since the epoch. A failure's words stay in the log: they may quote."""
    return {
        "service": span.resource.attributes.get("service.name"),
        "scope": span.instrumentation_scope.name if span.instrumentation_scope else "",
        "name": span.name,
        "kind": span.kind.name,
        **_ids(span.context),
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "start": span.start_time,
        "end": span.end_time,
        "status": span.status.status_code.name,
        "attributes": _plain(span.attributes or {}),
        "links": [_ids(link.context) for link in span.links],
    }


def _ids(context: SpanContext | None) -> dict[str, str]:
    context = context or INVALID_SPAN_CONTEXT
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in attributes.items()}


def _append(path: Path, lines: bytes) -> None:
    """One write at the file's end, which the kernel never mixes with that of another process (O_APPEND)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size > LARGEST_FILE_BYTES:
            raise OSError(f"it holds more than {LARGEST_FILE_BYTES} bytes; delete it to go on")
        os.write(descriptor, lines)
    finally:
        os.close(descriptor)
