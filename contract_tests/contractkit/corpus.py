"""Requests that every operation gets, because HTTP allows them and frameworks disagree about them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .document import Operation
from .targets import Request

JSON_BODY = (("Content-Type", "application/json"),)
NESTED = 100_000
DIGITS = 5000
_CHANGES = ("POST", "PUT", "PATCH")


def corpus(operation: Operation, target: str, body: Any, limit: int = 2_621_440) -> Iterator[tuple[str, Request]]:
    """The name of each case, and the request. `target` and `body` are those of a good request; bodies have a limit."""
    yield from _targets(operation, target)
    yield from _headers(operation, target, body)
    if operation.method in _CHANGES:
        yield from _bodies(operation, target, body or {}, limit)


def _targets(operation: Operation, target: str) -> Iterator[tuple[str, Request]]:
    path, question, query = target.partition("?")
    last = path.rpartition("/")[2]
    targets = {
        "a slash more": f"{path}/{question}{query}",
        "a slash twice": path.replace("/", "//", 1) + question + query,
        "an encoded slash": f"{path.rpartition('/')[0]}%2F{last}{question}{query}",
        "an encoded line end": f"{path}%0A{question}{query}",
        "an encoded NUL": f"{path}%00{question}{query}",
        "an encoded letter": f"{path[:-1]}%{ord(path[-1]):02X}{question}{query}",
        "latin-1 in the path": f"{path}%E9{question}{query}",
        "a dot segment": f"/api/../{path.removeprefix('/')}{question}{query}",
        "a parameter of the path": f"{path};v=1{question}{query}",
        "upper case": path.upper() + question + query,
        "an unknown path": f"{path}/unknown",
        "a query of one word": f"{path}?x",
        "a query that is no UTF-8": f"{target}{'&' if query else '?'}x=%ff",
        "a query with a bad escape": f"{target}{'&' if query else '?'}x=%zz",
        "a query with NUL": f"{target}{'&' if query else '?'}x=%00",
    }
    for name, changed in targets.items():
        yield name, Request(operation.method, changed)
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "GET", "POST"):
        if method != operation.method:
            yield f"method {method}", Request(method, target)


def _headers(operation: Operation, target: str, body: Any) -> Iterator[tuple[str, Request]]:
    raw = json.dumps(body).encode() if operation.method in _CHANGES and body is not None else None
    kind = JSON_BODY if raw is not None else ()
    headers: Mapping[str, tuple[tuple[str, str], ...]] = {
        "XML wanted": (("Accept", "application/xml"),),
        "HTML wanted": (("Accept", "text/html"),),
        "an event stream wanted": (("Accept", "text/event-stream"),),
        "German wanted": (("Accept-Language", "de"),),
        "a language nobody speaks": (("Accept-Language", "tlh, *;q=0"),),
        "a cached copy by ETag": (("If-None-Match", "*"),),
        "a cached copy by time": (("If-Modified-Since", "Wed, 21 Oct 2099 07:28:00 GMT"),),
        "a part wanted": (("Range", "bytes=0-9"),),
        "forged forwarding": (("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")),
        "a forged address": (("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")),
        "another method by header": (("X-HTTP-Method-Override", "DELETE"),),
        "a bearer token": (("Authorization", "Bearer a.b.c"),),
        "no cookie": (("Cookie", ""),),
        "a garbage session": (("Cookie", "sessionid=abcdefghijklmnopqrstuvwxyz012345"),),
        "a cookie that is none": (("Cookie", "=;;sessionid"),),
        "no CSRF token": (("X-CSRFToken", ""),),
        "a wrong CSRF token": (("X-CSRFToken", "a" * 64),),
        "a foreign origin": (("Origin", "https://evil.example"),),
        "an opaque origin": (("Origin", "null"),),
    }
    for name, sent in headers.items():
        yield name, Request(operation.method, target, (*kind, *sent), raw)


def _bodies(operation: Operation, target: str, body: Any, limit: int) -> Iterator[tuple[str, Request]]:
    good = json.dumps(body).encode()
    bodies = {
        "an empty body": b"",
        "a truncated body": good[:-1] or b"{",
        "null": b"null",
        "an array": b"[1, 2]",
        "a number": b"12",
        "a string": b'"x"',
        "an empty object": b"{}",
        "an unknown field": re.sub(rb"\}$", b', "unknown": [1, {"a": null}]}', good).replace(b"{, ", b"{"),
        "a field twice": re.sub(rb"^\{", b'{"unknown": 1, "unknown": 2, ', good).replace(b", }", b"}"),
        "no UTF-8": b'{"x": "\xff"}',
        "latin-1": '{"x": "é"}'.encode("latin-1"),
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "a lone surrogate": b'{"x": "\\ud800"}',
        "NUL": b'{"x": "a\\u0000b"}',
        "NaN": b'{"x": NaN}',
        "infinity": b'{"x": -Infinity}',
        "a number beyond every double": b'{"x": 1e400}',
        "an integer of many digits": b'{"x": ' + b"9" * DIGITS + b"}",
        "nested too deeply": b"[" * NESTED,
        "an image": b"\x89PNG\r\n\x1a\n" + bytes(64),
        "one byte within the limit": _padded(good, limit - 1),
        "just the limit": _padded(good, limit),
        "one byte over the limit": _padded(good, limit + 1),
    }
    for name, raw in bodies.items():
        early = len(raw) > limit
        yield f"body: {name}", Request(operation.method, target, JSON_BODY, raw, may_be_answered_early=early)
    wrong: dict[str, Any] = {"null": None, "an object": {}, "a list": [], "true": True, "blank": " "}
    for field in body if isinstance(body, dict) else ():
        for name, value in wrong.items():
            changed = json.dumps({**body, field: value}).encode()
            yield f"field {field}: {name}", Request(operation.method, target, JSON_BODY, changed)
        without = {key: value for key, value in body.items() if key != field}
        yield f"field {field}: missing", Request(operation.method, target, JSON_BODY, json.dumps(without).encode())
    types = {
        "no content type": "",
        "plain text": "text/plain",
        "a suffix": "application/vnd.api+json",
        "a charset": "application/json; charset=utf-8",
        "another charset": "application/json; charset=iso-8859-1",
        "a form": "application/x-www-form-urlencoded",
        "multipart without a boundary": "multipart/form-data",
        "a type that is none": "json",
    }
    for name, value in types.items():
        yield f"type: {name}", Request(operation.method, target, (("Content-Type", value),) if value else (), good)
    yield "chunked, without a length", Request(operation.method, target, JSON_BODY, good, is_chunked=True)


def _padded(body: bytes, length: int) -> bytes:
    return body + b" " * (length - len(body))
