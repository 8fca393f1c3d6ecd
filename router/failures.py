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
    """Status, headers and body. Browsers, which accept `text/html`, get a page."""
    request_id = f"{exchange_id:032x}"
    if b"text/html" in accept:
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
