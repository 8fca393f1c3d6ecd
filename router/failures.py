"""When an upstream fails: whether legacy may answer instead, and what a caller is told if not."""

from __future__ import annotations

import html
import json
from http import HTTPStatus

from .config import Route
from .errors import ExchangeError, NotSent, UpstreamError

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{status} {phrase}</title>
<body style="font-family: system-ui; margin: 4rem auto; max-width: 34rem; padding: 0 1rem">
<h1>{status} {phrase}</h1><p>{sentence}</p><p><small>Request {request_id}</small></p></body></html>
"""


def may_fall_back(route: Route, error: UpstreamError, *, is_safe: bool) -> bool:
    """Whether legacy may be asked what the extracted upstream failed to answer, before the answer has begun.

    Only if it was sent nothing, or if asking again does no harm (`is_safe`: a safe method, and its body is in hand):
    a request that may have been executed is never executed twice.
    """
    return route.fallback and (is_safe or isinstance(error, NotSent))


def failure_answer(
    error: ExchangeError, exchange_id: int, accept: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body: a page for those who would rather have one, as browsers would, else JSON."""
    request_id = f"{exchange_id:032x}"
    if prefers_page(accept):
        phrase = HTTPStatus(error.status).phrase
        page = _PAGE.format(
            status=error.status, phrase=phrase, sentence=html.escape(error.sentence), request_id=request_id
        )
        kind, body = b"text/html; charset=utf-8", page.encode()
    else:
        fields = {"detail": error.sentence, "code": error.code, "request_id": request_id}
        kind, body = b"application/json", json.dumps(fields).encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    return error.status, headers, body


def prefers_page(accept: bytes) -> bool:
    """Whether an Accept names `text/html`, and with no smaller weight than JSON (RFC 9110 §12.5.1)."""
    page = _weight(accept, b"text/html")
    return page > 0 and page >= _weight(accept, b"application/json")


def _weight(accept: bytes, wanted: bytes) -> float:
    for option in accept.lower().split(b","):
        kind, *parameters = (part.strip() for part in option.split(b";"))
        if kind == wanted:
            weights = [each[2:] for each in parameters if each.startswith(b"q=")]
            try:
                return float(weights[0]) if weights else 1.0
            except ValueError:
                return 0.0
    return 0.0
