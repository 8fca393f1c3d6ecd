"""What a caller is told when the router itself has to answer: a small page or a small JSON object."""

from __future__ import annotations

import html
import json
from http import HTTPStatus

from .errors import ExchangeError

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{status} {phrase}</title>
<body style="font-family: system-ui; margin: 4rem auto; max-width: 34rem; padding: 0 1rem">
<h1>{status} {phrase}</h1><p>{sentence}</p><p><small>Request {request_id}</small></p></body></html>
"""


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
