"""Who answers: the stages of a route, as pure functions of the route and the caller.

| stage     | who answers                                                        |
| --------- | ------------------------------------------------------------------ |
| legacy    | legacy                                                             |
| split     | extracted for `split.percent` of the callers, legacy for the rest  |
| extracted | extracted                                                          |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .buckets import is_inside
from .config import LEGACY, CallerKey, Route, Split


class Decision(NamedTuple):
    """For one request: the upstream that answers, and why, in words for `explain`."""

    primary: str
    reason: str


def decide(route: Route | None, caller: bytes | None) -> Decision:
    """Who answers a request of `route` (None: unclaimed) by `caller` (None: it has not what the split goes by)."""
    if route is None:
        return Decision(LEGACY, "no route claims it")
    match route.stage:
        case "legacy":
            return Decision(LEGACY, "everybody is answered by legacy")
        case "extracted":
            return Decision(route.to, "everybody is answered by the extracted upstream")
        case "split":
            return _side(route.to, route.split, caller)


def _side(extracted: str, split: Split, caller: bytes | None) -> Decision:
    if caller is None:
        return Decision(LEGACY, "the request has not what the split goes by")
    if is_inside(split.salt.encode() + caller, split.percent):
        return Decision(extracted, "this caller is in the extracted upstream's share")
    return Decision(LEGACY, "this caller is not in the extracted upstream's share")


def caller_of(route: Route | None, headers: Iterable[tuple[bytes, bytes]], address: str) -> bytes | None:
    """What makes a caller the same caller to this route's split; None where that is absent or nobody asks."""
    if route is None or route.stage != "split":
        return None
    key = route.split.by
    if key.kind == "address":
        return address.encode() or None
    return _cookie(headers, key) if key.kind == "cookie" else _header(headers, key)


def _header(headers: Iterable[tuple[bytes, bytes]], key: CallerKey) -> bytes | None:
    name = key.name.lower().encode()
    return next((value for header, value in headers if header == name), None) or None


def _cookie(headers: Iterable[tuple[bytes, bytes]], key: CallerKey) -> bytes | None:
    prefix = key.name.encode() + b"="
    for header, value in headers:
        if header == b"cookie":
            for pair in value.split(b";"):
                pair = pair.strip()
                if pair.startswith(prefix):
                    return pair[len(prefix) :] or None
    return None
