"""Writes passing traffic down as an HTTP Archive (HAR 1.2), without the values of headers that could be somebody's."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from .document import Json
from .spoiling import Asked, Got, between

MOST_EXCHANGES = 20_000
"""What comes after is passed on and not written down."""
MOST_BYTES = 1024 * 1024
"""Of a body; a longer one is left out."""
_SHOWN = (b"content-type", b"allow", b"cache-control", b"content-language", b"retry-after")


@contextmanager
def recorder(to: str, har: Path, port: int = 0, path: str = "/") -> Iterator[tuple[str, Callable[[], int]]]:
    """The address to call instead of `to`, and how many exchanges there are so far; the file is written at the end.

    Everything is passed on; what begins with `path` is written down: the body of a login form is a password.
    """
    entries: list[Json] = []
    lock = threading.Lock()

    def seen(asked: Asked, got: Got) -> None:
        with lock:
            if len(entries) < MOST_EXCHANGES and got.is_whole and asked.target.startswith(path):
                entries.append(_entry(to, asked, got))

    try:
        with between(to, seen=seen, port=port) as url:
            yield url, lambda: len(entries)
    finally:
        creator = {"name": "contract_tests record", "version": "1"}
        with lock:
            log = {"log": {"version": "1.2", "creator": creator, "entries": entries}}
        har.write_text(json.dumps(log), "utf-8")


def _entry(to: str, asked: Asked, got: Got) -> Json:
    request: Json = {
        "method": asked.method,
        "url": to.rstrip("/") + asked.target,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(asked.headers),
        "queryString": [{"name": k, "value": v} for k, v in parse_qsl(urlsplit(asked.target).query)],
        "headersSize": -1,
        "bodySize": len(asked.body),
    }
    if asked.body:
        request["postData"] = {"mimeType": _type(asked.headers), **_text(asked.body)}
    response = {
        "status": got.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(got.headers),
        "content": {"size": len(got.body), "mimeType": _type(got.headers), **_text(got.body)},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": len(got.body),
    }
    timings = {"send": -1, "wait": -1, "receive": -1}
    started = datetime.now(UTC).isoformat()
    return {
        "startedDateTime": started, "time": 0, "request": request, "response": response, "cache": {}, "timings": timings
    }  # fmt: skip


def _headers(headers: list[tuple[bytes, bytes]]) -> list[Json]:
    """Every name; the values of those alone that are nobody's."""
    return [
        {"name": name.decode("latin-1"), "value": value.decode("latin-1") if name.lower() in _SHOWN else ""}
        for name, value in headers
    ]


def _type(headers: list[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), "")


def _text(body: bytes) -> Json:
    if len(body) > MOST_BYTES:
        return {"text": "", "comment": "left out: too long"}
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}
